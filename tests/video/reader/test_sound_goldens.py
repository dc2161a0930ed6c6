"""The original's clips and log-mels, case by case, through ClipReader."""

import numpy as np
import pytest

from tests.goldens.recordings import needs_shared
from tests.goldens.sound_cases import check_all, check_some, sound_videos
from vmz.netdef.net_parts import AV_INPUT
from vmz.video.reader import ClipReader
from vmz.video.sound.arguments import reader_arguments


def read(database, args):
    with ClipReader(database, reader_arguments(args, AV_INPUT)) as reader:
        batch = reader.next_batch()
    return {name: array for name, array in vars(batch).items() if isinstance(array, np.ndarray)}


@pytest.mark.parametrize("video", sound_videos())
def test_log_mels_are_the_original_ones(video, tmp_path):
    check_some(video, tmp_path, read)


@needs_shared
@pytest.mark.slow
def test_all_sound_goldens_are_within_the_tolerance_or_explained(tmp_path):
    # The largest mean, 2.5e-3, is of tones: rounding in their empty bands.
    check_all(tmp_path, read, 3e-3)
