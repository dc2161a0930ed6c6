"""Small videos with sound, made here: tones in the codecs, rates and channels that videos have."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np

FPS = 25


@dataclass(frozen=True)
class Tone:
    """A track of `seconds` of a sine in all channels but the one for low frequencies, from `start` seconds on."""

    codec: str = "aac"
    rate: int = 48000
    layout: str = "stereo"
    format: str = "fltp"
    hertz: float = 1000.0
    seconds: float = 2.0
    start: float = 0.0
    loudness: float = 0.5


def sound_video(tones: Sequence[Tone], container: str = "mp4", seconds: float = 2.0, pictures: bool = True) -> bytes:
    """A file of grey pictures that become brighter, and of these tracks."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        video = out.add_stream("mpeg4", FPS) if pictures else None
        if video is not None:
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        streams = []
        for tone in tones:
            stream = out.add_stream(tone.codec, tone.rate)
            assert isinstance(stream, av.AudioStream)
            streams.append(stream)
            stream.layout, stream.format = tone.layout, tone.format
        if video is not None:
            for number in range(int(seconds * FPS)):
                picture = np.full((48, 64, 3), 20 + 2 * number % 200, np.uint8)
                out.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
            out.mux(video.encode())
        for stream, tone in zip(streams, tones):
            for frame in _frames(tone, stream.frame_size or 1024):
                out.mux(stream.encode(frame))
            out.mux(stream.encode())
    return file.getvalue()


def _frames(tone: Tone, size: int) -> list[av.AudioFrame]:
    layout = av.AudioLayout(tone.layout)
    silent = [channel.name == "LFE" for channel in layout.channels]
    times = np.arange(int(tone.seconds * tone.rate)) / tone.rate
    wave = (tone.loudness * np.sin(2 * np.pi * tone.hertz * times)).astype(np.float32)
    frames = []
    for first in range(0, len(wave), size):
        piece = wave[first : first + size]
        planes = np.stack([piece * 0 if off else piece for off in silent])
        frames.append(_frame(planes, tone))
        frames[-1].pts = first + int(tone.start * tone.rate)
    return frames


def _frame(planes: np.ndarray, tone: Tone) -> av.AudioFrame:
    integer = {"s16": (np.int16, 15), "s16p": (np.int16, 15), "s32": (np.int32, 31), "s32p": (np.int32, 31)}
    samples = planes
    if tone.format in integer:
        dtype, bits = integer[tone.format]
        samples = (planes.astype(np.float64) * (2**bits - 1)).astype(dtype)
    if not tone.format.endswith("p"):
        samples = samples.T.reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), tone.format, tone.layout)
    frame.sample_rate, frame.time_base = tone.rate, Fraction(1, tone.rate)
    return frame


class Kind(NamedTuple):
    """A file, of 2 seconds of pictures, and how it is heard: until when there is the tone, or why there is none."""

    tones: tuple[Tone, ...]
    container: str = "mp4"
    heard: float = 2.0  # seconds of the first two
    reason: str = ""

    def file(self) -> bytes:
        return sound_video(self.tones, self.container)


NO_LAYOUT = "its sound states no channel layout, so the original could not convert it"
KINDS = {
    "AAC, stereo, 48 kHz": Kind((Tone(),)),
    "AAC, mono, 44.1 kHz": Kind((Tone(rate=44100, layout="mono"),)),
    "longer than the pictures": Kind((Tone(seconds=3.0),)),
    "shorter than the pictures": Kind((Tone(seconds=1.0),), heard=1.0),
    "absent": Kind((), heard=0.0, reason="it has no audio stream"),
    "several tracks: the first": Kind((Tone(), Tone(hertz=3000.0), Tone(hertz=300.0, layout="mono"))),
    "AAC, 5.1": Kind((Tone(layout="5.1"),)),
    "AC-3, 5.1": Kind((Tone("ac3", layout="5.1"),)),
    "AC-3 in MPEG-TS": Kind((Tone("ac3"),), "mpegts"),
    "AAC, 8 kHz": Kind((Tone(rate=8000, layout="mono"),)),
    "AAC, 96 kHz": Kind((Tone(rate=96000),)),
    "FLAC, 24 bits, 96 kHz": Kind((Tone("flac", 96000, format="s32"),), "matroska"),
    "PCM, 24 bits, in MOV": Kind((Tone("pcm_s24le", format="s32"),), "mov"),
    "PCM, 16 bits, in AVI": Kind((Tone("pcm_s16le", format="s16"),), "avi", 0.0, NO_LAYOUT),
    "Opus in Matroska": Kind((Tone("libopus", format="flt"),), "matroska"),
    "Opus in MP4": Kind((Tone("libopus", format="flt"),)),
    "MP3": Kind((Tone("libmp3lame"),)),
    "MP3 in AVI": Kind((Tone("libmp3lame", 44100),), "avi"),
    "MP2 in MPEG-PS": Kind((Tone("mp2", format="s16"),), "mpeg"),
    "Vorbis in Matroska": Kind((Tone("libvorbis"),), "matroska"),
    "ALAC": Kind((Tone("alac", 44100, format="s16p"),)),
}
