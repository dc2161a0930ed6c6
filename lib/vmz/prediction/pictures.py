"""What a page shows of a clip: its frames, which play, and over them where the network looked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from vmz.engines.precisions import FP32
from vmz.models.config import ModelConfig
from vmz.report.thumbnails import Strip, jpeg, strip_of
from vmz.video.frames.scaling import to_pixels

if TYPE_CHECKING:
    from vmz.model.module import VideoModel
    from vmz.settings.model import ModelSettings

STRENGTH = 0.6  # of the colour where the network looked most
FRAMES = 8  # of a clip, at most
HEAT = np.array([255, 64, 0], np.float32)


@dataclass(frozen=True)
class Picture:
    """A JPEG of the middle frame of a clip, and some of its frames. span: seconds of the clip's first and last frame.

    attention, attention_strip: the same with where the network looked, where that is asked for.
    """

    jpeg: bytes
    span: Optional[tuple[float, float]]
    strip: Strip
    attention: Optional[bytes] = None
    attention_strip: Optional[Strip] = None


@dataclass(frozen=True)
class Attention:
    """Shows where a network looks: a copy of it on PyTorch, and the blob that is looked at."""

    model: VideoModel
    blob: Optional[str]

    @classmethod
    def of(
        cls,
        network: ModelConfig,
        weights: Optional[Mapping[str, np.ndarray]],
        settings: ModelSettings,
        blob: Optional[str],
    ) -> Attention:
        from vmz.engines.torch_engine.devices import checked_device
        from vmz.model.module import VideoModel
        from vmz.settings.engine import device_name

        model = VideoModel(network, weights, settings=replace(settings, precision=FP32), seed=settings.seed)
        return cls(model.to(checked_device(device_name(settings))), blob)

    def check(self) -> None:
        """Raises UsageError for a blob of which attention cannot be shown, VmzError for an unknown one."""
        self.places(*(np.zeros((1, *shape), np.float32) for shape in self.model.input_shapes.values()), label=0)

    def places(self, clips: np.ndarray, logmels: Optional[np.ndarray] = None, *, label: int) -> np.ndarray:
        """As `model.attention.attention`: float32 (N, T, H, W), 0 to 1."""
        from vmz.model.attention import attention

        found: np.ndarray = attention(self.model, clips, label, self.blob, logmels)
        return found


@dataclass(frozen=True)
class Shown:
    """A clip (C, T, H, W) that is shown, the seconds of its first and last frame, and its log-mels, if any."""

    span: Optional[tuple[float, float]]
    clip: np.ndarray
    logmels: Optional[np.ndarray] = None


def pictures_of(clips: Sequence[Shown], attention: Optional[Attention], label: int) -> tuple[Picture, ...]:
    """A picture of each clip; label: the class whose attention is shown."""
    return tuple(_picture(one, attention, label) for one in clips)


def _picture(one: Shown, attention: Optional[Attention], label: int) -> Picture:
    clip, span = one.clip, one.span
    length = clip.shape[1]
    middle = length // 2
    shown = sorted({*range(middle, -1, -max(1, length // FRAMES)), *range(middle, length, max(1, length // FRAMES))})
    shown = shown[: 2 * FRAMES]
    pixels = to_pixels(clip[:, shown]).transpose(1, 2, 3, 0)
    place = shown.index(middle)
    plain = strip_of(pixels)
    if attention is None:
        return Picture(jpeg(pixels[place]), span, plain)
    heard = None if one.logmels is None else one.logmels[None]
    places = attention.places(clip[None], heard, label=label)[0]
    hot = [heated(one, places[number]) for one, number in zip(pixels, shown)]
    return Picture(jpeg(pixels[place]), span, plain, jpeg(hot[place]), strip_of(hot))


def heated(pixels: np.ndarray, places: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) with colour where `places` (H, W), 0 to 1, is high; the rest loses its colour."""
    weight: Any = (STRENGTH * places)[..., None]
    gray = pixels.mean(axis=2, keepdims=True).astype(np.float32)
    return np.clip((0.35 * pixels + 0.65 * gray) * (1 - weight) + HEAT * weight, 0, 255).astype(np.uint8)
