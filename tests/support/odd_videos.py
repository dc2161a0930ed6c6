"""Small videos of the kinds that readers get wrong, made in memory. Frame i is gray of luma 16 + 4 i (i up to 54)."""

from __future__ import annotations

import functools
import io
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Optional

import av
import numpy as np

WIDTH, HEIGHT = 64, 48
FORMATS = {"mp4": "mp4", "mov": "mov", "mkv": "matroska", "avi": "avi", "ts": "mpegts", "webm": "webm"}


def film(
    count: int = 50,
    ending: str = "mp4",
    codec: str = "libx264",
    times: Optional[Sequence[int]] = None,
    base: Fraction = Fraction(1, 25),
    options: Optional[dict[str, str]] = None,
    pixel_format: str = "yuv420p",
    muxer: Optional[dict[str, str]] = None,
    change: Optional[Callable[[int, bytes], bytes]] = None,
    quarter: bool = False,
) -> bytes:
    """The bytes of a video of `count` frames, shown at `times` (0, 1, 2, ...) in units of `base`; key frames every 12.

    `change`: what becomes of packet number so and so. quarter: the upper left quarter is white.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=FORMATS[ending], options=muxer or {}) as container, same_scheduling():
        stream: Any = container.add_stream(codec, rate=25, options=options or OPTIONS.get(codec, {}))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        stream.codec_context.gop_size = 12
        stream.codec_context.time_base = base
        for place, packet in enumerate(packets(stream, count, times or range(count), base, pixel_format, quarter)):
            container.mux(packet if change is None else changed(packet, change(place, bytes(packet))))
    return file.getvalue()


@contextmanager
def same_scheduling() -> Iterator[None]:
    """Of root SVT-AV1 makes a real-time thread, before all others of the machine, as is all that it starts later."""
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def changed(packet: Any, content: bytes) -> Any:
    """The packet with other content."""
    other = av.Packet(content)
    other.pts, other.dts, other.duration = packet.pts, packet.dts, packet.duration
    other.time_base, other.is_keyframe, other.stream = packet.time_base, packet.is_keyframe, packet.stream
    return other


OPTIONS = {
    "libx264": {"qp": "10", "bf": "2", "x264-params": "keyint=12:scenecut=0:b-adapt=0:log-level=none"},
    "libx265": {"x265-params": "qp=10:keyint=12:bframes=3:scenecut=0:log-level=none:pools=1:frame-threads=1"},
    "libvpx-vp9": {"crf": "10", "b:v": "0", "cpu-used": "8", "deadline": "realtime"},
    "libvpx": {"crf": "4", "b:v": "2M", "cpu-used": "8", "auto-alt-ref": "1", "lag-in-frames": "16"},
    "libsvtav1": {"preset": "12", "crf": "20"},
    "mpeg4": {"qmin": "1", "qmax": "2"},
    "mpeg2video": {"qmin": "1", "qmax": "2"},
}


def packets(
    stream: Any,
    count: int,
    times: Sequence[int],
    base: Fraction,
    pixel_format: str = "yuv420p",
    quarter: bool = False,
) -> list[Any]:
    """The encoded frames."""
    found = []
    for number in range(count):
        frame = picture(number, pixel_format, quarter)
        frame.pts, frame.time_base = times[number], base
        found += stream.encode(frame)
    return [*found, *stream.encode(None)]


def picture(number: int, pixel_format: str, quarter: bool) -> Any:
    """Frame `number`."""
    luma = 16 + 4 * (number % 55)
    if pixel_format == "pal8":
        gray = round((luma - 16) * 255 / 219)
        palette = np.zeros((256, 4), np.uint8)
        palette[7] = (255, gray, gray, gray)
        indexed: Any = (np.full((HEIGHT, WIDTH), 7, np.uint8), palette)  # a pair, which PyAV's annotations lack
        return av.VideoFrame.from_ndarray(indexed, format="pal8")
    frame = av.VideoFrame(WIDTH, HEIGHT, pixel_format)
    for place, plane in enumerate(frame.planes):
        rows = np.full((plane.height, plane.line_size), luma if place == 0 else 128, np.uint8)
        if quarter and place == 0:
            rows[: HEIGHT // 2, : WIDTH // 2] = 235
        plane.update(rows.tobytes())
    return frame


def atom(file: bytes, name: str, start: int = 0) -> int:
    """Where the contents of an MP4 file's first atom of this name begin."""
    return file.index(name.encode(), start) + 4


def patched(file: bytes, place: int, layout: str, *values: int) -> bytes:
    """The file with integers (big-endian unless `layout` says otherwise) written over it."""
    new = struct.pack(layout if layout[0] in "<>" else ">" + layout, *values)
    return file[:place] + new + file[place + len(new) :]


def with_edit_list(file: bytes, first: int, shown: int) -> bytes:
    """An MP4 file that has an edit list, from media time `first` on, `shown` long (movie time)."""
    place = atom(file, "elst")
    assert struct.unpack(">I", file[place + 4 : place + 8]) == (1,)
    return patched(file, place + 8, "II", shown, first)


def rotated(file: bytes, matrix: Sequence[float]) -> bytes:
    """An MP4 file whose track asks to be turned: a, b, c, d of its display matrix."""
    place = atom(file, "tkhd") + 40
    a, b, c, d = (round(value * 65536) for value in matrix)
    return patched(file, place, "iiiii", a, b, 0, c, d)


def with_cover(ending: str, order: Sequence[str]) -> bytes:
    """A film with a cover picture, its streams in this order: "cover", "video", "sound"."""
    file = io.BytesIO()
    codecs = {"cover": "png", "video": "libx264", "sound": "aac"}
    with av.open(file, "w", format=FORMATS[ending]) as container:
        streams: dict[str, Any] = {}
        for name in order:
            streams[name] = container.add_stream(codecs[name], 8000 if name == "sound" else 25)
            if name != "sound":
                streams[name].width, streams[name].height = WIDTH, HEIGHT
                streams[name].pix_fmt = "rgb24" if name == "cover" else "yuv420p"
            streams[name].options = OPTIONS.get(codecs[name], {})
        streams["cover"].disposition = av.stream.Disposition.attached_pic.value
        cover = av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH, 3), 255, np.uint8), format="rgb24")
        coded = streams["cover"].encode(cover) + streams["cover"].encode(None)
        if "video" in order:
            coded += packets(streams["video"], 50, range(50), Fraction(1, 25))
        if "sound" in order:
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            sound.sample_rate = 8000
            coded += streams["sound"].encode(sound) + streams["sound"].encode(None)
        for packet in coded:
            container.mux(packet)
    return file.getvalue()


def superframe(*frames: bytes) -> bytes:
    """VP9 frames in one packet, with the index that tells them apart."""
    marker = bytes([0b11000000 | 3 << 3 | len(frames) - 1])  # sizes of four bytes
    return b"".join(frames) + marker + b"".join(struct.pack("<I", len(frame)) for frame in frames) + marker


def obu(content: bytes) -> bytes:
    """An AV1 frame (its type, its size) of such content."""
    return b"\x32" + bytes([len(content)]) + content


@dataclass(frozen=True)
class Kind:
    """How to make a video, and the numbers of the frames that a player shows, in their order."""

    make: Callable[[], bytes]
    shown: Sequence[int]


OPEN_GOP = {"qp": "10", "bf": "3", "x264-params": "keyint=12:open-gop=1:scenecut=0:b-adapt=0:log-level=none"}
ALL, TWICE = range(50), [*range(25), *range(25)]
VARYING = [9 * i // 2 + (i % 3) for i in range(25)] + [150 + 2 * i for i in range(25)]


def misstated(place: str, offset: int, layout: str, value: int, ending: str = "mp4") -> bytes:
    """A video whose header states something else."""
    file = film(ending=ending, codec="libx264" if ending == "mp4" else "mpeg4")
    return patched(file, file.index(place.encode()) + offset, layout, value)


def all_key_frames() -> bytes:
    """An AVI file whose index calls every frame a key frame."""
    file = film(ending="avi", codec="mpeg4")
    index = file.index(b"idx1")
    for entry in range(50):
        file = patched(file, index + 8 + 16 * entry + 4, "<I", 0x10)
    return file


def times_that_go_back() -> bytes:
    """A Matroska file whose third group of frames, and those after it, lie between the times of the second."""
    file = film(ending="mkv")
    block = file.index(b"\xe7\x81\x00") + 3  # after the time of the cluster, 0
    while file[block] == 0xA3:  # its size, of one byte or two, the track, and the time
        size = 1 if file[block + 1] & 0x80 else 2
        place = block + 1 + size + 1
        (time,) = struct.unpack(">H", file[place : place + 2])
        if time >= 24 * 40:
            file = patched(file, place, "H", time - 460)
        block = place - 1 + (int.from_bytes(file[block + 1 : block + 1 + size], "big") & (1 << 7 * size) - 1)
    return file


KINDS = {
    "plain": Kind(film, ALL),
    "times begin at 3 s": Kind(lambda: film(times=range(75, 125)), ALL),
    "times begin at 3 s, fragments": Kind(
        lambda: film(times=range(75, 125), muxer={"movflags": "frag_keyframe+empty_moov"}), ALL
    ),
    "edit list, begins with a key frame": Kind(lambda: with_edit_list(film(), 14 * 512, 1440), range(12, 48)),
    "edit list, cut at both ends": Kind(lambda: with_edit_list(film(), 22 * 512, 1000), range(20, 45)),
    "fewer frames stated": Kind(lambda: misstated("strh", 40, "<I", 20, "avi"), ALL),
    "more frames stated": Kind(lambda: misstated("strh", 40, "<I", 500, "avi"), ALL),
    "shorter duration stated": Kind(lambda: misstated("mdhd", 20, "I", 2000), ALL),
    "longer duration stated": Kind(lambda: misstated("mdhd", 20, "I", 1 << 30), ALL),
    "key frames are not told": Kind(lambda: film().replace(b"stss", b"free", 1), ALL),
    "key frames that are none": Kind(all_key_frames, ALL),
    "no index": Kind(lambda: (file := film(ending="avi", codec="mpeg4"))[: file.index(b"idx1")], ALL),
    "palette": Kind(lambda: film(ending="avi", codec="rawvideo", pixel_format="pal8"), ALL),
    "varying rate": Kind(lambda: film(times=VARYING, base=Fraction(1, 100)), ALL),
    "varying rate in AVI": Kind(
        lambda: film(ending="avi", codec="mpeg4", times=[i if i < 10 else 3 * i for i in range(50)]), ALL
    ),
    "open GOPs": Kind(lambda: film(options=OPEN_GOP), ALL),
    "B frames in AVI": Kind(lambda: film(ending="avi"), ALL),
    "B frames in Matroska": Kind(lambda: film(ending="mkv"), ALL),
    "open GOPs in Matroska": Kind(lambda: film(ending="mkv", options=OPEN_GOP), ALL),
    "times that go back in Matroska": Kind(times_that_go_back, ALL),
    "hidden frames": Kind(lambda: film(ending="webm", codec="libvpx"), ALL),
    "VP9": Kind(lambda: film(ending="webm", codec="libvpx-vp9"), ALL),
    "times begin again": Kind(lambda: film(25, "ts", "mpeg2video") * 2, TWICE),
    "cover first": Kind(lambda: with_cover("mp4", ["cover", "video"]), ALL),
    "cover last": Kind(lambda: with_cover("mov", ["video", "cover"]), ALL),
}


@functools.cache
def made(name: str) -> bytes:
    """The file of a kind."""
    return KINDS[name].make()
