"""What chance decides for one video."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vmz.video.arguments import VideoInputArgs


@dataclass(frozen=True)
class Draws:
    """What chance decides for one video, drawn before decoding so that it never depends on how decoding goes."""

    short_edge: int
    strides: tuple[int, ...]
    start: float  # where a random clip starts, in [0, 1)
    crops: tuple[tuple[float, float], ...]  # where random crops lie, from the top and from the left, in [0, 1)
    mirrors: tuple[bool, ...]


def draw(args: VideoInputArgs, random: np.random.Generator) -> Draws:
    """Draw all of it."""
    return Draws(
        short_edge=int(random.choice(args.drawn_edges)) if args.drawn_edges else args.short_edge,
        strides=tuple(int(s) for s in random.integers(1, args.random_sampling_rate + 1, args.clips))
        if args.random_sampling_rate
        else (args.sampling_rate_rgb,) * args.clips,
        start=float(random.random()),
        crops=tuple((float(y), float(x)) for y, x in random.random((args.clips, 2))),
        mirrors=tuple(bool(args.random_mirror and draw < 0.5) for draw in random.random(args.clips)),
    )
