"""What an evaluation is: its network, data, protocol and outputs in one checked object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from vmz.settings.checkpoint import CheckpointSettings
from vmz.settings.clips import ClipSettings
from vmz.settings.epoch_evaluation import EpochTestSettings
from vmz.settings.inference import InferenceSettings
from vmz.settings.kinds import Integer, not_negative, positive, switch
from vmz.settings.reader import AggregationSettings
from vmz.settings.resolution import TESTING, ProtocolSettings, Use
from vmz.settings.setting import Settings, changed, setting


@dataclass(frozen=True)
class TestSettings(Settings):
    """The protocol: how clips become a video's score, and what is counted."""

    __test__ = False  # for pytest

    num_iter: int = setting(
        0, "stop after this number of batches; 0: evaluate each video of the database once", not_negative
    )
    top_k: int = changed(EpochTestSettings, "top_k", 5)
    aggregation: int = changed(AggregationSettings, "aggregation", 0)
    crop_per_inference: int = setting(
        0,
        "number of clips and crops that run through the network at a time, to limit memory; 0: a whole batch",
        Integer(0, 1 << 20),
    )
    print_per_class_metrics: int = setting(0, "1: also print a line for each class", switch)
    get_video_id: int = setting(0, "1: the records have video ids; --save_scores stores them too", switch)
    display_iter: int = setting(
        10, "number of batches between two progress lines in a log (a terminal shows a bar)", positive
    )


@dataclass(frozen=True)
class ReportSettings(Settings):
    """What is said about an evaluation beside its figures. Ours; the original has nothing like it."""

    report: Optional[str] = setting(None, "write the evaluation as a web page: one HTML file", str, metavar="FILE")
    label_names: Optional[str] = setting(
        None, "names of the classes: one per line in the order of the labels, or .csv or .json", str, metavar="FILE"
    )
    list: Optional[str] = setting(
        None, "CSV file that lists what --test_data should contain; missing videos are reported", str, metavar="FILE"
    )
    check_data: int = setting(
        1, "0: do not check --test_data for duplicates, frame rates and sizes before the evaluation", switch
    )


@dataclass(frozen=True)
class EvaluationConfig(
    ClipSettings, InferenceSettings, TestSettings, CheckpointSettings, ReportSettings, ProtocolSettings
):
    """The settings of test_net, by the names of its flags.

    `EvaluationConfig(test_data=..., load_model_path=...)` takes the defaults for the rest; `EvaluationConfig.resolved`
    takes them from the checkpoint and the zoo, as the tool does.

    >>> EvaluationConfig(model_name="r3d", num_labels=8).flags()["crop_size"]
    112
    """

    @classmethod
    def use(cls, flags: Mapping[str, Any]) -> Use:
        return TESTING

    output: Optional[str] = setting(None, "write the results as JSON", metavar="FILE")
    save_scores: Optional[str] = setting(
        None,
        "write the scores, label, key and path of every clip to an .npz file, which tools/aggregate_scores.py reads",
        metavar="FILE",
    )
    random_weights: int = setting(0, "1: evaluate an untrained network, without a file of weights", switch)
