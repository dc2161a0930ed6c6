"""Where clips of the C++ operator start with decode_type 2, against the frames that the original returned."""

import numpy as np
import pytest

from tests.goldens.start_frames import FRAME, recorded_first_frames
from tests.ops.helpers.databases import read, record, write
from tests.ops.helpers.operator import needs_library, opened

pytestmark = needs_library

ONE_PASS = {**FRAME, "wrap_around": 0}


def first_frames(database, count, **changes):
    args = {**ONE_PASS, "decode_type": 2, "batch_size": count, "on_bad_video": "skip", "get_record_index": 1, **changes}
    with opened(database, args) as operator:
        batch = operator.run()
    return dict(zip(batch["record_index"].tolist(), batch["data"]))


@pytest.mark.parametrize("video", recorded_first_frames())
def test_first_frames_are_the_original_ones(video, tmp_path):
    golden = recorded_first_frames()[video]
    good = 28 if video == "corrupted.mp4" else golden["n_frames"]  # then decoding ends with an error
    everything = {**ONE_PASS, "decode_type": 1, "clip_start_positions": list(range(good))}
    with opened(write(tmp_path / "whole", [record(video)]), everything) as operator:
        frames = operator.run()["data"]
    wanted = {int(start): indices for start, indices in golden["first_frame_index_for_start_frm"].items()}
    content = read(video)
    starts = list(wanted)[:: 4 if golden["n_frames"] > 60 else 1]
    database = write(tmp_path / "starts", [record(content, 0, start) for start in starts])
    found = first_frames(database, len(starts), original_start_faults=1)
    for place, start in enumerate(starts):
        if start >= good:  # the original left the slot as it was
            assert place not in found
        else:
            assert any(np.array_equal(found[place], frames[index]) for index in wanted[start]), start
    for place, frame in first_frames(database, len(starts)).items():
        assert np.array_equal(frame, frames[starts[place]])
