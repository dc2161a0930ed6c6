"""From samples to log-mels: one row a window of time, one column a mel filter, as the original computes them.

The published weights were trained on these rows, so its oddities stay: no padding, the power at the highest frequency
counted in the lowest bin, filters 0.8 % too high, the last bin of each filter left out. ops/core/audio/log_mel.cc is
the same for the C++ operator: change both.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from vmz.audio.arguments import AudioArgs

SCALE = 1080674186.3482928  # of the original's energies
_BLOCK = 2048  # rows at a time: the spectra of a long video would fill the memory


class _Filter(NamedTuple):
    """first: bin. weights: of the bins from there on, float32."""

    first: int
    weights: np.ndarray


def row_count(samples: int, window: int, step: int) -> int:
    """How many rows `samples` samples give: a window is taken only while more than its samples are left."""
    return 0 if samples <= window else (samples - 1 - window) // step + 1


def tuned_step_ms(args: AudioArgs, samples: int, frames: int, needed: int) -> int:
    """The step, in milliseconds, at which `samples` samples give about frames * logmel_frames / needed rows.

    Those are the rows of a video of `frames` frames of which a clip needs `needed`. As the original rounds the step up,
    the rows come out fewer.
    """
    wanted = frames * args.logmel_frames // needed
    if wanted < 2:
        return args.logmel_winstep_ms
    covered = samples - args.logmel_winsize_ms * (args.logmel_audio_sr / 1000)
    return max(1, math.ceil(1000 / args.logmel_audio_sr * (covered / (wanted - 1))))


def log_mels(samples: np.ndarray, args: AudioArgs, step: int) -> np.ndarray:
    """Rows of mono `samples` (float32 (n,), scale -1..1): float32 (rows, logmel_filters), oldest first.

    step: samples from one window to the next.
    """
    window = args.window
    rows = row_count(len(samples), window, step)
    found = np.empty((rows, args.logmel_filters), np.float32)
    if not rows:
        return found
    shape = 0.5 * (1 - np.cos(2 * np.pi * np.arange(window) / (window - 1)))  # symmetric Hann
    filters = _filters(fft_size(window), args.logmel_filters, args.logmel_audio_sr)
    windows = np.lib.stride_tricks.sliding_window_view(samples, window)[::step][:rows]
    for start in range(0, rows, _BLOCK):
        power = _power(windows[start : start + _BLOCK] * shape)
        for column, (first, weights) in enumerate(filters):
            weighted = power[:, first : first + len(weights)] * weights
            energy = SCALE * weighted.sum(axis=1, dtype=np.float64)
            found[start : start + _BLOCK, column] = _logarithm(energy)
    return found


def fft_size(window: int) -> int:
    """The smallest power of two that holds a window."""
    return 1 << max(1, (window - 1).bit_length())


def _power(windows: np.ndarray) -> np.ndarray:
    """float32 (rows, F / 2): the power of bins 0 to F / 2 - 1 of windows (rows, samples), F as fft_size says."""
    spectrum = np.fft.rfft(windows, fft_size(windows.shape[1]))
    power: np.ndarray = spectrum.real**2 + spectrum.imag**2
    power[:, 0] += power[:, -1]  # the original reads the packed pair of the two so
    return power[:, :-1].astype(np.float32)


def _logarithm(energy: np.ndarray) -> np.ndarray:
    """The logarithm, continued below e by a line to 0."""
    return np.where(energy > math.e, np.log(np.maximum(energy, math.e)), energy / math.e)


@lru_cache(maxsize=8)
def _filters(size: int, count: int, rate: int) -> tuple[_Filter, ...]:
    """Triangles that are equally wide on the mel scale, the weights of each divided by their sum."""
    highest = rate / 2
    # One bin too many: the bins' true distance is highest / (size // 2).
    positions = _hertz(np.arange(count + 2) * _mel(highest) / (count + 1)) / (highest / (size // 2 + 1))
    filters = []
    for left, mid, right in zip(positions, positions[1:], positions[2:]):
        first, last = math.floor(left), min(math.floor(right) + 1, size // 2)
        bins = np.arange(first, last + 1)
        rising = 1 - (mid - bins) / max(1.0, mid - left)
        falling = 1 - (bins - mid) / max(1.0, right - mid)
        weights = np.maximum(0.0, np.where(bins < mid, rising, falling))
        total = weights.sum()
        # The last bin counts in the sum only.
        filters.append(_Filter(first, (weights / total if total > 0 else weights * 0)[:-1].astype(np.float32)))
    return tuple(filters)


def _mel(hertz: float) -> float:
    return 1127 * math.log(1 + hertz / 700)


def _hertz(mels: np.ndarray) -> np.ndarray:
    return 700 * (np.exp(mels / 1127) - 1)
