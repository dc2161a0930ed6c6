"""The sound of a file as mono samples at one rate, by FFmpeg's decoders and libswresample (through PyAV).

As the original does, neither the decoder nor the resampler is drained at the end: the last few samples are missing.
ops/core/audio/decoding.cc is the same for the C++ operator: change both.
"""

from __future__ import annotations

import math
import re
from typing import Any, Callable, Optional

import av
import numpy as np

from vmz.audio.arguments import AudioArgs
from vmz.errors import VmzError

MAX_SAMPLES = 1 << 28  # of one video's sound, 1 GB: 4.6 hours at 16 kHz
LOWEST_RATE, HIGHEST_RATE = 100, 1_000_000  # of a file; damaged ones state anything
LOUDEST = np.float32(1e15)  # whose power is still a number; damaged floats are larger
GAP = 0.05  # seconds between a frame's timestamp and where the frames before it end

NO_STREAM = "it has no audio stream"
NO_DECODER = "there is no decoder for its audio stream"
EMPTY = "its audio stream is empty"
NO_LAYOUT = "its sound states no channel layout, so the original could not convert it"
TOO_LONG = f"its sound is longer than the {MAX_SAMPLES} samples that are read"
# FFmpeg's names of layouts that do not say which channel is which; a later FFmpeg would guess.
_UNSTATED = re.compile(r"\d+ channels|ambisonic")


class LongSoundError(VmzError):
    """Sound that is longer than any that is read."""


class Sound:
    """Decodes the packets of one audio stream. What cannot be decoded is left out.

    stream: an av.audio.AudioStream, None where the file has none. advance: called at each frame, as there is progress.
    expects_all: set where all packets of the stream are to come: if there are none, the sound is missing.
    `missing` says what is wrong with a stream that gives nothing; nothing is raised about it. origin: with
    audio_timestamps, the time in seconds at which sample 0 lies; seconds: how many there are of it, 0: any. fault: why
    the stream is not the file's sound, or "".
    """

    def __init__(
        self,
        stream: Any,
        args: AudioArgs,
        advance: Optional[Callable[[], None]] = None,
        origin: float = 0.0,
        seconds: float = 0.0,
        fault: str = "",
    ) -> None:
        self._stream, self._rate, self._by_timestamps = stream, args.logmel_audio_sr, bool(args.audio_timestamps)
        self._advance = advance
        self.expects_all = False
        self._chunks: list[np.ndarray] = []
        self._count = 0  # of the samples in the chunks
        self._resampler: Any = None
        self._made_for: Any = None  # what the resampler was made for
        self._packets = self._frames = self._converted = 0
        self._fault = ""  # why a packet was not decoded
        self._origin = self._expected = origin  # expected: time of the next frame, if the sound goes on as it did
        self._seconds = seconds
        self._too_early = 0  # samples to come that lie before sample 0
        self._why = _why_not(stream) or fault

    @property
    def can_decode(self) -> bool:
        """Whether there is anything to decode."""
        return not self._why

    @property
    def missing(self) -> str:
        """Why there is no sound, or "". Sound that ended before the point that was sought is not missing."""
        if self._why or self._converted:
            return self._why
        if not self._packets:
            return EMPTY if self.expects_all else ""
        if not self._frames:
            return _cannot_decode(self._fault or "none of its packets gives a frame")
        return self._fault

    def add(self, packet: Any) -> None:
        """Decode the next packet of the stream. Raises LongSoundError."""
        self._packets += 1
        try:
            frames = self._stream.codec_context.decode(packet)
        except (av.FFmpegError, ValueError) as error:
            self._fault = _reason(error)
            return
        for frame in frames:
            self._frames += 1
            if self._advance is not None:
                self._advance()
            self._convert(frame)

    def take(self) -> np.ndarray:
        """After the last packet: float32 (samples,), on a scale of -1..1."""
        if self._by_timestamps:
            self._end_run()
            if self._seconds > 0 and self._converted:
                self._resize(math.floor(min(self._seconds * self._rate, MAX_SAMPLES) + 0.5))
        return np.concatenate(self._chunks) if self._chunks else np.zeros(0, np.float32)

    def _convert(self, frame: Any) -> None:
        if self._by_timestamps:
            self._start_run(frame)
        if frame.samples > 0 and self._open_resampler(frame):
            self._append(frame)

    def _open_resampler(self, frame: Any) -> bool:
        """Have a resampler for such frames. Returns False where there can be none."""
        kind = (frame.layout.name, frame.layout.nb_channels, frame.format.name, frame.sample_rate)
        if self._resampler is not None and self._made_for == kind:
            return True
        self._end_run()
        self._made_for = kind
        if _UNSTATED.match(frame.layout.name):
            self._fault = NO_LAYOUT
        elif not LOWEST_RATE <= frame.sample_rate <= HIGHEST_RATE:
            self._fault = f"its sound has {frame.sample_rate} samples a second"
        else:
            self._resampler = av.AudioResampler(format="flt", layout="mono", rate=self._rate)
        return self._resampler is not None

    def _append(self, frame: Any) -> None:
        """Convert a frame; None: what the resampler still holds."""
        try:
            converted = self._resampler.resample(frame)
        except (av.FFmpegError, ValueError) as error:
            self._fault = f"its sound cannot be converted ({_reason(error)})"
            self._resampler = None
            return
        self._converted += frame is not None
        for part in converted:
            if part is None:
                continue
            samples = part.to_ndarray().reshape(-1)
            cut = min(self._too_early, len(samples))
            self._too_early -= cut
            samples = samples[cut:]
            self._push(np.where(np.abs(samples) < LOUDEST, samples, np.float32(0)))

    def _push(self, samples: np.ndarray) -> None:
        self._count += len(samples)
        if self._count > MAX_SAMPLES:
            raise LongSoundError(TOO_LONG)
        self._chunks.append(samples)

    def _resize(self, count: int) -> None:
        """Have `count` samples: the first ones, or silence after those that there are."""
        if count > MAX_SAMPLES:
            raise LongSoundError(TOO_LONG)
        if count >= self._count:
            self._push(np.zeros(count - self._count, np.float32))
            return
        self._chunks, self._count = [np.concatenate(self._chunks)[:count]], count

    def _start_run(self, frame: Any) -> None:
        """With timestamps: begin anew where a frame does not follow on the last one, with silence up to it."""
        stated = frame.dts if frame.pts is None else frame.pts
        time = self._expected if stated is None else float(stated * self._stream.time_base)
        if self._frames == 1 or abs(time - self._expected) > GAP:
            self._end_run()
            place = math.floor((time - self._origin) * self._rate + 0.5)
            self._resize(max(0, place))
            self._too_early = max(0, -place)
            self._expected = time
        self._expected += frame.samples / frame.sample_rate if frame.sample_rate > 0 else 0

    def _end_run(self) -> None:
        """The samples that the resampler holds back, where other sound follows."""
        if self._resampler is not None:
            self._append(None)
            self._resampler = None


def _why_not(stream: Any) -> str:
    """Why a stream cannot be decoded at all, or ""."""
    if stream is None:
        return NO_STREAM
    codec = stream.codec_context
    if codec is None:
        return NO_DECODER
    codec.thread_count = 1  # many videos at a time use the processors better than many threads on one
    try:
        codec.open(strict=False)
    except (av.FFmpegError, ValueError) as error:
        return _cannot_decode(_reason(error))
    return ""


def _cannot_decode(why: str) -> str:
    return f"its audio stream cannot be decoded ({why})"


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)
