from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.goldens.recordings import golden_path
from tests.support.generated_weights import generated_weights
from tests.support.optionals import present
from tests.support.small_videos import database
from vmz.checkpoints.pickles import save_pickle
from vmz.cli.test_net import configuration
from vmz.errors import VmzError
from vmz.evaluation import run as evaluation
from vmz.evaluation.aggregation import aggregate_files
from vmz.evaluation.network import evaluation_model
from vmz.evaluation.records import in_order
from vmz.evaluation.run import evaluate, evaluate_weights
from vmz.evaluation.scores import merge, score_arrays
from vmz.netdef.json_form import net_to_json
from vmz.report.evaluation import page
from vmz.results.scores import Scores
from vmz.video.reader import BadVideo


@pytest.mark.parametrize("name", ["r2plus1d18", "irCSN152", "mc3_ml", "ipCSN50_conv3crop"])
def test_the_net_of_test_net_is_the_originals_reader_and_all(name: str) -> None:
    index = json.loads(golden_path("nets/index_tools.json").read_text())
    argv = next(e["argv"] for e in index if e["name"] == name and e["num_gpus"] == 0)
    golden = json.loads(gzip.decompress(golden_path(f"nets/testnet_{name}_gpu0.json.gz").read_bytes()))
    model = evaluation_model(configuration(argv))
    assert json.dumps(net_to_json(model.net), sort_keys=True) == json.dumps(golden["net"], sort_keys=True)
    assert json.dumps(net_to_json(model.param_init_net), sort_keys=True) == json.dumps(
        golden["param_init_net"], sort_keys=True
    )


def test_weights_at_hand_and_in_a_file_give_the_same(tmp_path: Path) -> None:
    small = ["--model_name=r2d", "--model_depth=10", "--channel_multiplier=0.1", "--clip_length_rgb=4", "--num_gpus=0"]
    path = database(tmp_path, 3)
    config = configuration([*small, f"--test_data={path}", "--num_labels=5", "--clip_per_video=2", "--top_k=2"])
    model = evaluation_model(config)
    weights = generated_weights([*model.params, *model.computed_params])
    save_pickle(tmp_path / "weights.pkl", weights)
    held = evaluate_weights(config, weights)
    filed = evaluate(replace(config, load_model_path=str(tmp_path / "weights.pkl")))
    assert held.checkpoint is None and filed.checkpoint is not None
    assert held.figures == filed.figures and held.loss == filed.loss and held.scores.records == [0, 1, 2]
    assert np.array_equal(np.stack(held.scores.videos), np.stack(filed.scores.videos))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_last_accuracy_of_three_classes_is_video_3(engine: str, tmp_path: Path) -> None:
    """--top_k=5: what a run, its page and its kept scores say of it."""
    small = ["--model_name=r2d", "--model_depth=10", "--channel_multiplier=0.1", "--clip_length_rgb=4", "--num_gpus=0"]
    path = database(tmp_path, 3)
    more = ["--num_labels=3", "--clip_per_video=2", "--random_weights=1", f"--save_scores={tmp_path / 'scores.npz'}"]
    config = configuration([*small, *more, f"--test_data={path}", f"--engine={engine}"])
    found = evaluate(config)
    assert list(found.figures) == ["clip@1", "video@1", "video@3"] and list(found.intervals) == ["clip@1", "video@1"]
    own = [clip[label] for clips, label in zip(found.scores.clips, found.scores.labels) for clip in clips]
    assert len(own) == 6 and found.loss == pytest.approx(-np.log(own).mean(), rel=1e-5) and present(found.loss) > 0
    always = "video@3  100.00%, always: the network has 3 classes"
    *_, named, figures, cost = found.lines()
    assert named == always and figures.endswith(", top3: 1.0") and cost.startswith("FLOPs: ")
    html = page(found)
    assert "Always 100\u00a0%: there are 3 classes." in html and "video@5" not in html
    np.savez(tmp_path / "scores.npz", **score_arrays(found.scores, config))  # type: ignore[arg-type]
    again = aggregate_files([tmp_path / "scores.npz"])
    assert again.figures == found.figures and again.lines()[-2:] == [always, figures]


def test_scores_of_several_processes_are_put_in_database_order() -> None:
    def part(*records: int) -> Scores:
        rows = [np.full(2, record, np.float32) for record in records]
        keys = [str(record) for record in records]
        labels = [np.asarray(record) for record in records]
        return Scores(rows, labels, list(records), keys, rows, right_clips=1, all_clips=2 * len(records))

    whole = merge([part(0, 1, 6), part(2, 3), Scores(), part(4, 7)])
    assert whole.records == whole.labels == [0, 1, 2, 3, 4, 6, 7] and whole.keys == ["0", "1", "2", "3", "4", "6", "7"]
    assert np.stack(whole.clips)[:, 0].tolist() == np.stack(whole.videos)[:, 1].tolist() == whole.records
    assert (whole.right_clips, whole.all_clips) == (3, 14)
    bad = [[BadVideo("10", None, "a")], [], [BadVideo("2", None, "b"), BadVideo("3", None, "c")]]
    assert [one.key for one in in_order(bad, ["1", "10", "2", "3"])] == ["10", "2", "3"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_database_made_anew_while_it_is_scored_is_refused(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ["--model_name=r2d", "--model_depth=10", "--channel_multiplier=0.1", "--clip_length_rgb=4", "--num_gpus=0"]
    path = database(tmp_path, 3)
    more = ["--num_labels=5", "--clip_per_video=1", "--top_k=2", "--random_weights=1", f"--engine={engine}"]
    config = configuration([*small, *more, f"--test_data={path}"])
    score = evaluation.score_videos

    def and_remake(*arguments: Any) -> Scores:
        scores = score(*arguments)
        shutil.rmtree(path)
        database(tmp_path, 4)
        return scores

    monkeypatch.setattr(evaluation, "score_videos", and_remake)
    with pytest.raises(VmzError, match=r"db was created again while it was read; run again"):
        evaluate(config)
