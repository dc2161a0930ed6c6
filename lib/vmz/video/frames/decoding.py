"""Opening a video and reading its frames in presentation order, through PyAV (FFmpeg in a wheel)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from types import TracebackType
from typing import Any, Callable, Optional

import av
from av.bitstream import BitStreamFilterContext
from av.video.frame import PictureType

from vmz.video.faults import DecodingError
from vmz.video.frames import orientation
from vmz.video.frames.ending import CUT_OFF, Ending, is_cut_off
from vmz.video.frames.opened import MAX_PIXELS, OpenedFile, Source, reason_of
from vmz.video.frames.orientation import UPRIGHT, Orientation
from vmz.video.frames.timeline import PacketTimes, Timeline
from vmz.video.frames.watch import Watch

NO_SIZE = f"its video stream states no picture size, or more than the {MAX_PIXELS} pixels (max_pixels) that are read"

# {codec: options of its decoder}. Of a damaged JPEG the decoder else gives what the last picture left in its memory.
STRICT = {"mjpeg": {"err_detect": "explode"}}
TIMES_MAY_RESTART = 0x200  # FFmpeg's AVFMT_TS_DISCONT
KEY_PICTURES = {PictureType.I, PictureType.NONE}  # NONE: the codec knows no others

PACKETS_A_LOOK = 64  # packets of which nothing is decoded, between two looks at the watch

# A packet of these can hold several frames; apart, those before a damaged one are kept (PyAV decodes a packet as one).
SPLITTERS = {"vp9": "vp9_superframe_split", "libdav1d": "av1_frame_split", "av1": "av1_frame_split"}

# Their decoders can pass over frames that no other frame refers to, and tell damage. HEVC's goes by layers of time (a
# frame of a higher one may refer to what it passes over), MPEG-2's does not tell where it mended a frame.
PASS_OVER = {"h264", "mpeg4"}


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
        self._watch = watch or Watch()
        self.file = OpenedFile(source, self._watch)
        self._container = self.file.container
        self._heard: Any = None  # the audio stream whose packets go to `_take`
        self._take: Optional[Callable[[Any], None]] = None
        self._stream = self.file.video
        if self._stream is None:
            only = ", only a cover picture" if self._container.streams.video else ""
            self.close()
            raise DecodingError(f"the file has no video stream{only}")
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

    @property
    def has_times(self) -> bool:
        """Whether the container states both a duration and a number of frames: without them there is no seeking."""
        return self.duration > 0 and self.frames > 0

    @property
    def can_pass_over(self) -> bool:
        """Whether read_from can leave frames out on its way."""
        return self._stream.codec_context.name in PASS_OVER

    @property
    def rotation(self) -> int:
        """Degrees, counterclockwise, by which its metadata ask players to turn it; known from the first frame on."""
        return self.orientation.rotation

    @property
    def times_may_restart(self) -> bool:
        """Whether times may begin again in its container, as in MPEG-TS: a large gap then is no pause."""
        return bool(int(self._container.format.flags) & TIMES_MAY_RESTART)

    @property
    def start_time(self) -> Optional[int]:
        """Timestamp of the stream's beginning, None where none is stated."""
        return self._stream.start_time  # type: ignore[no-any-return]

    def hear(self, take: Callable[[Any], None]) -> None:
        """Give `take` the packets of the sound (OpenedFile.sound) that lie between those of the frames from here on."""
        self._heard, self._take = self.file.sound, take

    def hear_to_end(self) -> None:
        """Give the packets of the sound from here to the end, the frames passed over."""
        if self._heard is None:
            return
        self._watch.advance()
        with suppress(av.FFmpegError, OSError):  # what there is was heard
            for _ in self._demuxed():
                self.file.watch_over()
        self._heard = None

    def peek_time(self) -> Optional[int]:
        """The pts of the next packet of the frames, which then is passed over."""
        try:
            packet = next((packet for packet in self._demuxed() if packet.size), None)
        except (av.FFmpegError, OSError):
            return None
        return None if packet is None else packet.pts

    def _demuxed(self) -> Iterator[Any]:
        """The packets of the frames from here on. Those of the sound that is heard are given away."""
        if self._heard is None:
            yield from self._container.demux(self._stream)
            return
        for packet in self._container.demux(self._stream, self._heard):
            if packet.stream.index == self._stream.index:
                yield packet
            elif packet.size and self._take is not None:
                self._take(packet)

    def seek(self, timestamp: int) -> bool:
        """Go to the last key frame at or before `timestamp`. Where that fails, reading goes on from where it is.

        The sound is not heard from here on.
        """
        self.frames_read = self.ended_by = self._heard = None
        self._stream.codec_context.skip_frame = "DEFAULT"
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
            for packet in self._demuxed():
                if packet.size:
                    shown, whole = not packet.is_discard, not packet.is_corrupt
                    times = PacketTimes(packet.pts, packet.dts, packet.is_keyframe, shown, whole, packet.size)
                    packets.append(times)
                if len(packets) % PACKETS_A_LOOK == 0:
                    self.file.watch_over()
        except av.FFmpegError:
            pass
        return Timeline(packets, self._stream.codec_context.name, self._stream.codec_context.pix_fmt)

    def packets(self) -> int:
        """Packets of the stream from here to the end: a cheap and good guess at the number of frames."""
        return self.timeline().frames

    def read(self) -> Iterator[tuple[Any, Optional[int]]]:
        """Frames (av.VideoFrame) with their best-effort timestamps, up to the end or the first decoding error."""
        clock = _BestEffortClock()
        for frame in self._decode(self._demuxed()):
            yield frame, clock.timestamp(frame.pts, frame.dts)

    def read_from(self, timeline: Timeline, number: int, every: bool = True) -> Iterator[Any]:
        """Frames from `number` on, by a seek. Raises SeekError where the frames are not those that `timeline` tells.

        every=False: between the key frame and `number`, only what others refer to is decoded, where the codec tells
        that. Damage is a SeekError then: the decoder mends a frame by what it decoded last, be it referred to or not.
        """
        times = timeline.times
        packets, current = self._sought(timeline, number)
        assert times is not None
        first = current
        passes_over = self.can_pass_over and not every
        if passes_over:
            packets = self._passing_over(packets, times[number])
        for frame in self._decode(packets):
            if frame.pts is not None and frame.pts < times[first]:
                continue  # shown before the key frame, which it follows in the file: it may lack what it refers to
            if passes_over:
                if frame.is_corrupt:
                    raise SeekError("a damaged frame")
                if first < current < number and frame.pts is not None:
                    current = bisect_left(times, frame.pts, current, number)
            if current == len(times) or frame.pts != times[current]:
                raise SeekError("a different frame than the packets state")
            if current == first and frame.pict_type not in KEY_PICTURES:
                raise SeekError("a key frame that is not one")
            if current >= number:
                yield frame
            current += 1

    def _passing_over(self, packets: Iterable[Any], before: int) -> Iterator[Any]:
        """The packets. Of the frames shown before that time, the decoder passes over those that none refers to."""
        codec = self._stream.codec_context
        for packet in packets:
            codec.skip_frame = "NONREF" if packet.pts is not None and packet.pts < before else "DEFAULT"
            yield packet

    def _sought(self, timeline: Timeline, number: int) -> tuple[Iterator[Any], int]:
        """Packets from a key frame at or before frame `number` on, and the number of the key frame."""
        for point in timeline.seek_points(number):
            if not self.seek(point):
                continue
            packets = self._demuxed()
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
                        self.file.watch_over()
                        yield frame
                        self._watch.advance()
                    self.file.watch_over()
        except (av.FFmpegError, OSError) as error:  # OSError: of the file itself
            self.ended_by = reason_of(error)
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
        if is_cut_off(self.file.file.plain) and self._lacks_frames():
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
        self.file.close()

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
