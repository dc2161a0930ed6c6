"""Batches of clips from a database, decoded ahead in threads: FFmpeg runs without Python's lock, so they are enough."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Optional, Union

import numpy as np

from vmz.errors import LabelError, UsageError, VmzError
from vmz.text import printable
from vmz.video.arguments import FROM_START_FRAME, VideoInputArgs
from vmz.video.clips import ClipError, Clips, MissingSoundError, read_clips
from vmz.video.database.lmdb_database import VideoDatabase
from vmz.video.database.reading_order import ReadingOrder
from vmz.video.database.records import Record, RecordError, key_text
from vmz.video.faults import (
    SOUND_REMEDY,
    BadVideo,
    DecodingError,
    EndedEarly,
    WithoutSound,
    shown_path,
)
from vmz.video.frames.decoding import Source
from vmz.video.frames.opencv import opencv
from vmz.video.frames.watch import DecodingThreads, Watch
from vmz.video.sound.arguments import AVInputArgs

REMEDY = "leave such videos out with --on_bad_video=skip, or check the list with create_video_db.py --check"
MAX_PATH_BYTES = 4096
PROBED_RECORDS = 5  # that show whether a database holds paths or bytes


class EndOfData(VmzError):
    """One pass over the database is over (wrap_around=0)."""


class BadVideoError(VmzError):
    """A record whose clips cannot be read, while on_bad_video=stop."""


@dataclass(frozen=True)
class Batch:
    """N = videos x clips x crops rows, video-major, then clip, then crop.

    data: RGB clips, float32 (N, 3, length, crop, crop), normalised, or of a reader with normalised=False uint8
    (N, length, crop, crop, 3); None with get_rgb=0. flow: where asked for,
    float32 (N, flow_channels, length_of, crop, crop). logmels: where AVInput is asked for them, float32
    (N, 1, logmel_frames, logmel_filters). label: int32 (N,); with do_multi_label 0/1 (N, num_of_class).
    video_id: int64 (N,) and start_frame: int32 (N,) where asked for. record_index: int64 (videos,), the place of each
    video in the database; keys: its key there.
    """

    data: Optional[np.ndarray]
    label: np.ndarray
    video_id: Optional[np.ndarray]
    start_frame: Optional[np.ndarray]
    record_index: np.ndarray
    keys: list[str]
    flow: Optional[np.ndarray] = None
    logmels: Optional[np.ndarray] = None


@dataclass(frozen=True)
class _Video:
    """What one record gave: its clips, or what is wrong with it."""

    index: int
    record: Optional[Record]
    clips: Clips
    bad: Optional[BadVideo] = None
    ended: Optional[EndedEarly] = None
    silent: Optional[WithoutSound] = None
    lacks_sound: bool = False  # why it is bad


@dataclass
class _Task:
    """A record that is being read."""

    future: Future[_Video]
    index: int
    watch: Watch


class ClipReader:
    """Reads batches in database order, or as ReadingOrder has it, at least one batch ahead.

    The result depends on the database, the arguments and the seed only: never on the number of threads or on timing.
    `skipped` lists each record left out so far (on_bad_video=skip), once, and `ended_early` each video whose reading
    stopped before its end and that gave its clips from what came before, and `without_sound` each whose log-mels are
    zeros because its sound is missing (on_missing_audio=zeros). `position`: videos of this reader's own
    stream given or left out up to the last batch that was returned, the first_position of a reader that is to go on
    from there. normalised=False: RGB clips stay uint8, a quarter of the bytes, for a device that normalises them.
    Raises what VideoDatabase raises, and UsageError for wrong arguments.
    """

    def __init__(self, database_path: Union[str, Path], args: VideoInputArgs, normalised: bool = True) -> None:
        args.check()
        if args.get_optical_flow or args.image_as_input:
            opencv()
        self.args = args
        self.skipped: list[BadVideo] = []
        self.ended_early: list[EndedEarly] = []
        self.without_sound: list[WithoutSound] = []
        self._database = VideoDatabase(database_path)
        try:
            check_holds(self._database, bool(args.use_local_file))
        except BaseException:
            self._database.close()
            raise
        self._seed = args.seed or int.from_bytes(os.urandom(8), "little")
        self._slots = _new_slots(args, normalised)
        self._order = ReadingOrder(len(self._database), args)
        self._share = f" (shard {args.shard_index} of {args.shard_count})" if args.shard_count > 1 else ""
        self.position = self._next = args.first_position
        self._bad_in_a_row = 0
        self._pending: deque[_Task] = deque()
        self._ahead = max(args.batch_size, args.num_decode_threads)
        self._error: Optional[VmzError] = None
        self._threads: Optional[DecodingThreads] = DecodingThreads(args.num_decode_threads)

    def __len__(self) -> int:
        """Videos in the database."""
        return len(self._database)

    def next_batch(self) -> Batch:
        """The next batch. Raises EndOfData after one pass, BadVideoError for a bad record, VmzError when all are bad.

        Whatever it raised once, it raises again on the next call: nothing is read after an error.
        """
        if self._error is not None:
            raise self._error
        try:
            return self._next_batch()
        except VmzError as error:
            self._error = error
            raise

    def _next_batch(self) -> Batch:
        if self._threads is None:
            raise VmzError("the reader is closed; open another one")
        videos: list[_Video] = []
        position = self.position
        while len(videos) < self.args.batch_size:
            self._submit()
            if not self._pending:
                break
            video = self._result(self._pending.popleft())
            position += 1
            if video.bad is None:
                self._bad_in_a_row = 0
                videos.append(video)
                self._report(video)
                continue
            if self._stops_at(video):
                remedy = SOUND_REMEDY if video.lacks_sound else REMEDY
                raise BadVideoError(f"{video.bad.sentence(self._database.path)}; {remedy}")
            if video.bad not in self.skipped:
                self.skipped.append(video.bad)
            self._bad_in_a_row += 1
            if self._bad_in_a_row >= len(self._database):
                raise VmzError(
                    f"no video of {self._database.path}{self._share} can be read; the last one is {video.bad}"
                )
        self._submit()
        if not videos:
            raise EndOfData(f"all {len(self)} videos of {self._database.path}{self._share} have been read once")
        self.position = position
        return self._batch(videos)

    def _report(self, video: _Video) -> None:
        """What is to be known of a video that gave its clips, once."""
        if video.ended is not None and all(video.ended.key != one.key for one in self.ended_early):
            self.ended_early.append(video.ended)
        if video.silent is not None and all(video.silent.key != one.key for one in self.without_sound):
            self.without_sound.append(video.silent)

    def _stops_at(self, video: _Video) -> bool:
        """Whether reading ends with a video that is bad."""
        if video.lacks_sound and isinstance(self.args, AVInputArgs):
            return self.args.on_missing_audio == "stop"
        return self.args.on_bad_video == "stop"

    def _submit(self) -> None:
        """Keep the threads busy with the next records."""
        assert self._threads is not None
        while len(self._pending) <= self._ahead and (place := self._order.at(self._next)) is not None:
            watch = Watch(self.args.video_timeout)
            future = self._threads.submit(self._read, *place, next(self._slots), watch)
            self._pending.append(_Task(future, place[1], watch))
            self._next += 1

    def _result(self, task: _Task) -> _Video:
        """What a record gave. A thread whose decoder does not come back from one frame is left to itself."""
        assert self._threads is not None
        try:
            video: _Video = self._threads.result(task.future, task.watch)
            return video
        except DecodingError as error:
            path = self._database[task.index].path if self.args.use_local_file else None
            bad = BadVideo(reason=str(error), **self._database.name(task.index, path))
            return _Video(task.index, None, Clips(None), bad)

    def _read(self, turn: int, index: int, clips: Clips, watch: Watch) -> _Video:
        """Runs in a decoding thread."""
        path = None
        try:
            record = self._database[index]
            self._check(record)
            source = _source(record, self.args.use_local_file)
            path = source if isinstance(source, str) else None
            random = np.random.default_rng((self._seed, turn, index))
            reading = read_clips(source, record.start_frame, self.args, random, clips, watch)
        except (RecordError, ClipError) as error:
            bad = BadVideo(reason=printable(str(error)), **self._database.name(index, path))
            return _Video(index, None, clips, bad, lacks_sound=isinstance(error, MissingSoundError))
        early = silent = None
        if reading.ended is not None:
            early = EndedEarly(**self._database.name(index, path), **vars(reading.ended))
        if reading.without_sound:
            silent = WithoutSound(reason=printable(reading.without_sound), **self._database.name(index, path))
        record = Record(record.key, b"", record.labels, record.start_frame, record.video_id)
        return _Video(index, record, clips, ended=early, silent=silent)

    def _check(self, record: Record) -> None:
        """What the arguments ask of a record. Its absence is the database's fault, so it is never skipped."""
        args = self.args
        path = record.path if args.use_local_file and could_be_path(record.video) else None
        where = self._database.describe(key_text(record.key), path)
        if args.do_multi_label and not all(0 <= label < args.num_of_class for label in record.labels):
            raise LabelError(
                f"{where} has the labels {', '.join(map(str, record.labels))}, but num_of_class={args.num_of_class} "
                f"allows 0 to {args.num_of_class - 1}; set the number of classes that the database was made for"
            )
        if args.decode_type == FROM_START_FRAME and record.start_frame is None:
            raise VmzError(f"{where} has no start frame, which decode_type=2 needs; create it with --use_start_frame=1")
        if args.get_video_id and record.video_id is None:
            raise VmzError(f"{where} has no video id, which get_video_id=1 needs; create it with --use_video_id=1")

    def _batch(self, videos: list[_Video]) -> Batch:
        args = self.args
        records = [video.record for video in videos if video.record is not None]
        return Batch(
            data=_together([video.clips.data for video in videos]),
            flow=_together([video.clips.flow for video in videos]),
            logmels=_together([video.clips.logmels for video in videos]),
            label=np.repeat(self._labels(records), args.rows, axis=0),
            video_id=np.repeat(np.array([r.video_id for r in records], np.int64), args.rows)
            if args.get_video_id
            else None,
            start_frame=np.repeat(np.array([r.start_frame for r in records], np.int32), args.rows)
            if args.get_start_frame
            else None,
            record_index=np.array([video.index for video in videos], np.int64),
            keys=[key_text(record.key) for record in records],
        )

    def _labels(self, records: list[Record]) -> np.ndarray:
        if not self.args.do_multi_label:
            return np.array([record.labels[0] for record in records], np.int32)
        labels = np.zeros((len(records), self.args.num_of_class), np.int32)
        for row, record in zip(labels, records):
            row[list(record.labels)] = 1
        return labels

    def close(self) -> None:
        """Stop decoding and close the database. Clips already given stay valid."""
        if self._threads is not None:
            self._threads.close()
            self._threads = None
            self._pending.clear()
            self._database.close()
            self._slots = iter(())
            self._error = None  # its traceback keeps this reader

    def __enter__(self) -> ClipReader:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


def _new_slots(args: VideoInputArgs, normalised: bool) -> Iterator[Clips]:
    """Places for the clips of one video each, the places of a batch side by side in one array.

    No method: it would keep the reader, and the reader it, so that the memory of a batch waited for Python's collector.
    """
    square = args.crop_size, args.crop_size
    kind: Any = np.float32 if normalised else np.uint8
    rgb = (3, args.length_rgb, *square) if normalised else (args.length_rgb, *square, 3)
    flow = args.flow_channels, args.length_of, *square
    logmels = (1, args.logmel_frames, args.logmel_filters) if isinstance(args, AVInputArgs) else ()
    absent = [None] * args.batch_size
    while True:
        yield from map(
            Clips,
            np.empty((args.batch_size, args.rows, *rgb), kind) if args.get_rgb else absent,
            np.empty((args.batch_size, args.rows, *flow), np.float32) if args.get_optical_flow else absent,
            np.empty((args.batch_size, args.rows, *logmels), np.float32) if args.hears else absent,
        )


def _together(places: list[Optional[np.ndarray]]) -> Optional[np.ndarray]:
    """The batch that the clips were written into, or a copy where a skipped video left a hole in it."""
    clips = [place for place in places if place is not None]
    if not clips:
        return None
    whole = clips[0].base
    if (
        whole is not None
        and len(clips) == len(whole)
        and all(clip.base is whole and np.shares_memory(clip, place) for clip, place in zip(clips, whole))
    ):
        return whole.reshape(-1, *whole.shape[2:])
    return np.concatenate(clips)


def check_holds(database: VideoDatabase, use_local_file: bool) -> None:
    """Raise UsageError where the first records show that the database holds paths and not bytes, or the other way."""
    found = []
    for index in range(min(PROBED_RECORDS, len(database))):
        try:
            found.append(database[index].video)
        except RecordError:
            continue
    wrong = [video for video in found if _wrong_kind(video, use_local_file)]
    if use_local_file and wrong:  # even one: no path is like this
        raise UsageError(f"{database.path} contains the bytes of videos, not paths; give --use_local_file=0")
    if found and len(wrong) == len(found):
        first = shown_path(wrong[0])
        raise UsageError(
            f"{database.path} contains paths of videos, not their bytes (the first: {first}); give --use_local_file=1"
        )


def could_be_path(video: bytes) -> bool:
    """Whether a record's video is short enough for a path, and has no null byte."""
    return len(video) <= MAX_PATH_BYTES and b"\0" not in video


def _wrong_kind(video: bytes, use_local_file: bool) -> str:
    """What is wrong with a record that holds a path where bytes are asked for, or bytes for a path; else ""."""
    if use_local_file:
        return "" if could_be_path(video) else "it contains the bytes of a video, not a path; give --use_local_file=0"
    if not could_be_path(video) or not _reads_as_path(video):
        return ""
    return f"it contains a path, {shown_path(video)}, not the bytes of a video; give --use_local_file=1"


def _reads_as_path(video: bytes) -> bool:
    """One line of text with a folder or a file extension in it: no video begins like this."""
    text = video.strip()
    if not text or text[:1] in (b"<", b"{", b"[") or any(byte < 32 or byte == 127 for byte in text):
        return False
    return b"/" in text or re.search(rb"\.[A-Za-z0-9]{1,5}$", text) is not None


def _source(record: Record, use_local_file: int) -> Source:
    """What to open. Raises ClipError where the record plainly holds the other of the two, path or bytes."""
    wrong = _wrong_kind(record.video, bool(use_local_file))
    if wrong:
        raise ClipError(wrong)
    return record.path if use_local_file else record.video
