"""What a network says of a video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np


@dataclass(frozen=True)
class ClassScore:
    """A class and its score, from 0 to 1. name: None where the classes' names are not known."""

    label: int
    name: Optional[str]
    score: float

    def __str__(self) -> str:
        return self.name if self.name is not None else f"class {self.label}"


@dataclass(frozen=True)
class ClipScores:
    """What one clip of a video scores. span: seconds of its first and last frame; scores: float32 (classes,)."""

    span: Optional[tuple[float, float]]
    scores: np.ndarray


@dataclass(frozen=True)
class Prediction:
    """What a network says of a video.

    top: the classes with the highest scores, highest first. scores: float32 (classes,), the clips' mean or maximum.
    clips: in order of time. seconds: spent reading the video and in the network. ended_by: why decoding stopped before
    the video's end, if it did; the scores are of the frames before. without_sound: why the network heard zeros, if it
    did.
    """

    video: str
    top: tuple[ClassScore, ...]
    scores: np.ndarray
    clips: tuple[ClipScores, ...]
    seconds: Mapping[str, float]
    ended_by: Optional[str] = None
    without_sound: Optional[str] = None

    def to_json(self) -> dict[str, Any]:
        return {
            "video": self.video,
            "top": [vars(one) for one in self.top],
            "scores": [float(score) for score in self.scores],
            "clips": [
                {"span": None if one.span is None else list(one.span), "scores": [float(s) for s in one.scores]}
                for one in self.clips
            ],
            "seconds": dict(self.seconds),
            "ended_by": self.ended_by,
            "without_sound": self.without_sound,
        }

    def lines(self) -> str:
        """The top classes, one line each, with their scores in percent."""
        return "\n".join(f"{100 * one.score:6.2f} %  {one}" for one in self.top)
