#!/usr/bin/env python3
"""Synthesise the demo's data set: short videos of a moving view, labelled by how the view moves.

Eight classes in four pairs (left/right, up/down, clockwise/anticlockwise, in/out). A single frame tells nothing: the
place, angle and scale that a frame is seen at have the same distribution in every class, and a video played backwards
belongs to the other class of its pair. Only the order of the frames carries the answer.

The videos are hard on purpose, so that a well-trained small network gets about nine of ten right and its page has
something to show: some move slowly, all drift a little in other ways too, the camera shakes, its picture is noisy and
may be pale, and one thing in front moves on its own. All this differs from video to video, but not from class to class.
--plain leaves that out, for a network that has to learn from a few hundred videos in a few minutes.

Writes OUTPUT/videos/*.mp4, OUTPUT/list.csv (org_video,label: what data/create_video_db.py reads) and OUTPUT/classes.txt
(the names of the labels).
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import av
import numpy as np

from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.errors import UsageError, VmzError
from vmz.files import atomic_write
from vmz.progress import Progress

# (x, y, turn, zoom), times the speed: the second class of a pair is the first with the sign changed.
MOTIONS = {
    "left": (-1, 0, 0, 0),
    "right": (1, 0, 0, 0),
    "up": (0, -1, 0, 0),
    "down": (0, 1, 0, 0),
    "clockwise": (0, 0, 1, 0),
    "anticlockwise": (0, 0, -1, 0),
    "in": (0, 0, 0, 1),
    "out": (0, 0, 0, -1),
}
RADIUS = 40  # pixels from the centre: turns and zooms are as fast as what is there moves
HEIGHT, WIDTH, FRAMES, RATE = 128, 172, 32, 25  # the short side that the test asks for, and even, as H.264 wants
TEXTURE = 256  # side of the picture the view moves over; it tiles the plane, so that no place is special


@dataclass(frozen=True)
class Difficulty:
    """What makes a video hard to tell. Ranges are of what is drawn for each video.

    speeds: of the motion, pixels a frame at RADIUS. drift: speed of the other motions that a video may have too, as a
    share of its own motion's. contrast: factor of the picture's. shake: largest standard deviation of the camera's
    place, in pixels. noise: standard deviation of the camera's, of 255. thing: half axes of the thing in front, in
    pixels; None where there is none.
    """

    speeds: Mapping[str, tuple[float, float]]
    drift: float
    contrast: tuple[float, float]
    shake: float
    noise: tuple[float, float]
    thing: Optional[tuple[float, float]]


HARD = Difficulty(
    {"pan": (0.6, 3.0), "turn": (0.5, 1.8), "zoom": (0.35, 1.2)}, 0.4, (0.45, 1.0), 1.2, (4.0, 12.0), (15, 35)
)
PLAIN = Difficulty({"pan": (1.5, 3.5), "turn": (0.9, 2.0), "zoom": (0.6, 1.2)}, 0, (1, 1), 0, (2, 2), None)


@dataclass(frozen=True)
class Path2D:
    """Where the view is at each frame: centre (F, 2) in texture pixels, angle (F,) in radians, log scale (F,)."""

    centre: np.ndarray
    angle: np.ndarray
    log_scale: np.ndarray


def draw_texture(rng: np.random.Generator) -> np.ndarray:
    """A picture that tiles the plane, float32 (TEXTURE, TEXTURE, 3) in 0..255: coloured clouds with shapes on them."""
    frequency = np.hypot(np.fft.fftfreq(TEXTURE)[:, None], np.fft.rfftfreq(TEXTURE)[None, :])
    spectrum = np.exp(-((frequency * rng.uniform(6, 14)) ** 2)) * (frequency > 0)
    noise = np.fft.rfft2(rng.standard_normal((3, TEXTURE, TEXTURE))) * spectrum
    clouds = np.fft.irfft2(noise, s=(TEXTURE, TEXTURE)).transpose(1, 2, 0)
    clouds /= clouds.std() + 1e-6
    picture = rng.uniform(70, 190, 3) + clouds @ rng.uniform(-22, 22, (3, 3))
    y, x = np.mgrid[:TEXTURE, :TEXTURE].astype(np.float32)
    for _ in range(int(rng.integers(8, 20))):
        cx, cy = rng.uniform(0, TEXTURE, 2).astype(np.float32)
        # nearest image of the shape on the torus
        dx, dy = (x - cx + TEXTURE / 2) % TEXTURE - TEXTURE / 2, (y - cy + TEXTURE / 2) % TEXTURE - TEXTURE / 2
        turn = rng.uniform(0, np.pi)
        u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
        a, b = rng.uniform(8, 40, 2)
        inside = (u / a) ** 2 + (v / b) ** 2 < 1 if rng.random() < 0.5 else (abs(u) < a) & (abs(v) < b)
        picture[inside] = rng.uniform(0, 255, 3)
    return np.clip(picture, 0, 255).astype(np.float32)


def draw_path(motion: str, rng: np.random.Generator, how: Difficulty = HARD) -> Path2D:
    """A path of the class: constant speeds from a random place, at an angle and a scale that do not tell the class."""
    x, y, turn, zoom = MOTIONS[motion]
    time = np.arange(FRAMES) - (FRAMES - 1) / 2
    zooming = rng.uniform(-0.15, 0.15) + rng.uniform(*how.speeds["zoom"]) / RADIUS * time
    # Videos that do not zoom stay at one scale of a path that does: frame by frame the scales are the same.
    log_scale = np.full(FRAMES, rng.choice(zooming)) if not zoom else zooming[::zoom]
    speed = RADIUS * (zooming[1] - zooming[0]) if zoom else rng.uniform(*how.speeds["turn" if turn else "pan"])
    # Drift across a pan, not along it: the class is the way that the view moves most.
    across, along, turning = how.drift * rng.uniform(-1, 1, 3)
    step = speed * np.array([x or across, y or (across if x else along)], dtype=float)
    angle = rng.uniform(-np.pi, np.pi) + speed * (turn or turning) / RADIUS * time
    # The view's speed is in frame pixels and along the frame's axes; the picture is what turns under it.
    cos, sin = np.cos(angle), np.sin(angle)
    steps = np.stack([cos * step[0] - sin * step[1], sin * step[0] + cos * step[1]], 1) * np.exp(-log_scale)[:, None]
    return Path2D(rng.uniform(0, TEXTURE, 2) + np.cumsum(steps, 0), angle, log_scale)


def render(texture: np.ndarray, path: Path2D, rng: np.random.Generator, how: Difficulty = HARD) -> np.ndarray:
    """The frames of a path, uint8 (F, HEIGHT, WIDTH, 3), bilinear, with a thing in front, shaken and with noise."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    x, y = x - (WIDTH - 1) / 2, y - (HEIGHT - 1) / 2
    shaken = rng.uniform(0, how.shake) * rng.standard_normal((FRAMES, 2))
    things = draw_thing(rng, how)
    half_axes, place = rng.uniform(*(how.thing or (1, 1)), 2), rng.uniform(0, TEXTURE, 2)
    noise = rng.uniform(*how.noise)
    frames = np.empty((FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    for index in range(FRAMES):
        scale = np.exp(-path.log_scale[index])
        cos, sin = scale * np.cos(path.angle[index]), scale * np.sin(path.angle[index])
        right, down = x + shaken[index, 0], y + shaken[index, 1]
        u = path.centre[index, 0] + cos * right - sin * down
        v = path.centre[index, 1] + sin * right + cos * down
        if how.thing is not None:
            right, down = right - things[index, 0], down - things[index, 1]
            inside = (right / half_axes[0]) ** 2 + (down / half_axes[1]) ** 2 < 1
            u[inside], v[inside] = place[0] + right[inside], place[1] + down[inside]  # a piece of the picture
        frame = sample(texture, u.astype(np.float32), v.astype(np.float32))
        frame += noise * rng.standard_normal(frame.shape, np.float32)
        frames[index] = np.clip(frame, 0, 255)
    return frames


def draw_thing(rng: np.random.Generator, how: Difficulty = HARD) -> np.ndarray:
    """Where the thing in front is at each frame, (F, 2) in pixels from the frame's centre: straight through it."""
    time = np.arange(FRAMES) - (FRAMES - 1) / 2
    direction, speed = rng.uniform(-np.pi, np.pi), rng.uniform(*how.speeds["pan"])
    middle = rng.uniform(-0.4, 0.4, 2) * (WIDTH, HEIGHT)
    return middle + speed * time[:, None] * np.array([np.cos(direction), np.sin(direction)])


def sample(texture: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Bilinear look-up at columns u and rows v (any real numbers: the picture tiles the plane)."""
    left, top = np.floor(u), np.floor(v)
    across, down = (u - left)[..., None], (v - top)[..., None]
    x0, y0 = left.astype(np.intp) % TEXTURE, top.astype(np.intp) % TEXTURE
    x1, y1 = (x0 + 1) % TEXTURE, (y0 + 1) % TEXTURE
    upper = texture[y0, x0] * (1 - across) + texture[y0, x1] * across
    lower = texture[y1, x0] * (1 - across) + texture[y1, x1] * across
    return upper * (1 - down) + lower * down


def encode(frames: np.ndarray) -> bytes:
    """An MP4 of uint8 frames (F, H, W, 3): H.264 where this FFmpeg can write it, MPEG-4 otherwise."""
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=RATE, options={"crf": "20", "preset": "ultrafast", "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        if codec == "mpeg4":
            stream.bit_rate = 1_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def make_video(motion: str, seed: Sequence[int], how: Difficulty = HARD) -> bytes:
    """The MP4 of a video of class `motion`; the same seed gives the same frames."""
    rng = np.random.default_rng(list(seed))
    texture = draw_texture(rng)
    texture = texture.mean() + np.float32(rng.uniform(*how.contrast)) * (texture - texture.mean())
    return encode(render(texture, draw_path(motion, rng, how), rng, how))


def make_dataset(output: Path, videos_per_class: int, seed: int, workers: int = 2, how: Difficulty = HARD) -> Path:
    """Write the videos and their list; returns the list's path. Raises VmzError when `output` holds a list already."""
    listing = output / "list.csv"
    if listing.exists():
        raise VmzError(f"{listing} exists already; remove {output} or name another --output")
    folder = (output / "videos").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(number, label) for number in range(videos_per_class) for label in range(len(MOTIONS))]
    names = list(MOTIONS)

    def make(job: tuple[int, int]) -> tuple[Path, int]:
        number, label = job
        path = folder / f"{names[label]}_{number:04d}.mp4"
        path.write_bytes(make_video(names[label], (seed, number, label), how))
        return path, label

    with Progress(len(jobs), "videos", "make_videos") as shown, ThreadPoolExecutor(workers) as pool:
        rows = []
        for row in pool.map(make, jobs):
            rows.append(row)
            shown.update()
    with atomic_write(listing, "w") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["org_video", "label"])
        writer.writerows((str(path), label) for path, label in rows)
    with atomic_write(output / "classes.txt", "w") as stream:
        stream.write("".join(f"{name}\n" for name in names))
    return listing


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser("Synthesise the demo's videos: eight classes of motion that no single frame can tell apart.")
    parser.add_argument("--output", type=Path, required=True, help="folder to write videos/ and list.csv to")
    parser.add_argument("--videos_per_class", type=int, default=12)
    parser.add_argument("--seed", type=int, default=2, help="the demo network was trained on seed 1")
    parser.add_argument("--workers", type=int, default=2, help="threads")
    parser.add_argument("--plain", action="store_true", help="easy videos: no shaking, no drift, nothing in front")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    options = parse(argv)
    if options.videos_per_class < 1 or options.workers < 1 or options.seed < 0:
        raise UsageError("--videos_per_class and --workers must be at least 1, --seed at least 0")
    how = PLAIN if options.plain else HARD
    listing = make_dataset(options.output, options.videos_per_class, options.seed, options.workers, how)
    print(
        f"{options.videos_per_class * len(MOTIONS)} videos of {len(MOTIONS)} classes ({', '.join(MOTIONS)}): {listing}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(run_tool(main))
