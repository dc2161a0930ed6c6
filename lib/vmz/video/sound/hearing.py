"""The sound of one video on its way to the log-mels of its clips, heard while the frames are read, or alone.

The original takes all sound of a file for uniform clips, and for others what follows the point that it seeks for the
frames, whose times it computes from the stated duration and number of frames. ops/core/audio/hearing.cc is the same for
the C++ operator: change both.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Optional

import av
import numpy as np

from vmz.audio.alignment import Place, write_log_mels
from vmz.audio.arguments import NO_ALIGNMENT
from vmz.audio.decoding import Sound
from vmz.audio.log_mel import log_mels, tuned_step_ms
from vmz.video import sampling
from vmz.video.arguments import FROM_START_FRAME, UNIFORM, VideoInputArgs
from vmz.video.faults import DecodingError
from vmz.video.frames.containers import SOUND_ELSEWHERE
from vmz.video.frames.decoding import Video
from vmz.video.frames.opened import OpenedFile, Source
from vmz.video.frames.watch import Watch
from vmz.video.sound.arguments import AVInputArgs


@dataclass
class Found:
    """Where a clip was found in its video.

    first: its first frame, counted from the first one decoded. time: of that frame, in the stream's time base. times:
    of the frames before it, in increasing order.
    """

    first: int = 0
    time: Optional[int] = None
    times: list[int] = field(default_factory=list)

    def noting(self, frames: Iterable[tuple[Any, Optional[int]]], start: int) -> Iterator[Any]:
        """The frames of a video of which the clip begins at number `start`, noted here."""
        for number, (frame, time) in enumerate(frames):
            if number < start:
                self.first += 1
                self.times += [] if time is None else [time]
            elif number == start:
                self.time = time
            yield frame

    def shown_from(self, frames: Iterable[tuple[Any, Optional[int]]], start: int) -> Iterator[Any]:
        """The frames whose timestamps are no less than `start`, where the clip begins, noted here."""
        for frame, time in frames:
            if time is None or time < start:
                self.first += 1
                continue
            self.time = time if self.time is None else self.time
            yield frame


class Hearing:
    """Nothing is heard by this one: the reader of frames calls it all the same."""

    def begin(self, video: Video) -> None:
        """A video that is about to be read from its beginning: its sound is heard meanwhile, if all of it is to be."""

    def begin_at_seek(self, video: Video) -> None:
        """A video that was sought as the original does, and is about to be read from there."""

    def end(self, video: Video) -> None:
        """No other frame of `video` is needed: hears the rest of it."""

    def finish(self, video: Video, source: Source, found: Found) -> None:
        """The clips have been read from `video`, whose place is of no more use: hears what has not been heard."""

    def alone(self, source: Source, start_frame: Optional[int], draw: float) -> None:
        """The sound of a file whose frames nobody asks for. draw: in [0, 1), where a random clip begins."""

    def write(self) -> str:
        """Write the log-mels. Returns why there is no sound, or ""; the log-mels are zeros then."""
        return ""


def hearing_for(args: VideoInputArgs, watch: Watch, out: Optional[np.ndarray]) -> Hearing:
    """out: of the video's clips, float32 (clips * crops, 1, logmel_frames, logmel_filters); None: no sound is heard."""
    return Hearing() if out is None or not isinstance(args, AVInputArgs) else _Heard(args, watch, out)


class _Heard(Hearing):
    def __init__(self, args: AVInputArgs, watch: Watch, out: np.ndarray) -> None:
        self._args, self._watch, self._out = args, watch, out
        self._sound: Optional[Sound] = None
        self._is_heard = False
        self._frames = 0  # that the container states
        self._first = 0  # the clip's first frame, counted from where the sound begins
        self._clip_time = 0.0  # seconds from sample 0 to the clip's first frame, with audio_timestamps

    def begin(self, video: Video) -> None:
        if self._args.decode_type == UNIFORM or self._args.audio_timestamps or not video.has_times:
            self._listen(video).expects_all = True

    def begin_at_seek(self, video: Video) -> None:
        if self._sound is None:
            self._listen(video)

    def end(self, video: Video) -> None:
        if self._sound is not None and not self._is_heard:
            video.hear_to_end()
            self._is_heard = True

    def finish(self, video: Video, source: Source, found: Found) -> None:
        self._frames, self._first = self._stated_frames(video), found.first
        if found.time is not None:
            self._clip_time = _seconds(found.time, video.time_base) - _seconds(video.start_time, video.time_base)
        if self._sound is not None:
            self.end(video)
            return
        frames = max(1, self._frames)
        start = sampling.start_timestamp(video.duration, frames, found.first)
        if video.seek(sampling.seek_timestamp(video.duration, frames, start)):
            self._hear_after_seek(video, found)
        else:
            file = OpenedFile(source, self._watch)
            try:
                self._sound = self._sound_of(file)
                self._hear_file(file)
            finally:
                file.close()

    def alone(self, source: Source, start_frame: Optional[int], draw: float) -> None:
        file = OpenedFile(source, self._watch)
        try:
            self._sound = self._sound_of(file, self._start_alone(file, start_frame or 0, draw))
            self._sound.expects_all = bool(self._args.decode_type == UNIFORM or self._args.audio_timestamps)
            self._hear_file(file)
        finally:
            file.close()

    def write(self) -> str:
        args, sound = self._args, self._sound
        assert sound is not None
        samples = sound.take()
        needed = sampling.frames_needed(args)
        is_aligned = bool(args.get_rgb and self._frames > 0)
        cut = args.audio_timestamps and args.decode_type != UNIFORM
        if cut and (not is_aligned or args.align_audio == NO_ALIGNMENT):
            samples = samples[int(max(0.0, self._clip_time) * args.logmel_audio_sr) :]
        step = args.logmel_winstep_ms
        if args.tune_audio_step and is_aligned:
            step = tuned_step_ms(args, len(samples), self._frames, needed)
        rows = log_mels(samples, args, max(1, args.samples(step)))
        place = Place(self._frames if is_aligned else 0, needed, self._first, args.decode_type == UNIFORM)
        of_clips = self._out[:: args.crop_per_clip]
        write_log_mels(rows, args, place, of_clips)
        for crop in range(1, args.crop_per_clip):  # every crop of a clip has the clip's sound
            self._out[crop :: args.crop_per_clip] = of_clips
        return sound.missing

    def _stated_frames(self, video: Video) -> int:
        if not self._args.fps or not video.frames:
            return video.frames
        return int(_seconds(video.duration, video.time_base) * self._args.fps)

    def _sound_of(self, file: OpenedFile, since: float = 0.0, seconds: float = 0.0) -> Sound:
        """With audio_timestamps sample 0 lies `since` seconds after the beginning of the video.

        Where there is no video, after that of the sound.
        """
        clock = file.video or file.sound
        origin = 0.0 if clock is None else _seconds(clock.start_time, clock.time_base)
        fault = SOUND_ELSEWHERE if file.sound_lies_elsewhere else ""
        return Sound(file.sound, self._args, self._watch.advance, origin + since, seconds, fault)

    def _listen(self, video: Video) -> Sound:
        sound = self._sound = self._sound_of(video.file, 0.0, _seconds(video.duration, video.time_base))
        if sound.can_decode:
            video.hear(sound.add)
        return sound

    def _hear_after_seek(self, video: Video, found: Found) -> None:
        """As the original counts the clip's first frame: from the key frame to which the seek leads."""
        self._listen(video)
        time = video.peek_time()
        if time is not None and self._args.fps:
            seconds = _seconds(time, video.time_base) - _seconds(video.start_time, video.time_base)
            self._first -= int(max(0.0, seconds) * self._args.fps)
        elif time is not None:
            self._first -= bisect_left(found.times, time)
        self._first = max(0, self._first)
        self.end(video)

    def _start_alone(self, file: OpenedFile, start_frame: int, draw: float) -> float:
        """Where the sound of a clip begins whose frames nobody asks for: goes there as the original does, or with
        audio_timestamps says how many seconds come before it."""
        args, video, sound = self._args, file.video, file.sound
        if args.decode_type == FROM_START_FRAME and video is None:
            raise DecodingError("the file has no video stream, so it has no start frame")
        if args.decode_type == UNIFORM or sound is None:
            return 0.0
        start, base = 0, sound.time_base
        if args.decode_type == FROM_START_FRAME:
            if not video.duration or not video.frames:
                return 0.0
            base = video.time_base
            start = sampling.start_timestamp(video.duration, video.frames, max(0, start_frame))
        elif base:
            start = int(draw * max(0.0, (sound.duration or 0) - float(1 / base)))
        if args.audio_timestamps:
            return _seconds(start, base)
        with suppress(av.FFmpegError):  # in the sound's time base, whichever it was computed in
            file.container.seek(start, stream=sound, backward=True)
        return 0.0

    def _hear_file(self, file: OpenedFile) -> None:
        sound = self._sound
        assert sound is not None
        if sound.can_decode:
            try:
                for packet in file.container.demux(file.sound):
                    if packet.size:
                        sound.add(packet)
                    file.watch_over()
            except (av.FFmpegError, OSError):
                pass  # what there is was heard
        file.watch_over()
        self._is_heard = True


def _seconds(timestamp: Optional[int], base: Optional[Fraction]) -> float:
    return float(timestamp * base) if timestamp is not None and base else 0.0
