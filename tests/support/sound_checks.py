"""What a reader has to make of the files of sound_videos.py; the readers' tests hand in theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pytest

from tests.support.hostile_videos import listening, of_references, playlist, with_reference
from tests.support.sound_videos import KINDS, Tone, sound_video
from vmz.errors import VmzError

FILTER_OF_THE_TONE = 13  # of 40, that hears 1000 Hz best
ARGUMENTS: dict[str, Any] = {
    "length_rgb": 8,
    "crop_size": 32,
    "scale_h": 32,
    "scale_w": 40,
    "random_crop": 0,
    "random_mirror": 0,
    "decode_type": 1,
    "get_logmels": 1,
    "logmel_frames": 198,
    "align_audio": 0,
}


class Heard(NamedTuple):
    """Of one video: its clips, None where they were not asked for, its log-mels (clips, rows, filters), and why they
    are zeros, "" where they are not for want of sound."""

    clips: Any
    logmels: np.ndarray
    reason: str


class Read(Protocol):
    def __call__(self, file: bytes, start: int = 0, **arguments: Any) -> Heard: ...


def rows_of_the_tone(logmels: np.ndarray) -> np.ndarray:
    """The numbers of the rows in which 1000 Hz is loudest, of the first clip."""
    rows = logmels[0]
    return np.flatnonzero((rows.argmax(axis=1) == FILTER_OF_THE_TONE) & (rows[:, FILTER_OF_THE_TONE] > 15))


def check_kind(name: str, read: Read) -> None:
    """Pictures and sound, and sound alone, of one of KINDS."""
    kind, heard = KINDS[name], {}
    for sees in (0, 1):
        found = read(kind.file(), get_rgb=sees, **ARGUMENTS)
        assert found.reason == kind.reason, name
        rows = rows_of_the_tone(found.logmels)
        assert abs(len(rows) - min(198, 100 * kind.heard)) <= 5, (name, len(rows))
        assert not kind.heard or rows[0] <= 5, (name, rows[0])
        assert kind.heard or not found.logmels.any(), name
        assert kind.heard == 2.0 or not found.logmels[0, int(100 * kind.heard) + 5 :].any(), name
        heard[sees] = found.logmels
    assert (heard[0] == heard[1]).all(), name


def check_loudness(read: Read) -> None:
    """Channels are not averaged: two equal ones are 3 dB louder than one, the front ones and the middle of 5.1 more."""
    loud = {}
    for layout in ("mono", "stereo", "5.1"):
        tone = Tone("flac", 16000, layout, "s16", loudness=0.1)
        rows = read(sound_video([tone], "matroska"), get_rgb=0, **ARGUMENTS).logmels[0]
        loud[layout] = float(rows[50, FILTER_OF_THE_TONE])
    assert abs(loud["stereo"] - loud["mono"] - 2 * np.log(2 * np.sqrt(0.5))) < 1e-2
    assert abs(loud["5.1"] - loud["mono"] - 2 * np.log(2 + 2 * np.sqrt(0.5))) < 1e-2


def check_timestamps(read: Read) -> None:
    """Sound that begins half a second after the pictures: heard at once as in the original, or when it begins."""
    late = sound_video([Tone("flac", 16000, "mono", "s16", seconds=1.0, start=0.5)], "matroska")
    for sees in (0, 1):
        asked = {**ARGUMENTS, "get_rgb": sees}
        rows = rows_of_the_tone(read(late, **asked).logmels)
        assert rows[0] <= 1 and 97 <= len(rows) <= 101
        rows = rows_of_the_tone(read(late, audio_timestamps=1, **asked).logmels)
        assert 48 <= rows[0] <= 50 and 147 <= rows[-1] <= 150


def check_other_files_are_refused(read: Read) -> None:
    """Pictures that another file holds, and lists of files, are refused, with and without pictures; sound that another
    file holds is missing. Nothing is opened."""
    good = sound_video([Tone()])
    elsewhere = "its pictures are in another file, which is not opened"
    with listening() as (address, port, came):
        location = f"{address}/other.mp4\0".encode()
        refused = [(with_reference(good, b"url ", location), elsewhere), (of_references(location), elsewhere)]
        for name, kind in (
            ("HLS", "an HLS or M3U playlist"),
            ("DASH", "a DASH manifest"),
            ("ffconcat", "an ffconcat list"),
        ):
            refused.append((playlist(name, address, port, Path("/etc/hostname")), f"it is {kind}, not a video"))
        for sees in (0, 1):
            for file, reason in refused:
                with pytest.raises((RuntimeError, VmzError)) as raised:
                    read(file, **{**ARGUMENTS, "get_rgb": sees})
                assert f"not a video that can be opened ({reason})" in str(raised.value)
            for file in (with_reference(good, b"url ", location, 1), with_reference(good, b"alis", bytes(150), 1)):
                for timing in ({}, {"audio_timestamps": 1}, {"decode_type": 2}):
                    heard = read(file, **{**ARGUMENTS, "get_rgb": sees, **timing})
                    assert heard.reason == "its sound is in another file, which is not opened"
                    assert not heard.logmels.any()
                    assert not sees or (heard.clips == read(good, **{**ARGUMENTS, "get_rgb": 1, **timing}).clips).all()
        assert came == []
    own = read(good, **{**ARGUMENTS, "get_rgb": 0}).logmels
    inside = read(with_reference(good, b"url ", b"", 1), **{**ARGUMENTS, "get_rgb": 0}).logmels
    assert own.any() and (own == inside).all()  # a reference without a location is to the file itself
