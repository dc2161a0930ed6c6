#!/usr/bin/env python3
"""Synthesise the data set of `make demo-sound`: short videos with sound, whose class needs both.

Four classes: a patch with upright or lying stripes moves over noise while a low or a high tone sounds in noise. Picture
and sound are drawn independently, so that each alone leaves two classes to choose from.

Writes OUTPUT/videos/*.mp4, OUTPUT/list.csv (org_video,label) and OUTPUT/classes.txt (the names of the labels).
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.files import atomic_write
from vmz.progress import Progress

STRIPES, TONES = ("upright", "lying"), {"low": 500.0, "high": 1500.0}  # hertz, each up to a tenth off
HEIGHT, WIDTH, FRAMES, RATE = 128, 172, 30, 25
SAMPLE_RATE, SIDE, PERIOD = 16000, 56, 14  # pixels: of the patch, of its stripes


def main(argv: Sequence[str]) -> int:
    parser = Parser(str(__doc__), "scripts/demo/make_sound_videos.py --output videos --videos_per_class 40")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of videos and list")
    parser.add_argument("--videos_per_class", type=int, default=40, metavar="N", help="videos of each of four classes")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another one gives other videos")
    write(parser.parse_args(list(argv)))
    return 0


def write(options: argparse.Namespace) -> None:
    folder = options.output / "videos"
    folder.mkdir(parents=True, exist_ok=True)
    classes = [(stripes, tone) for stripes in STRIPES for tone in TONES]
    rows = []
    with Progress(len(classes) * options.videos_per_class, "videos", "synthesise") as progress:
        for label, (stripes, tone) in enumerate(classes):
            for number in range(options.videos_per_class):
                path = folder / f"{stripes}_{tone}_{number:03}.mp4"
                random = np.random.default_rng((options.seed, label, number))
                write_video(path, pictures(random, stripes), sound(random, TONES[tone]))
                rows.append((str(path.resolve()), label))
                progress.update()
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("org_video", "label"), *rows])
    with atomic_write(options.output / "list.csv", "w") as stream:
        stream.write(text.getvalue())
    with atomic_write(options.output / "classes.txt", "w") as stream:
        stream.write("".join(f"{stripes} stripes, {tone} tone\n" for stripes, tone in classes))


def pictures(random: np.random.Generator, stripes: str) -> np.ndarray:
    """uint8 (FRAMES, HEIGHT, WIDTH, 3): the patch drifts from one place to another."""
    found = random.normal(110, 20, (FRAMES, HEIGHT, WIDTH, 1)).repeat(3, 3)
    # In the middle part: the crop of 112 pixels sees all of it.
    begin, end = (random.uniform((8, 30), (HEIGHT - SIDE - 8, WIDTH - SIDE - 30)) for _ in range(2))
    wave = 60 * np.sin(2 * np.pi * (np.arange(SIDE) / PERIOD + random.uniform()))
    patch = (np.tile(wave, (SIDE, 1)) if stripes == "upright" else np.tile(wave, (SIDE, 1)).T)[..., None]
    patch = patch * random.uniform(0.6, 1.0, 3)
    for number, frame in enumerate(found):
        top, left = (begin + (end - begin) * number / FRAMES).astype(int)
        frame[top : top + SIDE, left : left + SIDE] += patch
    return found.clip(0, 255).astype(np.uint8)


def sound(random: np.random.Generator, hertz: float) -> np.ndarray:
    """float32 (1, samples): as long as the pictures, and a little longer."""
    times = np.arange(int(SAMPLE_RATE * (FRAMES / RATE + 0.1))) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * (hertz * random.uniform(0.9, 1.1) * times + random.uniform()))
    noise = random.normal(0, 0.05, times.size)
    return (random.uniform(0.1, 0.4) * tone + noise).clip(-1, 1).astype(np.float32)[None]


def write_video(path: Path, frames: np.ndarray, samples: np.ndarray) -> None:
    """H.264 and AAC in MP4."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", "mp4") as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "20", "preset": "veryfast"})
        video.height, video.width, video.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        video.thread_count = 1
        audio = container.add_stream("aac", rate=SAMPLE_RATE)
        audio.layout = "mono"
        for picture in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(video.encode())
        heard = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
        heard.sample_rate = SAMPLE_RATE
        fifo = av.AudioFifo()
        fifo.write(heard)
        while (part := fifo.read(1024, partial=True)) is not None:
            container.mux(audio.encode(part))
        container.mux(audio.encode())
    with atomic_write(path, "wb") as stream:
        stream.write(buffer.getvalue())


if __name__ == "__main__":
    sys.exit(run_tool(main))
