"""Other libraries read clips for reader.py: each in its fastest way, and normalised with ours straight into the batch.

A peer is a class with `name` and `read(path, choose, out)`: it opens a video, asks `choose` for the first frame of each
clip in a video of so many frames, and writes out (clips, 3, length, 112, 112). A thread reads a video, so that as many
videos at a time are read as there are threads: no library gains more from threads of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.filter import Graph

from vmz.video.normalisation import normalise

HEIGHT, WIDTH, CROP = 128, 171, 112
TOP, LEFT = (HEIGHT - CROP) // 2, (WIDTH - CROP) // 2
Choose = Callable[[int], list[int]]
"""Frames of a video -> the first frame of each clip."""


def batch(peer: Any, paths: list[Path], choose: Choose, clips: int, length: int, threads: int) -> np.ndarray:
    """(videos * clips, 3, length, 112, 112) float32, `threads` videos at a time."""
    out = np.empty((len(paths), clips, 3, length, CROP, CROP), np.float32)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda path, rows: peer.read(path, choose, rows), paths, out))
    return out.reshape(-1, *out.shape[2:])


def places(starts: list[int], length: int) -> dict[int, list[tuple[int, int]]]:
    """{frame: the (clip, place in it) that it goes to}"""
    found: dict[int, list[tuple[int, int]]] = {}
    for clip, start in enumerate(starts):
        for place in range(length):
            found.setdefault(start + place, []).append((clip, place))
    return dict(sorted(found.items()))


def put(pixels: np.ndarray, where: list[tuple[int, int]], out: np.ndarray) -> None:
    """Write a frame, uint8 RGB (128, 171, 3), to its places."""
    for clip, place in where:
        normalise(pixels[TOP : TOP + CROP, LEFT : LEFT + CROP], out[clip, :, place])


class ByHand:
    """PyAV: the loop one would write, with the filter graph that gives the original's pixels."""

    name = "PyAV by hand"

    def read(self, path: Path, choose: Choose, out: np.ndarray) -> None:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            frames = list(container.decode(stream))
        scale = Scale(frames[0])
        for number, where in places(choose(len(frames)), out.shape[2]).items():
            put(scale(frames[number]), where, out)


class ByHandSeeking:
    """PyAV: seek to the key frame before the one clip, decode to its end."""

    name = "PyAV by hand, seeking"

    def read(self, path: Path, choose: Choose, out: np.ndarray) -> None:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            rate, base = stream.average_rate, stream.time_base
            assert rate is not None and base is not None
            seconds = float(stream.duration * base) if stream.duration else (container.duration or 0) / av.time_base
            [start] = choose(stream.frames or round(seconds * rate))
            begin = (stream.start_time or 0) + round(start / rate / base)
            container.seek(begin, stream=stream)
            put_clip(container.decode(stream), begin - round(1 / rate / base / 2), out)


class ByHandSeekingByPackets:
    """PyAV: the same where the packets tell which frame is shown when, not the times that a file states.

    For files as they should be: it looks for no damage, no edit lists, no codecs that hide frames.
    """

    name = "PyAV by hand, seeking by packets"

    def read(self, path: Path, choose: Choose, out: np.ndarray) -> None:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            times = sorted(packet.pts for packet in container.demux(stream) if packet.pts is not None)
            [start] = choose(len(times))
            container.seek(times[start], stream=stream)
            put_clip(container.decode(stream), times[start], out)


class Scale:
    """A filter graph from frames like the first one to (128, 171, 3), with one thread."""

    def __init__(self, first: Any) -> None:
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=first.width, height=first.height, format=first.format.name, time_base=Fraction(1, 1000)
        )
        how = f"{WIDTH}:{HEIGHT}:flags=fast_bilinear:in_color_matrix=bt601:in_range=tv:threads=1"
        steps = self._graph.add("scale", how), self._graph.add("format", "rgb24"), self._graph.add("buffersink")
        self._graph.link_nodes(source, *steps)
        self._graph.configure()

    def __call__(self, frame: Any) -> np.ndarray:
        self._graph.push(frame)
        pixels: np.ndarray = self._graph.pull().to_ndarray()
        return pixels


def put_clip(frames: Iterator[Any], earliest: int, out: np.ndarray) -> None:
    """Write the one clip, of the frames that are shown from the time `earliest` on."""
    place, scale = 0, None
    for frame in frames:
        if frame.pts < earliest:
            continue
        scale = scale or Scale(frame)
        put(scale(frame), [(0, place)], out)
        place += 1
        if place == out.shape[2]:
            return


class OpenCV:
    """grab() decodes a frame, retrieve() converts it: only those that clips take."""

    name = "OpenCV"

    def __init__(self) -> None:
        import cv2

        self._cv2: Any = cv2
        cv2.setNumThreads(1)

    def read(self, path: Path, choose: Choose, out: np.ndarray) -> None:
        cv2 = self._cv2
        video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        wanted = places(choose(int(video.get(cv2.CAP_PROP_FRAME_COUNT))), out.shape[2])
        for number in range(max(wanted) + 1):
            if not video.grab():
                break  # of Matroska it states more frames than there are
            if number in wanted:
                pixels = cv2.resize(video.retrieve()[1], (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
                put(pixels[:, :, ::-1], wanted[number], out)
        video.release()


class Decord:
    """Frames by number, scaled by its decoder."""

    name = "decord"

    def __init__(self) -> None:
        import decord

        self._decord: Any = decord

    def read(self, path: Path, choose: Choose, out: np.ndarray) -> None:
        video = self._decord.VideoReader(str(path), width=WIDTH, height=HEIGHT, num_threads=1)
        wanted = places(choose(len(video)), out.shape[2])
        for pixels, where in zip(video.get_batch(list(wanted)).asnumpy(), wanted.values()):
            put(pixels, where, out)


class TorchCodec:
    """Frames by number, scaled by its decoder, or where torchvision is not installed, by OpenCV.

    It needs shared libraries of FFmpeg (LD_LIBRARY_PATH).
    """

    name = "torchcodec"

    def __init__(self) -> None:
        import torch
        from torchcodec.decoders import VideoDecoder

        torch.set_num_threads(1)
        self._decoder: Any = VideoDecoder
        self._options: dict[str, Any] = {}
        try:
            import torchvision  # noqa: F401 - its Resize is made of it
            from torchcodec.transforms import Resize

            self._options = {"transforms": [Resize((HEIGHT, WIDTH))]}
        except (ImportError, RuntimeError):
            self.name = "torchcodec + OpenCV"
            self._cv2 = OpenCV()._cv2

    def read(self, path: Path, choose: Choose, out: np.ndarray) -> None:
        video = self._decoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=1, **self._options)
        wanted = places(choose(len(video)), out.shape[2])
        for pixels, where in zip(video.get_frames_at(list(wanted)).data.numpy(), wanted.values()):
            if not self._options:
                pixels = self._cv2.resize(pixels, (WIDTH, HEIGHT), interpolation=self._cv2.INTER_LINEAR)
            put(pixels, where, out)


class DecodingAlone:
    """All frames of a video, decoded and dropped: what no reader of all of them can do without."""

    name = "decoding alone"

    def read(self, path: Path, choose: Choose, out: np.ndarray) -> None:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            for _ in container.decode(stream):
                pass


def available(kinds: list[Any]) -> tuple[list[Any], list[str]]:
    """The peers that are installed, and a line for each that is not."""
    peers, absent = [], []
    for kind in kinds:
        try:
            peers.append(kind())
        except (ImportError, RuntimeError, OSError) as error:
            absent.append(f"{kind.name}: not installed ({str(error).strip().splitlines()[0]})")
    return peers, absent
