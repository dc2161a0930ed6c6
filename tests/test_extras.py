"""A missing extra is one sentence, wherever it is first needed."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.motion import write_motion_database
from vmz.errors import UsageError
from vmz.evaluation.config import EvaluationConfig
from vmz.evaluation.run import evaluate
from vmz.extras import require
from vmz.training.config import TrainConfig
from vmz.training.run import train

ROOT = Path(__file__).resolve().parents[1]
USES = re.compile(r"\brequire\(\s*\"?([\w.]+)\"?, \"(\w+)\"")


def test_each_use_names_an_extra_of_the_project() -> None:
    """And no package of an extra is imported at the head of a module, nor depended on as well."""
    project = (ROOT / "pyproject.toml").read_text()
    sources = {path: path.read_text() for path in (ROOT / "lib").rglob("*.py")}
    used = {extra for path, text in sources.items() if path.name != "extras.py" for _, extra in USES.findall(text)}
    assert used == {"annotate", "flow", "hdf5", "hub", "multilabel", "onnx", "openvino", "serve", "tensorboard"}
    for extra in used:
        assert re.search(rf"(?m)^{extra} = \[$", project), extra
    optional = r"(?m)^(?:import|from) (?:sklearn|cv2|h5py|onnx\w*|openvino|PIL|tensorboard|safetensors)\b"
    assert [str(path) for path, text in sources.items() if re.search(optional, text)] == []


def test_what_is_missing_and_what_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert require("json", "hub", "a file") is sys.modules["json"]
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UsageError, match=r'^--annotate needs Pillow: pip install "vmz\[annotate\]"$'):
        require("PIL", "annotate", "--annotate")
    (tmp_path / "broken_package.py").write_text("from json import nothing")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        UsageError, match=r'^a needs broken_package, which cannot be loaded \(cannot .*\): pip install "vm'
    ):
        require("broken_package", "hub", "a")


def test_several_labels_without_scikit_learn_are_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    database = str(write_motion_database(tmp_path / "db"))
    message = r'^the evaluation of several labels per video \(multi_label\) needs scikit-learn: pip install "vmz\[mul'
    small: dict[str, Any] = {
        "model_depth": 10,
        "channel_multiplier": 0.05,
        "num_labels": 8,
        "clip_length_rgb": 2,
        "multi_label": 1,
    }
    with pytest.raises(UsageError, match=message):
        evaluate(EvaluationConfig(test_data=database, load_model_path="missing.pkl", **small))
    with pytest.raises(UsageError, match=message):
        train(TrainConfig(train_data=database, test_data=database, file_store_path=str(tmp_path / "run"), **small))
    assert not (tmp_path / "run").exists()
