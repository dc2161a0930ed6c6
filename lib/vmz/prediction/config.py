"""What a prediction is: the model and its views, and of `vmz predict` its videos and outputs, in checked objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Union

from vmz.errors import UsageError
from vmz.netdef.video_outputs import WITH_RGB
from vmz.settings.kinds import BadValue, Integer, Number, switch
from vmz.settings.model import ModelSettings
from vmz.settings.setting import setting
from vmz.text import quoted
from vmz.video.views import ONE, PUBLISHED


def number_of_views(text: str) -> Any:
    """ "published", "one" or a number of clips."""
    if text in (PUBLISHED, ONE):
        return text
    if text.isdigit() and int(text) > 0:
        return Integer(1, 1 << 16)(text)
    raise BadValue(f"{quoted(text)} is not published, one or a number of clips")


@dataclass(frozen=True)
class ScoringConfig(ModelSettings):
    """How a video is scored and explained: what `vmz predict` and `vmz serve` share."""

    top_k: int = setting(5, "number of classes to print for each video", Integer(1, 1 << 20), metavar="K")
    views: Union[str, int] = setting(
        PUBLISHED,
        "what the network looks at in a video. published: as many clips and crops as in the published test; one: the "
        "clip and crop in the middle, for speed; N: that number of clips, evenly spaced",
        number_of_views,
        metavar="published|one|N",
    )
    stride_seconds: Optional[float] = setting(
        None,
        "for long videos: one clip every X seconds over the whole video, in place of --views",
        Number(1e-3, 1e6),
        metavar="X",
    )
    label_names: Optional[str] = setting(
        None, "names of the classes: one per line in the order of the labels, or .csv or .json", metavar="FILE"
    )
    attention: Optional[int] = setting(
        0,
        "1: show where the network looked (Grad-CAM) in --report and --annotate (--engine=pytorch only)",
        switch,
    )
    attention_blob: Optional[str] = setting(
        None, "blob that --attention looks at; by default the last convolutional one", metavar="BLOB"
    )
    random_weights: int = setting(0, "1: an untrained network, without a file of weights", switch)

    @property
    def shows_pictures(self) -> bool:
        """Whether its clips have pictures, which pages show: not those of optical flow or of sound alone."""
        return self.input_type in WITH_RGB

    def check_attention(self) -> None:
        """Raises UsageError for an --attention=1 that nothing can show."""
        if self.attention and self.engine != "pytorch":
            raise UsageError("--attention=1 needs --engine=pytorch: it takes gradients")
        if self.attention and not self.shows_pictures:
            raise UsageError(
                f"--attention=1 shows where a network looked in pictures, but with --input_type={self.input_type} it "
                f"takes {'optical flow' if self.sees_flow else 'sound alone'}; leave --attention=1 out"
            )


@dataclass(frozen=True)
class PredictionConfig(ScoringConfig):
    """The settings of `vmz predict`, by the names of its flags."""

    videos: tuple[str, ...] = setting(
        None, "video files, folders of videos, or a .csv or .txt file that lists videos", metavar="VIDEO", several=True
    )
    output: Optional[str] = setting(None, "write the predictions as JSON", metavar="FILE")
    csv: Optional[str] = setting(None, "write a CSV with a row for each video and class of the top K", metavar="FILE")
    report: Optional[str] = setting(
        None, "write the predictions as a web page: one HTML file, with frames and the scores over time", metavar="FILE"
    )
    annotate: Optional[str] = setting(
        None,
        "write a copy of each video that shows the class and its score on the frames: a folder, which gets "
        "<name>.mp4 for each (needs Pillow)",
        metavar="DIR",
    )
