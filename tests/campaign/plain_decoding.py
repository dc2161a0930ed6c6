"""Whether two builds of FFmpeg decode a file alike, by their plainest use, without our readers.

PyAV's wheel holds one FFmpeg, the C++ operator is linked with the system's. Where they differ, our readers do too: that
is no fault of theirs. What is compared is what the readers go by: the frames and duration that are stated, the packets,
and the frames with their times.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any, Optional

import av
import numpy as np

from vmz.video.frames.opened import OPENING

SOURCE = Path(__file__).with_suffix(".c")
SECONDS = 30
NO_TIME = -(1 << 63)


def decode_differently(content: bytes) -> bool:
    """Whether the two do, each in its own process. False where the second cannot be asked: there is no compiler."""
    program = _program()
    if program is None:
        return False
    with tempfile.NamedTemporaryFile(prefix="vmz_campaign_") as file:
        file.write(content)
        file.flush()
        ours = [sys.executable, "-m", "tests.campaign.plain_decoding"]
        return _said([program], file.name) != _said(ours, file.name)


def _said(command: list[str], path: str) -> str:
    try:
        done = subprocess.run([*command, path], capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return "timed out"
    return done.stdout if not done.returncode else f"status {done.returncode}"


@functools.cache
def _program() -> Optional[str]:
    """Made anew in each process that asks."""
    compiler, config = shutil.which("gcc"), shutil.which("pkg-config")
    if compiler is None or config is None:
        return None
    wanted = [config, "--cflags", "--libs", "libavformat", "libavcodec", "libavutil"]
    flags = subprocess.run(wanted, capture_output=True, text=True)
    program = Path(tempfile.mkdtemp(prefix="vmz_campaign_")) / "plain_decoding"
    command = [compiler, "-O2", "-o", str(program), str(SOURCE), *flags.stdout.split()]
    return str(program) if not flags.returncode and not subprocess.run(command).returncode else None


def by_pyav(path: str) -> list[str]:
    """The lines that the program prints, of PyAV's FFmpeg."""
    try:
        with av.open(path, metadata_errors="ignore", container_options=_OPTIONS) as container:
            lines = _lines(container)
    except (av.FFmpegError, OSError, ValueError, UnicodeError):
        return ["not opened"]
    return lines


_OPTIONS = {"format_whitelist": OPENING["format_whitelist"]}


def _lines(container: Any) -> list[str]:
    covers = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & covers]
    if not streams or streams[0].codec_context is None:
        return ["no stream"]
    stream = streams[0]
    stream.codec_context.thread_count = 1
    lines = [f"{stream.frames} frames, {_time(stream.duration)}"]
    try:
        for packet in container.demux(stream):
            if packet.size:
                lines.append(f"packet {_time(packet.pts)} {_time(packet.dts)} {int(packet.is_keyframe)}")
                try:
                    lines += map(_line, stream.codec_context.decode(packet))
                except av.FFmpegError:
                    return [*lines, "ended"]
    except av.FFmpegError:
        return [*lines, "cannot be read"]
    try:
        return [*lines, *map(_line, stream.codec_context.decode(None)), "whole"]
    except av.FFmpegError:
        return [*lines, "ended"]


def _line(frame: Any) -> str:
    total = 1
    for plane in frame.planes:
        pixels = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        total = zlib.adler32(pixels.tobytes(), total)
    return f"frame {_time(frame.pts)} {frame.width}x{frame.height} {total}"


def _time(value: Optional[int]) -> int:
    return NO_TIME if value is None else int(value)


if __name__ == "__main__":
    print("\n".join(by_pyav(sys.argv[1])))
