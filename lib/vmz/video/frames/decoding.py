"""Opening a video and reading its frames in presentation order, through PyAV (FFmpeg in a wheel)."""

from __future__ import annotations

import ctypes
import errno
import io
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from types import TracebackType
from typing import Any, Optional, Union

import av
from av.bitstream import BitStreamFilterContext
from av.video.frame import PictureType

from vmz.files import open_regular
from vmz.video.faults import DecodingError, shown_path
from vmz.video.frames import containers, orientation
from vmz.video.frames.ending import CUT_OFF, Ending, is_cut_off
from vmz.video.frames.orientation import UPRIGHT, Orientation
from vmz.video.frames.timeline import PacketTimes, Timeline
from vmz.video.frames.watch import Watch

Source = Union[bytes, str]  # the bytes of a file, or its path

MAX_PIXELS = 1 << 26  # of a picture: twice an 8K frame. Damaged headers, and files made to harm, state absurd sizes.
NO_SIZE = f"its video stream states no picture size, or more than the {MAX_PIXELS} pixels (max_pixels) that are read"

# As container_options: with other ones PyAV 15 frees what it has not made where a container finds a stream late.
OPENING = {"format_whitelist": containers.FORMATS, "protocol_whitelist": containers.NO_PROTOCOL}
# {codec: options of its decoder}. Of a damaged JPEG the decoder else gives what the last picture left in its memory.
STRICT = {"mjpeg": {"err_detect": "explode"}}
TIMES_MAY_RESTART = 0x200  # FFmpeg's AVFMT_TS_DISCONT
KEY_PICTURES = {PictureType.I, PictureType.NONE}  # NONE: the codec knows no others

PACKETS_A_LOOK = 64  # packets of which nothing is decoded, between two looks at the watch

# A packet of these can hold several frames; apart, those before a damaged one are kept (PyAV decodes a packet as one).
SPLITTERS = {"vp9": "vp9_superframe_split", "libdav1d": "av1_frame_split", "av1": "av1_frame_split"}


def _limit_allocations() -> None:
    """Have PyAV's FFmpeg refuse memory for pictures of more than MAX_PIXELS.

    It decodes a picture to find its size while a file is opened, where PyAV takes no limit; then this is one.
    """
    try:
        limit = ctypes.CDLL(av._core.__file__).av_max_alloc  # found in the libraries that this one is linked with
    except (OSError, AttributeError):
        return  # then it is the decoder's limit alone, which counts after that first picture
    limit.argtypes, limit.restype = [ctypes.c_size_t], None
    limit(8 * MAX_PIXELS + (1 << 20))  # 16 bits of R, G, B, A, and what is laid around them


_limit_allocations()


class SeekError(Exception):
    """A frame that seeking does not lead to: the video has to be decoded from its start."""


class Video:
    """The first video stream of a file, cover pictures passed over. Frames come one by one; one thread at a time.

    `duration` (in the stream's time base), `frames` and `rate` (frames a second, on average) are what the container
    states, 0 where it does not; `seconds` is the duration as far as stream or container state it. `format` is FFmpeg's
    name of the container.
    `ended_by` tells after reading whether a decoding error ended the video early: the frames before it are good.
    `orientation` is what its display matrix asks for, known from the first frame on; frames are given as they are.
    watch: how long it may go without progress. Whatever reads the video raises DecodingError when it is over.
    """

    def __init__(self, source: Source, watch: Optional[Watch] = None) -> None:
        self.ended_by: Optional[str] = None
        self.frames_read: Optional[int] = 0  # from the start; None once it was sought
        self._last_time: Optional[int] = None
        self._is_over = False
        self.orientation: Orientation = UPRIGHT
        self._container: Any = None
        self._watch = watch or Watch()
        self._watch.begin()
        self._file = _WatchedFile(_open_file(source), self._watch)
        try:
            self._container = self._open()
        except DecodingError:
            self.close()
            raise
        streams = [stream for stream in self._container.streams.video if not _is_cover(stream)]
        if not streams:
            covers = len(self._container.streams.video)
            self.close()
            only = ", only a cover picture" if covers else ""
            raise DecodingError(f"the file has no video stream{only}")
        self._stream = streams[0]
        codec = self._stream.codec_context
        if codec is None:
            self.close()
            raise DecodingError("there is no decoder for its video stream")
        codec.options = {**codec.options, "max_pixels": str(MAX_PIXELS), **STRICT.get(codec.name, {})}
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
        if not 0 < self.width * self.height <= MAX_PIXELS:
            self.close()
            raise DecodingError(NO_SIZE)

    def _open(self) -> Any:
        """The container. Raises DecodingError for what is no plain one with its pictures in it."""
        why = containers.refusal(self._file.read(containers.HEAD_BYTES))
        self._file.seek(0)
        if why is not None:
            raise DecodingError(f"not a video that can be opened ({why})")
        try:
            container: Any = av.open(self._file, mode="r", metadata_errors="ignore", container_options=OPENING)
        except (av.FFmpegError, OSError, ValueError, UnicodeError) as error:
            other = getattr(error, "errno", None) == errno.EINVAL  # what FFmpeg says of a format that is not listed
            why = containers.OTHER_FORMAT if other else _reason(error)
            raise DecodingError(f"not a video that can be opened ({why})") from error
        if container.format.name.startswith("mov") and self._file.pictures_lie_elsewhere():
            container.close()
            raise DecodingError(f"not a video that can be opened ({containers.ELSEWHERE})")
        return container

    @property
    def has_times(self) -> bool:
        """Whether the container states both a duration and a number of frames: without them there is no seeking."""
        return self.duration > 0 and self.frames > 0

    @property
    def rotation(self) -> int:
        """Degrees, counterclockwise, by which its metadata ask players to turn it; known from the first frame on."""
        return self.orientation.rotation

    @property
    def times_may_restart(self) -> bool:
        """Whether times may begin again in its container, as in MPEG-TS: a large gap then is no pause."""
        return bool(int(self._container.format.flags) & TIMES_MAY_RESTART)

    def seek(self, timestamp: int) -> bool:
        """Go to the last key frame at or before `timestamp`. Where that fails, reading goes on from where it is."""
        self.frames_read = None
        self._watch.advance()
        try:
            self._container.seek(timestamp, stream=self._stream, backward=True)
            return True
        except av.FFmpegError:
            return False

    def timeline(self) -> Timeline:
        """What the packets from here to the end tell, read but not decoded. After it, only read_from can follow."""
        packets = []
        self._watch.advance()
        try:
            for packet in self._container.demux(self._stream):
                if packet.size:
                    shown, whole = not packet.is_discard, not packet.is_corrupt
                    times = PacketTimes(packet.pts, packet.dts, packet.is_keyframe, shown, whole, packet.size)
                    packets.append(times)
                if len(packets) % PACKETS_A_LOOK == 0:
                    self._watch_over()
        except av.FFmpegError:
            pass
        return Timeline(packets, self._stream.codec_context.name, self._stream.codec_context.pix_fmt)

    def packets(self) -> int:
        """Packets of the stream from here to the end: a cheap and good guess at the number of frames."""
        return self.timeline().frames

    def read(self) -> Iterator[tuple[Any, Optional[int]]]:
        """Frames (av.VideoFrame) with their best-effort timestamps, up to the end or the first decoding error."""
        clock = _BestEffortClock()
        for frame in self._decode(self._container.demux(self._stream)):
            yield frame, clock.timestamp(frame.pts, frame.dts)

    def read_from(self, timeline: Timeline, number: int) -> Iterator[Any]:
        """Frames from `number` on, by a seek. Raises SeekError where the frames are not those that `timeline` tells."""
        times = timeline.times
        packets, current = self._sought(timeline, number)
        assert times is not None
        first = current
        for frame in self._decode(packets):
            if frame.pts is not None and frame.pts < times[first]:
                continue  # shown before the key frame, which it follows in the file: it may lack what it refers to
            if current == len(times) or frame.pts != times[current]:
                raise SeekError("a different frame than the packets state")
            if current == first and frame.pict_type not in KEY_PICTURES:
                raise SeekError("a key frame that is not one")
            if current >= number:
                yield frame
            current += 1

    def _sought(self, timeline: Timeline, number: int) -> tuple[Iterator[Any], int]:
        """Packets from a key frame at or before frame `number` on, and the number of the key frame."""
        for point in timeline.seek_points(number):
            if not self.seek(point):
                continue
            packets = self._container.demux(self._stream)
            try:
                first = next((packet for packet in packets if packet.size), None)
            except av.FFmpegError:
                continue
            found = None if first is None or not first.is_keyframe else timeline.frame_at(first.pts, number)
            if found is not None:
                return chain([first], packets), found
        raise SeekError("no key frame before it is found")

    def _decode(self, packets: Iterable[Any]) -> Iterator[Any]:
        """Frames, up to the end or the first error. Those before the error are kept, as FFmpeg gives them."""
        codec = self._stream.codec_context
        splitter = SPLITTERS.get(codec.name)
        split = None if splitter is None else BitStreamFilterContext(splitter, self._stream)
        is_first = True
        self._watch.advance()
        try:
            for packet in chain(packets, [None]):
                if packet is not None and not packet.size:  # to a decoder no packet, but the end
                    continue
                for part in (packet,) if split is None or packet is None else split.filter(packet):
                    for frame in codec.decode(part):
                        if is_first:
                            self.orientation, is_first = orientation.of_frame(frame), False
                        self._note(frame.pts)
                        self._watch_over()
                        yield frame
                        self._watch.advance()
                    self._watch_over()
        except (av.FFmpegError, OSError) as error:  # OSError: of the file itself
            self.ended_by = _reason(error)
        self._is_over = True

    def _watch_over(self) -> None:
        if self._watch.is_over():
            raise DecodingError(self._watch.reason)

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
        if is_cut_off(self._file.plain) and self._lacks_frames():
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


class _WatchedFile:
    """A file without its name: FFmpeg must tell the format from the content, as it does for bytes, not from `.txt`."""

    def __init__(self, plain: Any, watch: Watch) -> None:
        self.plain = plain
        self._watch = watch
        self.seek, self.tell, self.close = plain.seek, plain.tell, plain.close

    def read(self, count: int = -1) -> bytes:
        if self._watch.is_over():
            raise DecodingError(self._watch.reason)
        content: bytes = self.plain.read(count)
        self._watch.reached(self.plain.tell())
        return content

    def pictures_lie_elsewhere(self) -> bool:
        position = self.tell()
        size = self.seek(0, os.SEEK_END)
        self.seek(position)
        return containers.pictures_lie_elsewhere(self.plain, size)


def read_bytes(source: Source) -> bytes:
    """All of a file. DecodingError where it cannot be read."""
    if isinstance(source, bytes):
        return source
    file = _open_file(source)
    try:
        return bytes(file.read())
    finally:
        file.close()


def _is_cover(stream: Any) -> bool:
    """Whether it is a picture that belongs to the file, as music has one, not a stream of frames."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _open_file(source: Source) -> Any:
    if isinstance(source, bytes):
        if not source:
            raise DecodingError("it is empty")
        return io.BytesIO(source)
    try:
        return open_regular(source)
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DecodingError(f"cannot read the file ({reason}){_where_it_looked(source)}") from error


def _where_it_looked(path: str) -> str:
    if os.path.isabs(path) or "\0" in path:
        return ""
    return (
        f": looked for {shown_path(os.path.join(os.getcwd(), path))}; a relative path starts at the working directory, "
        "so run the tool in the folder that the list was made for"
    )


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)
