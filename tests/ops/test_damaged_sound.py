"""Damaged videos with sound in a loop: no crash, no hang, no log-mels of another video. 200 variants and 24 in every
run."""

import sys

import pytest

from tests.goldens.recordings import needs_shared
from tests.ops.helpers.operator import needs_library
from tests.ops.test_corruption import check, contents
from tests.support.sound_videos import KINDS
from vmz.netdef.net_parts import AV_INPUT

SOUND = {"get_logmels": 1, "tune_audio_step": 1}
MADE = ("AAC, 5.1", "AC-3 in MPEG-TS", "Opus in Matroska", "MP3 in AVI", "FLAC, 24 bits, 96 kHz", "ALAC")
RECORDED = ("bigbuckbunny.mp4", "flipping_a_pancake.mkv", "nasa_13013.mp4", "short_audio.mp4")

pytestmark = needs_library


def made():
    return [KINDS[name].file() for name in MADE]


@pytest.mark.parametrize("get_rgb", [0, 1])
def test_damaged_sound(tmp_path, get_rgb):
    fate = check(tmp_path, made(), 2, 1 + get_rgb, AV_INPUT, **SOUND, get_rgb=get_rgb, align_audio=1 + get_rgb)
    bad = sum(isinstance(entry, str) for entry in fate.values())
    assert len(fate) == 12 and bad < 10


@needs_shared
@pytest.mark.slow
def test_200_damaged_videos_with_sound(tmp_path):
    fates = []
    for seed in range(10):
        changes = {"get_rgb": int(seed > 2), "align_audio": seed % 4, "audio_timestamps": int(seed % 3 == 0)}
        fates += check(tmp_path, [*contents(RECORDED), *made()], 2, seed, AV_INPUT, **SOUND, **changes).values()
    bad = [entry for entry in fates if isinstance(entry, str)]
    print(f"{len(fates)} variants: {len(fates) - len(bad)} read, {len(bad)} clean errors", file=sys.stderr)
    assert len(fates) == 200 and 20 < len(bad) < 160
