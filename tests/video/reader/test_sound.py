"""Videos with sound of all kinds, damaged ones among them, through ClipReader."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import sound_checks
from tests.support.sound_checks import ARGUMENTS, Heard
from tests.support.sound_videos import KINDS, Tone, sound_video
from vmz.errors import UsageError, VmzError
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record
from vmz.video.faults import SOUND_REMEDY
from vmz.video.reader import BadVideoError, Batch, ClipReader, EndOfData
from vmz.video.sound.arguments import AVInputArgs

NO_STREAM = "it has no audio stream"
LOUD = [Tone("flac", 16000, "mono", "s16", loudness=0.5)]


def database(folder: Path, *contents: bytes, start: int = 0) -> Path:
    with DatabaseWriter(folder / "db") as writer:
        for number, content in enumerate(contents):
            writer.write(Record(b"%05d" % number, content, (number,), start))
    return folder / "db"


def opened(path: Path, **arguments: Any) -> ClipReader:
    given = {"batch_size": 1, "num_decode_threads": 2, "wrap_around": 0, "get_rgb": 1, **ARGUMENTS, **arguments}
    return ClipReader(path, AVInputArgs.from_mapping(given))


def read(file: bytes, start: int = 0, **arguments: Any) -> Heard:
    with (
        tempfile.TemporaryDirectory() as folder,
        opened(database(Path(folder), file, start=start), **arguments) as reader,
    ):
        batch = reader.next_batch()
        assert batch.logmels is not None
        return Heard(batch.data, batch.logmels[:, 0], "".join(silent.reason for silent in reader.without_sound))


def batches(reader: ClipReader) -> list[Batch]:
    found = []
    while True:
        try:
            found.append(reader.next_batch())
        except EndOfData:
            return found


@pytest.mark.parametrize("name", KINDS)
def test_sound_of_every_kind(name: str) -> None:
    sound_checks.check_kind(name, read)


def test_channels_are_mixed_as_ffmpeg_does() -> None:
    sound_checks.check_loudness(read)


def test_timestamps_place_the_sound_when_asked() -> None:
    sound_checks.check_timestamps(read)


def test_what_lies_in_other_files_is_refused() -> None:
    sound_checks.check_other_files_are_refused(read)


def test_missing_sound_is_zeros_and_counted_or_an_error_or_skipped(tmp_path: Path) -> None:
    path = database(tmp_path, sound_video(LOUD, "matroska"), sound_video([], "matroska"), sound_video(LOUD, "matroska"))
    with opened(path) as reader:
        found = batches(reader)
        assert [bool(batch.logmels.any()) for batch in found if batch.logmels is not None] == [True, False, True]
        assert [(silent.key, silent.reason) for silent in reader.without_sound] == [("00001", NO_STREAM)]
    with opened(path, on_missing_audio="skip") as reader:
        assert [batch.label.tolist() for batch in batches(reader)] == [[0], [2]]
        assert [bad.reason for bad in reader.skipped] == [NO_STREAM] and not reader.without_sound
    with opened(path, on_missing_audio="stop", on_bad_video="skip") as reader:
        reader.next_batch()
        with pytest.raises(BadVideoError) as raised:
            reader.next_batch()
        assert NO_STREAM in str(raised.value) and str(raised.value).endswith(SOUND_REMEDY)


def test_the_result_does_not_depend_on_threads_and_batches(tmp_path: Path) -> None:
    tones = [[Tone("flac", 16000, "mono", "s16", loudness=loudness)] for loudness in (0.1, 0.3, 0.5)]
    path = database(tmp_path, *(sound_video(tone, "matroska") for tone in tones))
    found = []
    for batch_size, threads in ((1, 1), (3, 3)):
        asked = {"batch_size": batch_size, "num_decode_threads": threads, "decode_type": 0, "seed": 5}
        with opened(path, **asked) as reader:
            found.append(np.concatenate([batch.logmels for batch in batches(reader) if batch.logmels is not None]))
    assert found[0].shape == (3, 1, 198, 40) and (found[0] == found[1]).all()


@pytest.mark.long
@pytest.mark.parametrize("container", ["matroska", "mp4"])
def test_damaged_files_give_their_own_sound_or_none(container: str, tmp_path: Path) -> None:
    """100 files each, pictures and sound and sound alone: no crash, and never the map of another video."""
    codec = "aac" if container == "mp4" else "flac"
    rate = 44100 if container == "mp4" else 16000
    good = sound_video([Tone(codec, rate, "mono", "fltp" if codec == "aac" else "s16", loudness=0.5)], container)
    chance, damaged = random.Random(3), []
    for number in range(100):
        content = bytearray(good)
        for _ in range(1 + number // 4):
            content[chance.randrange(len(content))] = chance.randrange(256)
        damaged.append(
            bytes(content[: len(content) - chance.randrange(len(content) // 2)] if number % 5 == 0 else content)
        )
    path = database(tmp_path, *damaged, good)
    for sees in (0, 1):
        with opened(path, get_rgb=sees, on_bad_video="skip") as reader:
            found = batches(reader)
            silent = {one.key for one in reader.without_sound}
            assert len(found) + len(reader.skipped) == 101
        for batch in found:
            assert batch.logmels is not None and np.isfinite(batch.logmels).all()
            assert batch.keys[0] not in silent or not batch.logmels.any()
        again = read(damaged[1], get_rgb=sees)  # alone it gives what it gave among the others
        assert [(again.logmels == batch.logmels[:, 0]).all() for batch in found if batch.keys == ["00001"]] == [True]  # type: ignore[index]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"get_rgb": 0, "get_logmels": 0}, "get_rgb=0 and get_logmels=0 leave nothing to read"),
        ({"logmel_frames": 0}, "logmel_frames=0 must be at least 1"),
        ({"align_audio": 4}, "align_audio=4 must be one of 0, 1, 2, 3"),
        ({"on_missing_audio": "no"}, "on_missing_audio=no must be one of zeros, stop, skip"),
        ({"logmel_winsize_ms": 1, "logmel_audio_sr": 1000}, "less than 2 samples"),
        ({"get_optical_flow": 1}, "get_optical_flow=1 is not possible with sound"),
        ({"audio_timestamps": 1, "original_start_faults": 1}, "audio_timestamps=1 does not go with"),
        ({"nothing": 1}, "AVInput has no argument"),
    ],
)
def test_wrong_arguments_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        AVInputArgs.from_mapping({"batch_size": 1, "get_rgb": 1, **ARGUMENTS, **wrong})


def test_a_closed_reader_says_so(tmp_path: Path) -> None:
    reader = opened(database(tmp_path, sound_video(LOUD, "matroska")))
    reader.close()
    with pytest.raises(VmzError, match="closed"):
        reader.next_batch()
