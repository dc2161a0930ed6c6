"""The page of predictions: frames, top classes and the scores over time of each video."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from vmz.model.prediction import Prediction
from vmz.report.curves import Plot, Series, plot
from vmz.report.page import render, render_macro

MOST_VIDEOS = 300  # on one page; --output has them all
CURVES = 3  # classes whose scores are drawn


@dataclass(frozen=True)
class Frame:
    """A picture for the page. seconds: of the clip's first and last frame, None where the video has no times.

    other: the same clip without what is drawn over it, for a page that can show either.
    """

    jpeg: bytes
    seconds: Optional[tuple[float, float]]
    other: Optional[bytes] = None

    @property
    def address(self) -> str:
        return _address(self.jpeg)

    @property
    def plain(self) -> Optional[str]:
        return None if self.other is None else _address(self.other)


def page(
    predictions: Sequence[Prediction],
    frames: Mapping[str, Sequence[Frame]],
    skipped: Sequence[tuple[str, str]],
    model: str,
    settings: Mapping[str, Any],
    environment: Mapping[str, str],
    seconds: float,
    attention: bool = False,
) -> str:
    """The HTML. frames: {video: pictures of clips}. skipped: (video, reason). seconds: of scoring all videos."""
    shown = predictions[:MOST_VIDEOS]
    one = len(predictions) == 1
    return render(
        "prediction.html",
        title=_name(predictions[0]) if one else f"{len(predictions)} videos",
        kind="Prediction",
        model=model,
        videos=[(prediction, list(frames.get(prediction.video, ())), _over_time(prediction)) for prediction in shown],
        name=_name,
        total=len(predictions),
        skipped=skipped,
        settings=settings,
        environment=environment,
        spent=seconds,
        attention=attention,
    )


def part(prediction: Prediction, frames: Sequence[Frame], attention: bool = False) -> str:
    """The HTML of one video, for a page that is there already."""
    return render_macro(
        "video.html", "shown", prediction, _name(prediction), list(frames), _over_time(prediction), attention
    )


def _address(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _name(prediction: Prediction) -> str:
    return prediction.video.rpartition("/")[2]


def _over_time(prediction: Prediction) -> Optional[Plot]:
    """The scores of the first classes, clip by clip; None of a single clip or without times."""
    clips = [clip for clip in prediction.clips if clip.span is not None]
    if len(clips) < 2:
        return None
    middles = [(clip.span[0] + clip.span[1]) / 2 for clip in clips if clip.span is not None]
    series = [
        Series(str(one), middles, [float(clip.scores[one.label]) for clip in clips], dots=len(clips) <= 40)
        for one in prediction.top[:CURVES]
    ]
    return plot("Scores over time", "Across: seconds, at the middle of each clip.", series, zero=True)
