"""Where clips start with decode_type 2, against the frames that the original returned."""

import numpy as np
import pytest

from tests.goldens.recordings import video_path
from tests.goldens.start_frames import FRAME, recorded_first_frames
from vmz.video.arguments import VideoInputArgs
from vmz.video.clips import ClipError, Clips, read_clips


def every_frame(path, count):
    args = VideoInputArgs.from_mapping({**FRAME, "decode_type": 1, "clip_start_positions": list(range(count))})
    out = np.empty((count, 3, 1, 64, 64), np.float32)
    read_clips(path, None, args, np.random.default_rng(0), Clips(out))
    return out


def first_frame(path, start_frame, **changes):
    args = VideoInputArgs.from_mapping({**FRAME, "decode_type": 2, **changes})
    out = np.empty((1, 3, 1, 64, 64), np.float32)
    read_clips(path, start_frame, args, np.random.default_rng(0), Clips(out))
    return out[0]


@pytest.mark.parametrize("video", [name for name in recorded_first_frames() if name != "corrupted.mp4"])
def test_first_frames_are_the_original_ones(video):
    path = str(video_path(video))
    golden = recorded_first_frames()[video]
    frames = every_frame(path, golden["n_frames"])
    starts = golden["first_frame_index_for_start_frm"].items()
    for start, wanted in list(starts)[:: 4 if golden["n_frames"] > 60 else 1]:
        found = first_frame(path, int(start), original_start_faults=1)
        assert any(np.array_equal(found, frames[index]) for index in wanted), start
        assert np.array_equal(first_frame(path, int(start)), frames[int(start)])


def test_a_video_with_an_error_ends_there():
    path = str(video_path("corrupted.mp4"))
    frames = every_frame(path, 28)
    for start, wanted in recorded_first_frames()["corrupted.mp4"]["first_frame_index_for_start_frm"].items():
        if int(start) < 28:
            assert np.array_equal(first_frame(path, int(start)), frames[wanted[0]]), start
        else:  # for 31 the original left the slot as it was: it held the run before, frame 25
            with pytest.raises(ClipError, match=r"0 frames \(decoding ended there: .*but 1 are needed"):
                first_frame(path, int(start))
