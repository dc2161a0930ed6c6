"""A soak: many clips read and scored in one process, whose memory, open files and threads must not grow.

    python -m tests.campaign.soak --clips 100000 --engine pytorch [--output soak.json]

Readers of a small database of good, odd and bad videos are opened side by side, with arguments of their own, read to
the end, to an error or half way, and closed. Each pass has to give what the first such pass gave, to the bit.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import hashlib
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np

from tests.engines.small_nets import op
from tests.support.hostile_videos import PLAYLISTS, of_format, png
from tests.support.odd_videos import film, made
from tests.support.small_videos import BAD, broken_in_the_middle, cut_off, rotated, silent_sound, video
from vmz.engines.engine import Engine
from vmz.engines.registry import ENGINES, open_engine
from vmz.errors import VmzError
from vmz.files import write_json
from vmz.netdef.builder import NetBuilder, device_option
from vmz.netdef.inputs import VideoSource, add_video_input
from vmz.progress import Progress
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record
from vmz.video.reader import EndOfData

CLASSES = 5
# What memory may rise by in the second half. At 100,000 clips it is about 170 bytes a clip, and above the ups and downs
# of a few MB that samples of a run without a leak show.
MOST_RISE = 8 << 20
SAMPLES = 60  # in the whole soak

COMMON = {
    "batch_size": 4, "num_decode_threads": 2, "length_rgb": 4, "scale_h": 32, "scale_w": 32, "crop_size": 28,
    "wrap_around": 0, "on_bad_video": "skip", "seed": 3,
}  # fmt: skip
WAYS: dict[str, dict[str, Any]] = {
    "uniform": {"decode_type": 1, "clip_per_video": 5, "random_crop": 0, "random_mirror": 0},
    "random": {"decode_type": 0, "video_res_type": 1, "short_edge": 30, "jitter_scales": (30, 36), "shuffle": 1},
    "start frame": {"decode_type": 2, "num_decode_threads": 1, "batch_size": 3},
    "crops": {"decode_type": 1, "clip_per_video": 3, "crop_per_clip": 3, "video_res_type": 1, "short_edge": 32,
              "random_crop": 0, "random_mirror": 0, "autorotate": 1, "num_decode_threads": 3},
    "stop": {"decode_type": 1, "clip_per_video": 2, "on_bad_video": "stop"},
    "half way": {"decode_type": 1, "clip_per_video": 4, "wrap_around": 1},
}  # fmt: skip
FLOW = {"decode_type": 1, "get_optical_flow": 1, "length_of": 2, "frame_gap_of": 1}
HALF_WAY = 5  # batches of a reader that is closed before its end


def contents(folder: Path) -> list[bytes]:
    """Videos of many kinds, in the order of the database."""
    good = [video(folder / f"{number}.mp4", number, frames=12) for number in range(12)]
    odd = [
        made(name)
        for name in ("edit list, cut at both ends", "fewer frames stated", "no index", "varying rate", "hidden frames")
    ]
    odd += [film(14, "ts", "mpeg2video"), film(14, "mkv", "ffv1"), of_format("gif", "gif"), rotated(good[0])]
    early = [cut_off(folder / "cut.mp4"), broken_in_the_middle(folder / "broken.mp4")]
    playlist = PLAYLISTS["ffconcat"][1].encode()
    bad = [BAD, b"", good[1][:300], silent_sound(), png(32, 32), playlist, bytes(5000)]
    rest = itertools.zip_longest(odd, early, bad)
    return [*good[:8], *(one for row in rest for one in row if one is not None), *good[8:]]


def database(folder: Path) -> Path:
    with DatabaseWriter(folder / "db") as writer:
        for number, content in enumerate(contents(folder)):
            writer.write(Record(b"%03d" % number, content, (number % CLASSES,), number % 4, number))
    return folder / "db"


def opened(engine: str, path: Path, args: dict[str, Any]) -> Engine:
    """An engine that reads the database and scores what it reads."""
    arguments = {**COMMON, **args}
    outputs = ("data", *(("flow",) if args.get("get_optical_flow") else ()), "label")
    net = NetBuilder("soak", is_test=True, device=device_option())
    add_video_input(net, VideoSource(str(path), arguments, outputs))
    net.init_net.op.extend(
        [
            op("MSRAFill", "", "conv_w", shape=[4, 3, 1, 3, 3]),
            op("ConstantFill", "", "conv_b", shape=[4], value=0.1),
            op("XavierFill", "", "fc_w", shape=[CLASSES, 4]),
            op("ConstantFill", "", "fc_b", shape=[CLASSES], value=0.0),
        ]
    )
    length, side = arguments["length_rgb"], arguments["crop_size"] // 2
    strides = {"pads": [0, 1, 1, 0, 1, 1], "strides": [1, 2, 2], "order": "NCHW"}
    net.net.op.extend(
        [
            op("Conv", "data conv_w conv_b", "conv", kernels=[1, 3, 3], **strides),
            op("Relu", "conv", "conv"),
            op("AveragePool", "conv", "mean", kernels=[length, side, side]),
            op("FC", "mean fc_w fc_b", "scores"),
            op("Softmax", "scores", "softmax"),
        ]
    )
    net.net.external_input.extend(["conv_w", "conv_b", "fc_w", "fc_b"])
    reader = open_engine(engine, "cpu")
    try:
        reader.load(net.init_net, net.net, seed=1, keep=["softmax", "label", *outputs[1:-1]])
    except BaseException:
        reader.close()
        raise
    return reader


@dataclass
class Pass:
    """One reader's way through the database, batch by batch."""

    way: str
    engine: Engine
    clips: int = 0
    batches: int = 0
    gave: tuple[Any, ...] = ()  # when it is over: what each such pass has to give alike
    digest: Any = field(default_factory=hashlib.sha256)

    def step(self) -> bool:
        """Read and score a batch. False at the end, or at the error that ends the pass."""
        try:
            if self.way == "half way" and self.batches == HALF_WAY:
                raise EndOfData("closed")
            self.engine.run()
        except VmzError as error:
            left_out = [str(one) for one in (*self.engine.skipped, *self.engine.ended_early)]
            reported = left_out if type(error) is EndOfData and self.way != "half way" else ["not counted"]
            self.gave = (self.clips, str(error), self.digest.hexdigest(), *reported)
            return False
        scores, labels = self.engine.fetch("softmax"), self.engine.fetch("label")
        assert np.isfinite(scores).all(), f"scores that are not finite, way {self.way!r}"
        self.digest.update(scores.tobytes() + labels.tobytes())
        self.clips += len(scores)
        self.batches += 1
        return True


def passes(engine: str, path: Path, ways: dict[str, dict[str, Any]], together: int = 3) -> Iterator[Pass]:
    """Passes without end, `together` of them open at a time and taking turns; each is given when it is over."""
    names = itertools.cycle(ways)
    while True:
        with ExitStack() as stack:
            chosen = itertools.islice(names, together)
            mine = [Pass(way, stack.enter_context(opened(engine, path, ways[way]))) for way in chosen]
            active = list(mine)
            while active:
                active = [one for one in active if one.step()]
        yield from mine


@dataclass(frozen=True)
class Sample:
    """All readers are closed when it is taken. memory: resident bytes, without what the allocator holds unused.

    allocated: bytes that malloc has given out and not got back.
    """

    clips: int
    memory: int
    allocated: int
    handles: int
    threads: int


def sample(clips: int) -> Sample:
    gc.collect()
    libc = ctypes.CDLL(None)
    libc.malloc_trim(0)
    libc.mallinfo2.restype = _Mallinfo
    found = libc.mallinfo2()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return Sample(
        clips,
        resident,
        found.uordblks + found.hblkhd,
        len(os.listdir("/proc/self/fd")),
        len(os.listdir("/proc/self/task")),
    )


class _Mallinfo(ctypes.Structure):
    """glibc's mallinfo2: uordblks and hblkhd are what is in use, by blocks and by maps of their own."""

    NAMES = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = [(name, ctypes.c_size_t) for name in NAMES]


def rise(samples: list[Sample], what: str = "memory") -> float:
    """By how many bytes memory rises over the second half, as a line through its samples says."""
    half = samples[len(samples) // 2 :]
    clips, memory = np.array([(one.clips, getattr(one, what)) for one in half], float).T
    return float(np.polyfit(clips - clips[0], memory, 1)[0] * (clips[-1] - clips[0]))


def faults(samples: list[Sample]) -> list[str]:
    """What grows. Of handles and threads the least of the last quarter counts: one may be just about to end."""
    half, quarter = samples[len(samples) // 2 :], samples[len(samples) * 3 // 4 :]
    found = []
    for what in ("memory", "allocated"):
        grows = rise(samples, what)
        if grows > MOST_RISE:
            found.append(f"{what} rises by {grows / 1e6:.1f} MB over the second half; {MOST_RISE / 1e6:.1f} may be")
    for what in ("handles", "threads"):
        before = min(getattr(one, what) for one in half[: len(half) // 2])
        after = min(getattr(one, what) for one in quarter)
        if after > before:
            found.append(f"{what} rise from {before} to {after} over the second half")
    return found


def soak(engine: str, clips: int, folder: Path, quiet: bool = False) -> dict[str, Any]:
    """Read so many clips; the samples, and what is wrong."""
    path = database(folder)
    ways = {**WAYS, **({"flow": FLOW} if _has_flow(engine) else {})}
    first: dict[str, Any] = {}
    samples: list[Sample] = []
    done = ended = 0
    wrong: list[str] = []
    started = time.monotonic()
    with Progress(clips, "clips", f"soak, {engine}", quiet=quiet) as shown:
        for one in passes(engine, path, ways):
            done += one.clips
            ended += 1
            shown.update(one.clips)
            if first.setdefault(one.way, one.gave) != one.gave:
                wrong.append(f"pass {ended}, way {one.way!r}, gave {one.gave}, the first gave {first[one.way]}")
                break
            if done >= len(samples) * clips / SAMPLES:
                samples.append(sample(done))
            if done >= clips:
                break
    samples.append(sample(done))
    ways_read = {way: {"clips": of[0], "reported": [str(one) for one in (of[1], *of[3:])]} for way, of in first.items()}
    return {
        "engine": engine, "clips": done, "passes": ended, "seconds": round(time.monotonic() - started, 1),
        "ways": ways_read,
        "rise_bytes": round(rise(samples)),
        "rise_allocated_bytes": round(rise(samples, "allocated")),
        "faults": [*wrong, *faults(samples)],
        "samples": [vars(one) for one in samples],
    }  # fmt: skip


def _has_flow(engine: str) -> bool:
    if engine == "pytorch":
        from vmz.video.frames.opencv import opencv

        try:
            opencv()
        except VmzError:
            return False
        return True
    from tests.ops.helpers.operator import LIBRARY

    return b"libopencv_video" in LIBRARY.read_bytes()


def line(found: dict[str, Any]) -> str:
    """The result in a line."""
    first, middle, last = (found["samples"][place] for place in (0, len(found["samples"]) // 2, -1))
    memory = "/".join(f"{one['memory'] / 1e6:.0f}" for one in (first, middle, last))
    handles, threads = (f"{middle[what]} -> {last[what]}" for what in ("handles", "threads"))
    return (
        f"soak, {found['engine']}: {found['clips']} clips in {found['passes']} passes, {found['seconds']:.0f} s; MB "
        f"at the start, half way, at the end: {memory}; second half: {found['rise_bytes'] / 1e6:+.1f} MB, of "
        f"malloc's {found['rise_allocated_bytes'] / 1e6:+.1f} MB, files "
        f"{handles}, threads {threads}; {len(found['faults'])} faults"
    )


def main(argv: Optional[list[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=100_000)
    parser.add_argument("--engine", choices=ENGINES, default=ENGINES[0])
    parser.add_argument("--output", metavar="FILE", help="the samples as JSON")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="vmz_soak_") as folder:
        found = soak(options.engine, options.clips, Path(folder))
    print(line(found), flush=True)
    for fault in found["faults"]:
        print(f"    {fault}")
    if options.output:
        write_json(options.output, found)
    return int(bool(found["faults"]))


if __name__ == "__main__":
    sys.exit(main())
