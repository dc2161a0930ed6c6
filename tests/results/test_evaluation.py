from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.report.examples import evaluation, scores_of
from vmz.evaluation.config import EvaluationConfig
from vmz.results.evaluation import Aggregate, Evaluation
from vmz.video.faults import EndedEarly

NAMES = ["run", "jump", "swim"]
KEYS = (
    "figures loss intervals videos clips_per_video skipped ended_early without_sound per_class gmacs_per_clip params_m "
    "interactions_g checkpoint published settings label_names data seconds options environment"
)


@pytest.fixture
def found() -> Evaluation:
    """Two of three videos right, of ten clips each."""
    rows = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1]], np.float32)
    return evaluation(scores_of(["0", "1", "2"], rows, np.array([0, 1, 1])), NAMES, healthy=True)


def test_lines(found: Evaluation) -> None:
    ended = [EndedEarly("1", None, 7, "why")]
    assert isinstance(found.config, EvaluationConfig)
    config = replace(found.config, print_per_class_metrics=1)
    lines = replace(found, config=config, ended_early=ended).lines()
    assert lines[0].startswith("/models/r2.5d_d18_l8.pkl: loaded 212 parameters; 1 adapted, 0 missing")
    assert lines[1:] == [
        "class 0 run: 1 of 1 video, 1.0000",
        "class 1 jump: 1 of 2 videos, 0.5000",
        "3 videos, 10 clips each, 1234.5 s on pytorch, cuda:0",
        "1 video ended early (scored from the frames before): record 1 after 7 frames: why",
        "clip@1    46.67% (95 % interval 14.4 to 81.9), each of 30 clips",
        "video@1   66.67% (95 % interval 20.8 to 93.9), mean of each video's 10 clips",
        "video@3  100.00%, always: the network has 3 classes",
        "Test accuracy: clip: 0.4666666666666667, top 1: 0.6666666666666666, top3: 1.0",
        "FLOPs: 20.7, params: 33.3, inters: 1.0",
    ]
    assert replace(found, checkpoint=None).lines()[0] == "3 videos, 10 clips each, 1234.5 s on pytorch, cuda:0"


def test_lines_tell_what_the_run_waited_for_and_how_busy_the_cores_were(found: Evaluation) -> None:
    assert isinstance(found.config, EvaluationConfig)
    config = replace(found.config, num_decode_threads=3)
    seconds = {"load": 1.0, "run": 10.0, "read": 0.25, "net": 9.0, "cpu": 37.0}
    known = replace(found, config=config, seconds=seconds, environment={**found.environment, "cores": "4"})
    line = "; 2.5% of it waiting for clips (3 decoding threads), the CPU 92% busy (4 cores)"
    assert next(one for one in known.lines() if "clips each" in one).endswith(line)
    assert not any(line in one for one in replace(known, seconds={**seconds, "run": 0.0}).lines())
    several = {name: value for name, value in seconds.items() if name != "cpu"}
    assert not any("waiting for clips" in line for line in replace(known, seconds=several).lines())


def test_the_file_of_results(found: Evaluation) -> None:
    written = json.loads(json.dumps(found.to_json()))
    assert list(written) == KEYS.split()
    assert written["figures"] == {"clip@1": 14 / 30, "video@1": 2 / 3, "video@3": 1.0}
    assert list(written["intervals"]) == ["clip@1", "video@1"]
    assert written["per_class"][1] == {"label": 1, "videos": 2, "correct": 1}
    assert written["checkpoint"] == {
        "copied": 212, "adapted": {"conv1_w": "repeated over 3 frames"}, "missing": [], "unused": ["lr", "iter"],
        "mismatched": [],
    }  # fmt: skip
    assert written["published"]["figures"]["video@5"] == 0.852 and written["published"]["remarks"] == []
    assert written["data"]["recipe"]["frame_rate"] == 15 and written["label_names"] == NAMES
    assert written["settings"] is None and written["options"]["num_labels"] == 3
    bare = replace(found, checkpoint=None, data=None, published=None, label_names=None).to_json()
    assert [name for name, value in bare.items() if value is None] == [
        "loss", "checkpoint", "published", "settings", "label_names", "data"
    ]  # fmt: skip


def test_scores_of_several_labels() -> None:
    rows = np.array([[0.9, 0.8, 0.1], [0.2, 0.3, 0.1], [0.9, 0.2, 0.3]], np.float32)
    found = evaluation(scores_of(["a", "b", "c"], rows, np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1]])), healthy=True)
    assert found.intervals == {} and found.to_json()["per_class"][0] == {
        "label": 0, "videos": 1, "average_precision": 0.5
    }  # fmt: skip
    assert found.lines()[-2].startswith("Test mAUC: ") and "95 %" not in "\n".join(found.lines())


def test_kept_scores_have_the_lines_of_their_run(found: Evaluation) -> None:
    kept = Aggregate(found.figures, found.per_class, found.scores, 10, 3, 0, 5, ["a.npz", "b.npz"], NAMES)
    assert kept.lines(each_class=True) == [
        "class 0 run: 1 of 1 video, 1.0000",
        "class 1 jump: 1 of 2 videos, 0.5000",
        "3 videos, 10 clips each, from 2 files",
        *found.lines()[-5:-1],
    ]
    written = kept.to_json()
    assert list(written) == ["figures", "intervals", "videos", "clips_per_video", "per_class", "options", "files"]
    assert {name: written[name] for name in ("figures", "intervals", "per_class")} == {
        name: found.to_json()[name] for name in ("figures", "intervals", "per_class")
    }
