"""The clips of one video: which frames they take, decoded once, converted once and written straight into the batch."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Optional, Union

import numpy as np

from vmz.audio.decoding import LongSoundError
from vmz.errors import VmzError
from vmz.video import sampling
from vmz.video.arguments import FROM_START_FRAME, RANDOM, UNIFORM, VideoInputArgs
from vmz.video.clip_writer import Clips, ClipWriter, Draws, draw
from vmz.video.frames.decoding import MAX_PIXELS, DecodingError, SeekError, Source, Video
from vmz.video.frames.ending import Ending
from vmz.video.frames.images import read_image
from vmz.video.frames.orientation import UPRIGHT, Orientation
from vmz.video.frames.resampling import Resampled, noting, resampled_frames
from vmz.video.frames.shown_times import noting_shown
from vmz.video.frames.timeline import Timeline
from vmz.video.frames.watch import Watch
from vmz.video.sound.arguments import AVInputArgs
from vmz.video.sound.hearing import Found, Hearing, hearing_for


class ClipError(VmzError):
    """A video that cannot give the clips; the message is the reason only, the caller knows which video it was."""


class MissingSoundError(ClipError):
    """A video without sound, while on_missing_audio is not "zeros"."""


@dataclass(frozen=True)
class Reading:
    """What is to be known of a video that gave its clips.

    ended: how reading ended, if before the video's end: the clips are of what came before. Clips that lie before that
    say nothing of it. rotation: degrees, counterclockwise, by which its metadata ask players to turn it; the clips are
    turned with autorotate=1 only. spans: where `timed` clips lie, each from its first frame to its last, in seconds
    from the video's first frame by the frames' own times; empty where they have none. without_sound: why the log-mels
    are zeros, or "".
    """

    ended: Optional[Ending] = None
    rotation: int = 0
    spans: tuple[tuple[float, float], ...] = ()
    without_sound: str = ""


def read_clips(
    source: Source,
    start_frame: Optional[int],
    args: VideoInputArgs,
    random: np.random.Generator,
    out: Clips,
    watch: Optional[Watch] = None,
    timed: bool = False,
) -> Reading:
    """Decode a video, or with image_as_input an image, and write its clips to their places.

    `start_frame` is the record's, used with decode_type 2. Raises ClipError with the reason when the video cannot be
    opened or is too short; `out` then holds nothing of use. watch: that of the caller, by default one of
    args.video_timeout. timed: also find out where the clips lie in time, of clips at uniform or known starts.
    """
    watch = watch or Watch(args.video_timeout)
    draws = draw(args, random)
    try:
        if args.image_as_input:
            return _read_image(source, args, draws, out, watch)
        hearing = hearing_for(args, watch, out.logmels)
        if args.sees:
            reading = _VideoReader(source, start_frame, args, draws, out, watch, timed, hearing).read()
        else:
            reading = Reading()
            hearing.alone(source, start_frame, draws.start)
        reading = replace(reading, without_sound=hearing.write())
    except (DecodingError, LongSoundError) as error:
        raise ClipError(str(error)) from error
    if reading.without_sound and isinstance(args, AVInputArgs) and args.on_missing_audio != "zeros":
        raise MissingSoundError(reading.without_sound)
    return reading


def _read_image(source: Source, args: VideoInputArgs, draws: Draws, out: Clips, watch: Watch) -> Reading:
    """An image is a clip of one frame."""
    size = args.scale_w, args.scale_h
    ClipWriter(size, UPRIGHT, args, draws, out).write_crops(read_image(source, *size, watch), 0, 0)
    return Reading()


@dataclass(frozen=True)
class _ReadAgain:
    """What an attempt at a video's clips may end with: the next one counts frames, for a video of so many."""

    frames: int


class _VideoReader:
    """Reads the clips of one video, in several attempts where the container misstates what they depend on."""

    def __init__(
        self,
        source: Source,
        start_frame: Optional[int],
        args: VideoInputArgs,
        draws: Draws,
        out: Clips,
        watch: Watch,
        timed: bool,
        hearing: Hearing,
    ) -> None:
        self._watch, self._hearing = watch, hearing
        self._timed = timed
        self._spans: tuple[tuple[float, float], ...] = ()
        self._source, self._start_frame, self._args, self._draws, self._out = source, start_frame, args, draws, out
        self._needed = sampling.frames_needed(args)
        self._limit = args.max_frames or sys.maxsize  # frames that are read
        self._orientation = UPRIGHT
        self._ended: Optional[Ending] = None
        self._draw = draws.start
        self._found = Found()  # of the last attempt

    def read(self) -> Reading:
        if self._args.autorotate:
            self._orientation = orientation_of(self._source, self._watch)
        found = self._first_attempt()
        for _ in range(2):
            if isinstance(found, _ReadAgain):
                with Video(self._source, self._watch) as video:
                    found = self._by_number(video, found.frames)
        if isinstance(found, _ReadAgain):
            raise ClipError("it gives a different number of frames each time it is read")
        return replace(found, ended=self._ended, spans=self._spans)

    def _first_attempt(self) -> Union[Reading, _ReadAgain]:
        with Video(self._source, self._watch) as video:
            self._hearing.begin(video)
            found = self._attempt(video)
            if isinstance(found, _ReadAgain):
                self._hearing.end(video)
            return found

    def _attempt(self, video: Video) -> Union[Reading, _ReadAgain]:
        args = self._args
        if args.fps:
            counts = self._are_spread_out() or args.decode_type == RANDOM
            return self._by_number(video, resampled_frames(self._source, self._watch, args.fps) if counts else 0)
        if args.decode_type == UNIFORM:
            return self._by_number(video, self._stated_frames(video))
        if args.original_start_faults:
            return self._as_the_original(video)
        if args.decode_type == FROM_START_FRAME and (self._start_frame or 0) < sampling.WORTH_SEEKING:
            return self._by_number(video, video.frames)
        return self._by_seeking(video)

    def _done(self, video: Video) -> Reading:
        """The clips are written; the rest of the sound is heard."""
        rotation = video.rotation
        self._hearing.finish(video, self._source, self._found)
        return Reading(rotation=rotation)

    def _stated_frames(self, video: Video) -> int:
        """How many frames the container says there are, or where it does not and that matters, its packets."""
        if video.frames or not self._are_spread_out():
            return video.frames
        with Video(self._source, self._watch) as other:
            return other.packets()

    def _are_spread_out(self) -> bool:
        """Whether where clips start depends on the number of frames, which is only known at the end."""
        return self._args.clips > 1 and not self._args.clip_start_positions

    def _by_seeking(self, video: Video) -> Union[Reading, _ReadAgain]:
        """One clip, from the last place before it where decoding may begin."""
        timeline = video.timeline()
        frames = min(timeline.frames, self._limit)
        start = self._start(frames)
        if start + self._needed <= frames and timeline.seek_points(start):
            attempts = (False, True) if video.can_pass_over else (True,)
            if any(self._by_a_seek(video, timeline, start, every) for every in attempts):
                return self._done(video)
        return _ReadAgain(frames)

    def _by_a_seek(self, video: Video, timeline: Timeline, start: int, every: bool) -> bool:
        """Whether the clip from frame `start` on was found. every: decode every frame on the way to it."""
        with suppress(SeekError):
            found = self._writer(video).write(video.read_from(timeline, start, every), [0], self._needed)
            if found == self._needed:
                times = timeline.times or []
                self._found = Found(start, times[start], times[:start])
                return True
        return False

    def _as_the_original(self, video: Video) -> Union[Reading, _ReadAgain]:
        """One clip of the frames shown from a share of the duration on, or where none is stated, from the start on."""
        args, needed = self._args, self._needed
        if not video.has_times:
            return self._by_number(video, 0)
        if args.decode_type == FROM_START_FRAME:
            start = sampling.start_timestamp(video.duration, video.frames, self._start_frame or 0)
        else:
            start = int(self._draws.start * (sampling.latest_start(video.duration, video.frames, needed) + 1))
        video.seek(sampling.seek_timestamp(video.duration, video.frames, start))
        self._hearing.begin_at_seek(video)
        self._found = Found()
        found = self._writer(video).write(self._found.shown_from(video.read(), start), [0], needed)
        if found < needed:
            raise ClipError(f"{_frames(found, video)} from its start frame on, but {_needs(needed, args)}")
        return self._done(video)

    def _by_number(self, video: Video, expected: int) -> Union[Reading, _ReadAgain]:
        """Clips at frame numbers, chosen for a video of `expected` frames, decoded from its start.

        To be read again where it has another number, for which other clips would have been chosen.
        """
        expected = min(expected, self._limit)
        if self._are_spread_out():
            return self._spread_out(video, expected)
        return self._at_starts(video, expected)

    def _spread_out(self, video: Video, expected: int) -> Union[Reading, _ReadAgain]:
        """Clips at equal distances over the whole video."""
        starts = self._starts(expected)
        found = self._decode(video, starts, self._limit)
        if found < self._needed:
            raise self._too_short(video, found, starts, self._needed)
        return self._done(video) if found == expected else _ReadAgain(found)

    def _at_starts(self, video: Video, expected: int) -> Union[Reading, _ReadAgain]:
        """Clips whose starts are known, or one that starts at random, which is drawn anew in a shorter video."""
        starts = self._starts(expected)
        stop = max(starts) + self._needed
        found = self._decode(video, starts, min(stop, self._limit))
        if found >= stop:
            return self._done(video)
        if found >= self._needed and self._args.decode_type == RANDOM and starts != [0]:
            self._draw = sampling.redrawn(self._draw, expected, found, self._needed)
            return _ReadAgain(found)
        raise self._too_short(video, found, starts, stop)

    def _decode(self, video: Video, starts: list[int], stop: int) -> int:
        """Write the clips that begin at `starts` from the frames before `stop`; how many frames there were."""
        times: list[float] = []
        resampled = Resampled(video, self._args.fps) if self._args.fps else None
        self._found = Found()
        if resampled is not None:
            frames = self._found.noting(((frame, frame.pts) for frame in noting(resampled, times)), starts[0])
        elif self._timed:
            frames = noting_shown(video, times)
        else:
            frames = self._found.noting(video.read(), starts[0])
        found = self._writer(video).write(frames, starts, stop)
        if resampled is None or resampled.is_over:  # it reads a frame ahead
            self._ended = video.ending or self._ended
        ends = [start + self._needed - 1 for start in starts]
        if self._timed and times and max(ends) < len(times):
            self._spans = tuple((times[start], times[end]) for start, end in zip(starts, ends))
        return found

    def _too_short(self, video: Video, found: int, starts: list[int], stop: int) -> ClipError:
        """Of a video with `found` frames, where clips at `starts` need `stop`."""
        args, needed = self._args, self._needed
        read = f" (no more are read with max_frames={self._limit})" if found == self._limit else ""
        if args.decode_type == FROM_START_FRAME:
            after = max(0, found - starts[0])
            return ClipError(f"{_frames(after, video)} from its start frame on{read}, but {_needs(needed, args)}")
        since = f" (and {needed} from frame {max(starts)} on)" if stop > needed else ""
        return ClipError(f"{_frames(found, video)}{read}, but {_needs(stop, args)}{since}")

    def _starts(self, frames: int) -> list[int]:
        """First frame of each clip, for a video of `frames` frames."""
        args = self._args
        if args.clip_start_positions:
            return list(args.clip_start_positions)
        if args.decode_type == UNIFORM:
            return sampling.uniform_starts(max(frames, self._needed), self._needed, args.clips)
        return [0 if args.original_start_faults else self._start(frames)]

    def _start(self, frames: int) -> int:
        """First frame of the one clip that does not depend on uniform spacing."""
        if self._args.decode_type == FROM_START_FRAME:
            return max(0, self._start_frame or 0)
        return sampling.random_start(self._draw, frames, self._needed)

    def _writer(self, video: Video) -> ClipWriter:
        args = self._args
        size = sampling.output_size(args, *self._orientation.size(video.width, video.height), self._draws.short_edge)
        check_size(size, args)
        return ClipWriter(size, self._orientation, args, self._draws, self._out)


def check_size(size: tuple[int, int], args: VideoInputArgs) -> None:
    """Raise ClipError for frames that become too small for a crop, or larger than any that are read."""
    if min(size) < args.crop_size:
        raise ClipError(f"its frames become {size[0]}x{size[1]}, smaller than crop_size={args.crop_size}")
    if size[0] * size[1] > MAX_PIXELS:
        raise ClipError(
            f"its frames become {size[0]}x{size[1]}, more than the {MAX_PIXELS} pixels (max_pixels) that are read"
        )


def orientation_of(source: Source, watch: Optional[Watch] = None) -> Orientation:
    """How autorotate turns a video. Raises ClipError where its metadata ask for another angle than a right one."""
    with Video(source, watch) as video:
        next(video.read(), None)
        if not video.orientation.right_angled:
            raise ClipError(
                f"its metadata rotates it by {video.rotation} degrees; autorotate=1 supports only "
                "multiples of 90 degrees"
            )
        return video.orientation


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
    if args.fps:
        flags += [f"--fps={args.fps}"]
    return f"{needed} are needed for {' '.join(flags)}"
