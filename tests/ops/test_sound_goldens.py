"""The original's clips and log-mels, case by case, through the C++ operator AVInput."""

import pytest

from tests.goldens.recordings import needs_shared
from tests.goldens.sound_cases import check_all, check_some, sound_videos
from tests.ops.helpers.operator import needs_library, opened
from vmz.netdef.net_parts import AV_INPUT

pytestmark = needs_library


def read(database, args):
    with opened(database, args, operator=AV_INPUT) as operator:
        return operator.run()


@pytest.mark.parametrize("video", sound_videos())
def test_log_mels_are_the_original_ones(video, tmp_path):
    check_some(video, tmp_path, read)


@needs_shared
@pytest.mark.slow
def test_all_sound_goldens_are_within_the_tolerance_or_explained(tmp_path):
    # The largest difference is 0.051, the worst mean 1.4e-3: rounding in the empty bands of tones.
    check_all(tmp_path, read, 2e-3)
