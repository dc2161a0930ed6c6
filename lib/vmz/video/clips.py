"""The clips of one video: which frames they take, decoded once, converted once and written straight into the batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Optional

import numpy as np

from vmz.errors import VmzError
from vmz.video import sampling
from vmz.video.arguments import FROM_START_FRAME, UNIFORM, VideoInputArgs
from vmz.video.decoding import DecodingError, Source, Video
from vmz.video.ending import Ending
from vmz.video.flow import Crop, FlowWriter, cropped
from vmz.video.images import read_image
from vmz.video.scaling import Scaler, normalise


class ClipError(VmzError):
    """A video that cannot give the clips; the message is the reason only, the caller knows which video it was."""


@dataclass(frozen=True)
class Clips:
    """Where the clips of one video go, where they are asked for: float32 (clips * crops, channels, length, crop, crop).

    data: RGB. flow: optical flow.
    """

    data: Optional[np.ndarray]
    flow: Optional[np.ndarray] = None


def read_clips(
    source: Source, start_frame: Optional[int], args: VideoInputArgs, random: np.random.Generator, out: Clips
) -> Optional[Ending]:
    """Decode a video, or with image_as_input an image, and write its clips, normalised, to their places.

    `start_frame` is the record's, used with decode_type 2. Raises ClipError with the reason when the video cannot be
    opened or is too short; `out` then holds nothing of use. Returns how reading ended, if before the video's end: the
    clips are of what came before. A clip that lies before that says nothing of it.
    """
    draws = _draw(args, random)
    ending: Optional[Ending] = None
    try:
        if args.image_as_input:
            image = read_image(source, args.scale_w, args.scale_h)
            _ClipWriter((args.scale_w, args.scale_h), args, draws, out).write_crops(image, 0, 0)
            return None
        with Video(source) as video:
            writer = _ClipWriter(_output_size(video, args, draws), args, draws, out)
            if args.decode_type != UNIFORM and video.has_times:
                if _read_by_time(video, writer, _start_time(video, start_frame, args, draws), args):
                    return None
                expected: Optional[int] = video.frames
            else:
                stated = video.frames or _count_packets(source, args)
                expected = _read_by_number(video, writer, stated, start_frame, args, draws)
            ending = video.ending
        for _ in range(2):
            if expected is None:
                return ending
            with Video(source) as video:  # the container misstated times or number of frames, on which clips depend
                writer = _ClipWriter(_output_size(video, args, draws), args, draws, out)
                expected = _read_by_number(video, writer, expected, start_frame, args, draws)
                ending = video.ending or ending
        if expected is not None:
            raise ClipError("it gives another number of frames each time it is read")
        return ending
    except DecodingError as error:
        raise ClipError(str(error)) from error


@dataclass(frozen=True)
class _Draws:
    """What chance decides for one video, drawn before decoding so that it never depends on how decoding goes."""

    short_edge: int
    strides: tuple[int, ...]
    start: float  # where a random clip starts, in [0, 1)
    crops: tuple[tuple[float, float], ...]  # where random crops lie, from the top and from the left, in [0, 1)
    mirrors: tuple[bool, ...]


def _draw(args: VideoInputArgs, random: np.random.Generator) -> _Draws:
    return _Draws(
        short_edge=int(random.choice(args.drawn_edges)) if args.drawn_edges else args.short_edge,
        strides=tuple(int(s) for s in random.integers(1, args.random_sampling_rate + 1, args.clips))
        if args.random_sampling_rate
        else (args.sampling_rate_rgb,) * args.clips,
        start=float(random.random()),
        crops=tuple((float(y), float(x)) for y, x in random.random((args.clips, 2))),
        mirrors=tuple(bool(args.random_mirror and draw < 0.5) for draw in random.random(args.clips)),
    )


def _output_size(video: Video, args: VideoInputArgs, draws: _Draws) -> tuple[int, int]:
    width, height = sampling.output_size(args, video.width, video.height, draws.short_edge)
    if min(width, height) < args.crop_size:
        raise ClipError(f"its frames become {width}x{height}, smaller than crop_size={args.crop_size}")
    return width, height


def _start_time(video: Video, start_frame: Optional[int], args: VideoInputArgs, draws: _Draws) -> int:
    if args.decode_type == FROM_START_FRAME:
        return sampling.start_timestamp(video.duration, video.frames, start_frame or 0)
    latest = sampling.latest_start(video.duration, video.frames, sampling.frames_needed(args))
    return int(draws.start * (latest + 1))


def _read_by_time(video: Video, writer: _ClipWriter, start: int, args: VideoInputArgs) -> bool:
    """One clip of the frames shown at or after the timestamp `start`.

    False when a start that was drawn leaves too few frames: the frames of a varying rate are denser elsewhere.
    """
    video.seek(sampling.seek_timestamp(video.duration, video.frames, start))
    frames = (frame for frame, timestamp in video.read() if timestamp is not None and timestamp >= start)
    needed = sampling.frames_needed(args)
    found = writer.write(frames, [0], needed)
    if found < needed and (args.decode_type == FROM_START_FRAME or args.original_start_faults):
        raise ClipError(f"{_frames(found, video)} from its start frame on, but {_needs(needed, args)}")
    return found >= needed


def _read_by_number(
    video: Video, writer: _ClipWriter, expected: int, start_frame: Optional[int], args: VideoInputArgs, draws: _Draws
) -> Optional[int]:
    """Clips at frame numbers, chosen for a video of `expected` frames.

    Returns the true number of frames if it is another one and other clips would have been chosen for it, else None.
    """
    needed = sampling.frames_needed(args)
    starts = _starts(min(expected, sampling.MAX_FRAMES), needed, start_frame, args, draws)
    # Several uniform clips depend on the number of frames, which is only known at the end.
    uniform = args.clips > 1 and not args.clip_start_positions
    stop = None if uniform else max(starts) + needed
    found = writer.write((frame for frame, _ in video.read()), starts, stop)
    if found >= (stop or needed):
        return found if uniform and found != expected else None
    if found >= needed and args.decode_type not in (UNIFORM, FROM_START_FRAME) and starts != [0]:
        return found
    since = f" (and {needed} from frame {max(starts)} on)" if stop and stop > needed else ""
    raise ClipError(f"{_frames(found, video)}, but {_needs(stop or needed, args)}{since}")


def _starts(frames: int, needed: int, start_frame: Optional[int], args: VideoInputArgs, draws: _Draws) -> list[int]:
    """First frame of each clip, for a video of `frames` frames whose container gives no times."""
    if args.clip_start_positions:
        return list(args.clip_start_positions)
    if args.decode_type == UNIFORM:
        return sampling.uniform_starts(max(frames, needed), needed, args.clips)
    if args.original_start_faults:
        return [0]
    if args.decode_type == FROM_START_FRAME:
        return [max(0, start_frame or 0)]
    return [int(draws.start * (max(0, frames - needed) + 1))]


def _count_packets(source: Source, args: VideoInputArgs) -> int:
    """A guess at the number of frames where the container states none; 0 where it does not matter."""
    if (
        args.clip_start_positions
        or args.decode_type == FROM_START_FRAME
        or (args.original_start_faults and args.decode_type != UNIFORM)
    ):
        return 0
    if args.decode_type == UNIFORM and args.clips == 1:
        return 0
    with Video(source) as video:
        return video.packets()


def _frames(found: int, video: Video) -> str:
    ended = f" (decoding ended there: {video.ended_by})" if video.ended_by else ""
    return f"{found} frame{'' if found == 1 else 's'}{ended}"


def _needs(needed: int, args: VideoInputArgs) -> str:
    flags = []
    if args.get_rgb:
        flags = [f"--clip_length_rgb={args.length_rgb}", f"--sampling_rate_rgb={args.sampling_rate_rgb}"]
        if args.random_sampling_rate:
            flags += [f"--random_sampling_rate={args.random_sampling_rate}"]
    if args.get_optical_flow:
        flags += [f"--clip_length_of={args.length_of}", f"--sampling_rate_of={args.sampling_rate_of}"]
        flags += [f"--frame_gap_of={args.frame_gap_of}"]
    return f"{needed} are needed for {' '.join(flags)}"


class _ClipWriter:
    """Converts the frames that clips take, each once, and writes crops of them to their places in the batch."""

    def __init__(self, size: tuple[int, int], args: VideoInputArgs, draws: _Draws, out: Clips) -> None:
        self._args, self._draws, self._out = args, draws, out
        self._size = size  # (width, height) of the converted frames
        self._scaler = Scaler(*size)
        self._crops = [crop for clip in range(args.clips) for crop in self._crops_of(clip)]  # of each row

    def write(self, frames: Iterable[Any], starts: list[int], stop: Optional[int]) -> int:
        """Read `frames` up to number `stop` (None: to the end) and return how many there were."""
        wanted: dict[int, list[tuple[int, int]]] = {}
        for clip, start in enumerate(starts):
            for place in range(self._args.length_rgb if self._args.get_rgb else 0):
                wanted.setdefault(start + place * self._draws.strides[clip], []).append((clip, place))
        flow = self._flow_writer(starts)
        read = 0
        for frame in islice(frames, min(stop or sampling.MAX_FRAMES, sampling.MAX_FRAMES)):
            for_flow = flow is not None and flow.wants(read)
            if read in wanted or for_flow:
                pixels = self._scaler.convert(frame)
                for clip, place in wanted.get(read, ()):
                    self.write_crops(pixels, clip, place)
                if flow is not None and for_flow:
                    flow.add(read, pixels)
            read += 1
        return read

    def write_crops(self, pixels: np.ndarray, clip: int, place: int) -> None:
        """Write frame number `place` of an RGB clip, from uint8 pixels (height, width, 3)."""
        assert self._out.data is not None
        crops = self._args.crop_per_clip
        for row in range(clip * crops, (clip + 1) * crops):
            normalise(cropped(pixels, self._crops[row], self._args.crop_size), self._out.data[row, :, place])

    def _flow_writer(self, starts: list[int]) -> Optional[FlowWriter]:
        if self._out.flow is None:
            return None
        return FlowWriter(self._args, self._crops, np.repeat(starts, self._args.crop_per_clip).tolist(), self._out.flow)

    def _crops_of(self, clip: int) -> list[Crop]:
        (width, height), size, mirror = self._size, self._args.crop_size, self._draws.mirrors[clip]
        if not self._args.random_crop:
            offsets = sampling.crop_offsets(width, height, size, self._args.crop_per_clip)
            return [Crop(top, left, mirror) for top, left in offsets]
        y, x = self._draws.crops[clip]  # uniform, both ends included
        return [Crop(int(y * (height - size + 1)), int(x * (width - size + 1)), mirror)]
