"""Which frames, which size, which crop: pure functions of the arguments and of what a stream states.

Where the original computes in float32 or in integers, so do these: a double gives other frames now and then.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from vmz.video.arguments import FIXED_SIZE, SHORT_EDGE, VideoInputArgs

WORTH_SEEKING = 32  # a start frame before this one is decoded up to, which is no slower than to look for it
SEEK_MARGIN_FRAMES = 10  # how far before the wanted frame the original seeks


def frames_needed(args: VideoInputArgs) -> int:
    """Frames that must follow a clip's start: R in the description of the operator."""
    needed = (args.length_rgb - 1) * max(args.sampling_rate_rgb, args.random_sampling_rate) + 1 if args.get_rgb else 0
    if args.get_optical_flow:  # the flow's arguments count only when flow is asked for
        needed = max(needed, (args.length_of - 1) * args.sampling_rate_of + args.frame_gap_of + 1)
    return needed


def uniform_starts(frames: int, needed: int, clips: int) -> list[int]:
    """First frames of `clips` clips spread evenly over a video of `frames` frames, from its start to its end."""
    if clips == 1:
        return [0]
    step = np.float32(frames - needed) / np.float32(clips - 1)
    return [int(np.floor(np.float32(i) * step)) for i in range(clips)]


def random_start(draw: float, frames: int, needed: int) -> int:
    """The start that `draw`, in [0, 1), means: all that leave `needed` of `frames` frames are equally likely."""
    return int(draw * random_starts(frames, needed))


def random_starts(frames: int, needed: int) -> int:
    """How many starts leave `needed` of `frames` frames."""
    return max(0, frames - needed) + 1


def redrawn(draw: float, expected: int, frames: int, needed: int) -> float:
    """Another draw, where `draw` meant a start among `expected` frames that the video's `frames` frames do not reach.

    Such draws lie above a bound; spread over [0, 1) again they leave all starts equally likely.
    """
    bound = random_starts(frames, needed) / random_starts(expected, needed)
    return max(0.0, (draw - bound) / (1 - bound)) if bound < 1 else draw


def start_timestamp(duration: int, frames: int, start_frame: int) -> int:
    """Timestamp of a frame number in the stream's time base, as if all frames were equally long and began at 0.

    So the original finds a frame; this and the two below are of use with original_start_faults=1 only.
    """
    return _divide(duration * start_frame, frames)


def latest_start(duration: int, frames: int, needed: int) -> int:
    """The last timestamp at which a random clip may start."""
    return max(0, duration - math.ceil(Fraction(duration * needed, frames)))


def seek_timestamp(duration: int, frames: int, start: int) -> int:
    """Where to seek, backward to a key frame, so that the frame at `start` is certainly decoded."""
    return max(0, start - SEEK_MARGIN_FRAMES * duration // frames)


def _divide(numerator: int, denominator: int) -> int:
    """C's integer division, which rounds towards zero."""
    quotient = abs(numerator) // abs(denominator)
    return quotient if (numerator < 0) == (denominator < 0) else -quotient


def scale_short_edge(width: int, height: int, edge: int) -> tuple[int, int]:
    """(width, height) with the short edge scaled to `edge`, in float32."""
    if width < height:
        return edge, _round(np.float32(edge) / np.float32(width) * np.float32(height))
    return _round(np.float32(edge) / np.float32(height) * np.float32(width)), edge


def _round(value: np.float32) -> int:
    """C's round: halves away from zero."""
    return math.floor(float(value) + 0.5)


def output_size(args: VideoInputArgs, width: int, height: int, short_edge: int) -> tuple[int, int]:
    """(width, height) to which the frames of a `width` x `height` video are scaled.

    `short_edge` is the one drawn from jitter_scales or the argument itself; it matters with video_res_type 1 only.
    """
    if args.video_res_type == FIXED_SIZE:
        return args.scale_w, args.scale_h
    if args.video_res_type == SHORT_EDGE:
        return scale_short_edge(width, height, short_edge)
    if min(width, height) < args.crop_size:
        return scale_short_edge(width, height, args.crop_size)
    return width, height


def crop_offsets(width: int, height: int, crop: int, crops: int) -> list[tuple[int, int]]:
    """(top, left) of `crops` square crops: the centre for one, else spread along the longer side, in integers."""
    top, left = (height - crop) // 2, (width - crop) // 2
    if crops == 1:
        return [(top, left)]
    if height < width:
        return [(top, j * (width - crop) // (crops - 1)) for j in range(crops)]
    return [(j * (height - crop) // (crops - 1), left) for j in range(crops)]
