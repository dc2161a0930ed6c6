"""Opening a video and reading its frames in presentation order, through PyAV (FFmpeg in a wheel)."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import Any, Optional, Union

import av

from vmz.video.ending import CUT_OFF, Ending, is_cut_off

Source = Union[bytes, str]  # the bytes of a file, or its path


class DecodingError(Exception):
    """A video that cannot be opened; the message is the reason only."""


class Video:
    """The first video stream of a file. Frames come one after the other; one thread at a time.

    `duration` (in the stream's time base), `frames` and `rate` (frames a second, on average) are what the container
    states, 0 where it does not; `seconds` is the duration as far as stream or container state it. `format` is FFmpeg's
    name of the container.
    `ended_by` tells after reading whether a decoding error ended the video early: the frames before it are good.
    """

    def __init__(self, source: Source) -> None:
        self.ended_by: Optional[str] = None
        self.frames_read: Optional[int] = 0  # from the start; None once it was sought
        self._last_time: Optional[int] = None
        self._is_over = False
        self._file = _open_file(source)
        self._container: Any = None
        try:
            self._container = av.open(self._file, mode="r", metadata_errors="ignore")
        except (av.FFmpegError, OSError, ValueError, UnicodeError) as error:
            self.close()
            raise DecodingError(f"not a video that can be opened ({_reason(error)})") from error
        streams = self._container.streams.video
        if not streams:
            self.close()
            raise DecodingError("the file has no video stream")
        self._stream = streams[0]
        codec = self._stream.codec_context
        if codec is None:
            self.close()
            raise DecodingError("there is no decoder for its video stream")
        codec.thread_count = 1  # many videos at a time use the processors better than many threads on one
        self.format: str = self._container.format.name
        self.width: int = codec.width
        self.height: int = codec.height
        self.duration: int = self._stream.duration or 0
        self.frames: int = self._stream.frames or 0
        self.rate: float = float(self._stream.average_rate or 0)
        self.time_base = Fraction(self._stream.time_base or 0)  # seconds of one unit of a timestamp
        whole = self._container.duration  # in microseconds; some containers state no other
        self.seconds = float(self.duration * self.time_base) or (whole or 0) / av.time_base
        if not self.width or not self.height:
            self.close()
            raise DecodingError("its video stream states no picture size")

    @property
    def has_times(self) -> bool:
        """Whether the container states both a duration and a number of frames: without them there is no seeking."""
        return self.duration > 0 and self.frames > 0

    def seek(self, timestamp: int) -> None:
        """Go to the last key frame at or before `timestamp`. Where that fails, reading goes on from where it is."""
        self.frames_read = None
        try:
            self._container.seek(timestamp, stream=self._stream, backward=True)
        except av.FFmpegError:
            return

    def packets(self) -> int:
        """Packets of the stream from here to the end: a cheap and good guess at the number of frames."""
        count = 0
        try:
            for packet in self._container.demux(self._stream):
                count += packet.size > 0
        except av.FFmpegError:
            pass
        return count

    def read(self) -> Iterator[tuple[Any, Optional[int]]]:
        """Frames (av.VideoFrame) with their best-effort timestamps, up to the end or the first decoding error."""
        clock = _BestEffortClock()
        try:
            for packet in self._container.demux(self._stream):
                for frame in packet.decode():
                    timestamp = clock.timestamp(frame.pts, frame.dts)
                    self._note(timestamp)
                    yield frame, timestamp
        except (av.FFmpegError, OSError) as error:  # OSError: of the file itself
            self.ended_by = _reason(error)
        self._is_over = True

    def _note(self, timestamp: Optional[int]) -> None:
        self.frames_read = None if self.frames_read is None else self.frames_read + 1
        if timestamp is not None:
            self._last_time = timestamp if self._last_time is None else max(self._last_time, timestamp)

    @property
    def ending(self) -> Optional[Ending]:
        """How reading ended, if before the video's end; None after the true end, and while there is more to read."""
        if not self._is_over:
            return None
        if self.ended_by is not None:
            return Ending(self.frames_read, self.ended_by)
        if is_cut_off(self._file) and self._lacks_frames():
            return Ending(self.frames_read, CUT_OFF)
        return None

    def _lacks_frames(self) -> bool:
        """Whether fewer frames came than are stated. MP4 may state more than it shows (edit lists), so time counts."""
        fewer = self.frames_read is None or self.frames_read < self.frames
        if self.frames and not self.format.startswith("mov"):
            return fewer
        start = self._stream.start_time or 0
        last = 0.0 if self._last_time is None else float((self._last_time - start) * self.time_base)
        too_short = bool(self.rate) and last + 1.5 / self.rate < self.seconds
        return too_short and (fewer or not self.frames)

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
        self._file.close()

    def __enter__(self) -> Video:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


class _BestEffortClock:
    """FFmpeg's `best_effort_timestamp`, which PyAV does not hand on: the pts, or the dts where the pts are worse.

    The rule is the one of libavcodec's decoder: whichever of the two went backwards less often so far.
    """

    def __init__(self) -> None:
        self._last_pts: Optional[int] = None
        self._last_dts: Optional[int] = None
        self._faulty_pts = self._faulty_dts = 0

    def timestamp(self, pts: Optional[int], dts: Optional[int]) -> Optional[int]:
        if dts is not None:
            self._faulty_dts += self._last_dts is not None and dts <= self._last_dts
            self._last_dts = dts
        elif pts is not None:
            self._last_dts = pts
        if pts is not None:
            self._faulty_pts += self._last_pts is not None and pts <= self._last_pts
            self._last_pts = pts
        elif dts is not None:
            self._last_pts = dts
        if pts is not None and (dts is None or self._faulty_pts <= self._faulty_dts):
            return pts
        return dts


class _NamelessFile:
    """A file without its name: FFmpeg must tell the format from the content, as it does for bytes, not from `.txt`."""

    def __init__(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe must not make us wait for ever
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise ValueError("it is not a regular file")
        file = open(descriptor, "rb")  # noqa: SIM115 - closed by whoever holds this
        self.read, self.seek, self.tell, self.close = file.read, file.seek, file.tell, file.close


def read_bytes(source: Source) -> bytes:
    """All of a file. DecodingError where it cannot be read."""
    if isinstance(source, bytes):
        return source
    file = _open_file(source)
    try:
        return bytes(file.read())
    finally:
        file.close()


def _open_file(source: Source) -> Any:
    if isinstance(source, bytes):
        if not source:
            raise DecodingError("it holds no bytes")
        return io.BytesIO(source)
    try:
        return _NamelessFile(source)
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DecodingError(f"cannot read the file ({reason}){_where_it_looked(source)}") from error


def _where_it_looked(path: str) -> str:
    if os.path.isabs(path) or "\0" in path:
        return ""
    return (
        f": looked for {os.path.join(os.getcwd(), path)}; a relative path starts at the working directory, so run the "
        "tool in the folder that the list was made for"
    )


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)
