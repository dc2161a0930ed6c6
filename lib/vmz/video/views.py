"""The clips of one video that a network looks at, and where in the video they lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Optional, Union

import numpy as np

from vmz.errors import UsageError, VideoError
from vmz.text import counted, printable, quoted
from vmz.video import sampling
from vmz.video.arguments import VideoInputArgs
from vmz.video.clips import ClipError, Clips, check_size, read_clips
from vmz.video.frames.scaling import Scaler
from vmz.video.frames.watch import Watch
from vmz.video.normalisation import normalise
from vmz.video.sound.arguments import AVInputArgs

PUBLISHED, ONE = "published", "one"
Video = Union[str, bytes, np.ndarray]
HowMany = Union[str, int]


@dataclass(frozen=True)
class Views:
    """clips: float32 (clips x crops, C, T, H, W), normalised, clip by clip.

    logmels: float32 (clips x crops, 1, rows, filters) where sound is read beside pictures; sound alone is the clips.
    spans: of each clip, the seconds from the video's first frame to the clip's first and last frame; None where the
    video has no times. crops: of a clip. ended_by: why decoding stopped early, if it did. without_sound: why the
    log-mels are zeros, if they are.
    """

    clips: np.ndarray
    spans: Optional[tuple[tuple[float, float], ...]]
    crops: int
    ended_by: Optional[str] = None
    logmels: Optional[np.ndarray] = None
    without_sound: Optional[str] = None

    @property
    def middle_rows(self) -> range:
        """The rows of the middle crop of each clip."""
        return range(self.crops // 2, len(self.clips), self.crops)


def named(video: Video) -> str:
    """What to call a video in a sentence."""
    if isinstance(video, str):
        return printable(video)
    return (
        f"the video of {counted(len(video), 'byte')}"
        if isinstance(video, bytes)
        else f"the {counted(len(video), 'frame')}"
    )


def read_views(
    video: Video,
    args: VideoInputArgs,
    views: HowMany = PUBLISHED,
    fps: Optional[float] = None,
    watch: Optional[Watch] = None,
) -> Views:
    """The clips of a video: a path, the bytes of a file, or frames as uint8 (T, H, W, 3).

    args: VideoInput's. views: "published" as many clips and crops as args say; "one" the clip and crop in the middle;
    N clips, evenly spaced, of as many crops. fps: of frames, for the times. watch: of whoever waits for it. Raises
    VideoError, naming the video, for one that cannot be read or is too short, and UsageError for views that are none of
    these.
    """
    wanted = replace(args, batch_size=1, decode_type=1, on_bad_video="stop", use_local_file=0)
    if views == ONE:
        wanted = replace(wanted, clip_per_video=3, crop_per_clip=1)  # of which the second is in the middle
    elif isinstance(views, int) and not isinstance(views, bool) and views > 0:
        wanted = replace(wanted, clip_per_video=views)
    elif views != PUBLISHED:
        raise UsageError(f"views is {quoted(views)}, but it must be 'published', 'one' or a number of clips")
    wanted.check()
    try:
        found = _of_frames(video, wanted, fps) if isinstance(video, np.ndarray) else _of_file(video, wanted, watch)
    except ClipError as error:
        raise VideoError(f"{named(video)}: {error}") from error
    if views != ONE:
        return found
    return replace(
        found,
        clips=found.clips[1:2],
        spans=None if found.spans is None else found.spans[1:2],
        logmels=None if found.logmels is None else found.logmels[1:2],
    )


def drawn_clips(video: Union[str, bytes], args: VideoInputArgs, random: np.random.Generator) -> np.ndarray:
    """The clips of a video as the reader draws them: float32 (rows, C, T, H, W). Raises ClipError."""
    clips = _empty(args)
    read_clips(video, None, args, random, clips)
    data = clips.data if args.get_rgb else clips.flow
    assert data is not None
    return data


def _of_file(video: Union[str, bytes], args: VideoInputArgs, watch: Optional[Watch]) -> Views:
    clips = _empty(args)
    reading = read_clips(video, None, args, np.random.default_rng(0), clips, watch, timed=True)
    first, *more = (one for one in (clips.data, clips.flow, clips.logmels) if one is not None)
    return Views(
        clips=first,
        spans=reading.spans or None,
        crops=args.crop_per_clip,
        ended_by=reading.ended.reason if reading.ended else None,
        logmels=more[0] if more else None,
        without_sound=reading.without_sound or None,
    )


def _empty(args: VideoInputArgs) -> Clips:
    side = args.crop_size
    rgb = np.empty((args.rows, 3, args.length_rgb, side, side), np.float32) if args.get_rgb else None
    flow = None
    if args.get_optical_flow:
        flow = np.empty((args.rows, args.flow_channels, args.length_of, side, side), np.float32)
    logmels = None
    if isinstance(args, AVInputArgs) and args.hears:
        logmels = np.empty((args.rows, 1, args.logmel_frames, args.logmel_filters), np.float32)
    return Clips(rgb, flow, logmels)


def _resampled(frames: np.ndarray, wanted: int, fps: Optional[float]) -> np.ndarray:
    """Those of so many a second. Raises UsageError where their own rate is not known."""
    if not fps:
        raise UsageError(f"fps={wanted} resamples videos, but the rate of these frames is not known; give it as fps=")
    step = Fraction(fps).limit_denominator(1001) / wanted
    count = int((len(frames) - 1) / step) + 1
    return frames[[int(number * step) for number in range(count)]]


def _of_frames(frames: np.ndarray, args: VideoInputArgs, fps: Optional[float]) -> Views:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape:
        raise UsageError(f"the frames are {frames.dtype} {frames.shape}, but they must be uint8 (T, H, W, 3), RGB")
    if args.get_optical_flow:
        raise UsageError("a network of optical flow takes a video file, not frames")
    if args.hears:
        raise UsageError("a network that hears takes a video file: frames have no sound")
    import av

    if args.fps:
        frames, fps = _resampled(frames, args.fps, fps), args.fps
    needed = sampling.frames_needed(args)
    if len(frames) < needed:
        raise ClipError(f"{counted(len(frames), 'frame')}, but {needed} are needed for a clip")
    size = sampling.output_size(args, frames.shape[2], frames.shape[1], args.short_edge)
    check_size(size, args)
    scaler = Scaler(*size)
    scaled = [scaler.convert(av.VideoFrame.from_ndarray(np.ascontiguousarray(one), "rgb24")).copy() for one in frames]
    starts = sampling.uniform_starts(len(frames), needed, args.clips)
    offsets = sampling.crop_offsets(*size, args.crop_size, args.crop_per_clip)
    clips = _empty(args).data
    assert clips is not None
    for row in range(args.rows):
        start, (top, left) = starts[row // args.crop_per_clip], offsets[row % args.crop_per_clip]
        for place in range(args.length_rgb):
            pixels = scaled[start + place * args.sampling_rate_rgb]
            normalise(pixels[top : top + args.crop_size, left : left + args.crop_size], clips[row, :, place])
    spans = tuple((start / fps, (start + needed - 1) / fps) for start in starts) if fps else None
    return Views(clips, spans, args.crop_per_clip)
