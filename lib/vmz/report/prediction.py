"""The page of predictions: frames, top classes and the scores over time of each video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from vmz.report.curves import Plot, Series, plot
from vmz.report.page import counted, data_address, render, render_macro
from vmz.report.thumbnails import Strip
from vmz.results.prediction import Prediction

MOST_VIDEOS = 300  # on one page; --output has them all
MOST_CLIPS = 96  # of all videos of a page together, but one of each video
CLIP_BYTES = 3_000_000  # of all clips of a page together; videos after that go without
CURVES = 3  # classes whose scores are drawn


@dataclass(frozen=True)
class Frame:
    """A clip for the page. seconds: of the clip's first and last frame, None where the video has no times.

    other: the same clip without what is drawn over it, for a page that can show either.
    """

    strip: Strip
    seconds: Optional[tuple[float, float]]
    other: Optional[Strip] = None

    @classmethod
    def of(cls, plain: Strip, drawn_over: Optional[Strip], seconds: Optional[tuple[float, float]]) -> Frame:
        """With what is drawn over it, where something is."""
        return cls(plain, seconds) if drawn_over is None else cls(drawn_over, seconds, plain)

    @property
    def address(self) -> str:
        return data_address(self.strip.jpeg)

    @property
    def plain(self) -> Optional[str]:
        return None if self.other is None else data_address(self.other.jpeg)

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.strip.jpeg) + (len(self.other.jpeg) if self.other else 0)


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
    shown, room = predictions[:MOST_VIDEOS], [CLIP_BYTES]
    one = len(predictions) == 1
    return render(
        "prediction.html",
        title=_name(predictions[0]) if one else counted(len(predictions), "video"),
        kind="Prediction",
        model=model,
        videos=[(one, _clips(frames, one.video, len(shown), room), _over_time(one)) for one in shown],
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


def _clips(frames: Mapping[str, Sequence[Frame]], video: str, videos: int, room: list[int]) -> list[Frame]:
    """Clips of a video, evenly spread, as many as a page of so many videos has room for. room: [bytes left]."""
    found = list(frames.get(video, ()))
    most = max(1, MOST_CLIPS // videos)
    if len(found) > most:
        found = [found[(2 * place + 1) * len(found) // (2 * most)] for place in range(most)]
    size = sum(frame.size for frame in found)
    if size > room[0]:
        return []
    room[0] -= size
    return found


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
