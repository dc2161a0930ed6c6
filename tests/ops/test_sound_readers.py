"""The two readers of sound, in C++ and in Python, held against each other: log-mels within 1e-3 on the same files.

Their FFmpegs differ. Decoders of lossy sound give other last bits, which is all that the empty bands of tones hold: of
such files the mean is within 1e-3, and each value within the tolerance of the goldens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.goldens.recordings import golden_path, video_path
from tests.ops.helpers.databases import write
from tests.ops.helpers.operator import needs_library, opened
from tests.support.sound_checks import ARGUMENTS
from tests.support.sound_videos import KINDS
from vmz.netdef.net_parts import AV_INPUT
from vmz.video.database.records import Record
from vmz.video.reader import Batch, ClipReader
from vmz.video.sound.arguments import AVInputArgs

pytestmark = needs_library

WAYS: dict[str, dict[str, Any]] = {
    "uniform": {"clip_per_video": 2, "logmel_frames": 100, "align_audio": 1},
    "three crops": {"clip_per_video": 2, "crop_per_clip": 3, "align_audio": 1},
    "sound alone": {"get_rgb": 0},
    "centred": {"clip_per_video": 3, "logmel_frames": 100, "align_audio": 3, "audio_length": 16},
    "tuned": {"tune_audio_step": 1, "align_audio": 1},
    "from a start frame": {"decode_type": 2, "align_audio": 1},
    "from a start frame, alone": {"decode_type": 2, "get_rgb": 0},
    "from a start frame, as the original": {"decode_type": 2, "align_audio": 2, "original_start_faults": 1},
    "by timestamps": {"audio_timestamps": 1},
    "by timestamps, from a start frame": {"audio_timestamps": 1, "decode_type": 2},
    "at 10 frames a second": {"fps": 10, "align_audio": 1, "clip_per_video": 2},
}
LOSSLESS = ("flac", "alac", "pcm_s16le", "pcm_s24le")
LARGEST = 0.1  # of the goldens' tolerance
RECORDED = ("bigbuckbunny.mp4", "nasa_13013.mp4", "flipping_a_pancake.mkv", "short_audio.mp4")


def contents() -> dict[str, bytes]:
    return {name: kind.file() for name, kind in KINDS.items()}


def by_operator(database: Path, arguments: dict[str, Any]) -> tuple[dict[str, np.ndarray], list[tuple[str, str]]]:
    with opened(database, {**arguments, "get_without_sound": 1}, operator=AV_INPUT) as operator:
        return operator.run(), [(key, reason) for key, _, reason in operator.without_sound()]


def by_reader(database: Path, arguments: dict[str, Any]) -> tuple[Batch, list[tuple[str, str]]]:
    with ClipReader(database, AVInputArgs.from_mapping(arguments)) as reader:
        return reader.next_batch(), [(silent.key, silent.reason) for silent in reader.without_sound]


def check(folder: Path, files: dict[str, bytes], way: str) -> None:
    """All files in one batch."""
    database = write(folder / "db", [Record(b"", content, (0,), 12, None) for content in files.values()])
    common = {"batch_size": len(files), "num_decode_threads": 2, "get_rgb": 1}
    arguments = {**ARGUMENTS, **common, **WAYS[way]}
    ours, silent = by_operator(database, arguments)
    theirs, silent_there = by_reader(database, arguments)
    assert silent == silent_there
    assert theirs.logmels is not None and ours["logmels"].shape == theirs.logmels.shape
    differences = np.abs(ours["logmels"] - theirs.logmels).reshape(len(files), -1)
    for name, difference in zip(files, differences):
        tones = KINDS[name].tones if name in KINDS else ()
        is_exact = name in KINDS and all(tone.codec in LOSSLESS for tone in tones)
        assert difference.max() < (1e-3 if is_exact else LARGEST), (name, difference.max())
        assert difference.mean() < 1e-3, (name, difference.mean())
    crops = arguments.get("crop_per_clip", 1)
    for maps in (ours["logmels"], theirs.logmels):  # each crop of a clip has the clip's sound
        maps = maps.reshape(-1, crops, *maps.shape[1:])
        assert np.array_equal(maps, np.repeat(maps[:, :1], crops, 1))
    if crops > 1:
        clips = theirs.logmels[::crops].reshape(len(files), 2, -1)
        assert any(np.abs(one - two).max() > 0.5 for one, two in clips)  # of two clips of a video they differ
    if theirs.data is not None:
        assert np.abs(ours["data"] - theirs.data).max() < 0.1


@pytest.mark.parametrize("way", WAYS)
def test_they_hear_the_same(way: str, tmp_path: Path) -> None:
    check(tmp_path, contents(), way)


@pytest.mark.parametrize("way", WAYS)
def test_they_hear_the_same_of_recorded_videos(way: str, tmp_path: Path) -> None:
    golden_path("av/reader/bigbuckbunny.mp4.json")
    check(tmp_path, {name: video_path(name).read_bytes() for name in RECORDED}, way)
