"""load_model and what stands beside it in vmz's public face, on both engines."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vmz
from tests.engines.real_caffe2 import needs_caffe2
from tests.support.small_videos import video
from tests.zoo.server import serving, whole
from vmz import zoo
from vmz.checkpoints.pickles import save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.errors import UsageError, VmzError
from vmz.models.config import ModelConfig
from vmz.models.registry import build

DEMO = str(Path(__file__).resolve().parents[2] / "models_zoo" / "demo" / "motion_r2plus1d_10.pkl")
ENGINES = ["pytorch", pytest.param("caffe2", marks=needs_caffe2)]
MOTIONS = ("left", "right", "up", "down", "clockwise", "anticlockwise", "in", "out")
ROW = "r2plus1d_d18_l8"
UNRELEASED = next(row.name for row in zoo.rows() if row.file is None)


@pytest.fixture
def film(tmp_path: Path) -> str:
    video(tmp_path / "film.mp4", 1, frames=30)
    return str(tmp_path / "film.mp4")


def weights_of(config: ModelConfig) -> dict[str, np.ndarray]:
    model = build(config)
    return seeded_weights([*model.params, *model.computed_params], seed=5)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_of_weights(engine: str, film: str) -> None:
    model: Any = vmz.load_model(DEMO, engine=engine, device="cpu")
    assert model.clip_shape == (3, 8, 112, 112) and model.settings.sampling_rate_rgb == 1
    assert model.labels == MOTIONS
    found = model.predict(film, top_k=3)
    assert len(found.top) == 3 and len(found.clips) == 10 and found.scores.shape == (8,)
    assert abs(found.scores.sum() - 1) < 1e-5 and found.top[0].score == found.scores.max()
    clips = model.clips(film).clips
    assert np.abs(model.score(clips).mean(0) - found.scores).max() < 1e-6


@needs_caffe2
def test_both_engines_predict_the_same(film: str) -> None:
    scores = [vmz.load_model(DEMO, engine=name, device="cpu").predict(film).scores for name in ("pytorch", "caffe2")]
    assert np.abs(scores[0] - scores[1]).max() < 1e-5


def test_a_published_name_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, film: str) -> None:
    row = zoo.find(ROW)
    weights = vmz.weights(ROW)
    save_pickle(tmp_path / "made.pkl", weights_of(weights.config))
    monkeypatch.setenv("VMZ_CACHE", str(tmp_path / "cache"))
    with serving({f"/{row.file}": whole((tmp_path / "made.pkl").read_bytes())}) as (address, seen):
        monkeypatch.setenv("VMZ_MIRROR", address)
        with pytest.warns(UserWarning, match="not as r2plus1d_d18_l8 was published: --clip_per_video=2 instead of 10"):
            model: Any = vmz.load_model(ROW, device="cpu", clip_per_video=2)
        again = vmz.weights(ROW).path()
    assert len(seen) == 1 and again == weights.path(download=False) and again.name == row.file
    assert model.labels is not None and model.labels[0] == "abseiling" and len(model.labels) == 400
    top = model.predict(film, top_k=2).top
    assert [one.name for one in top] == [model.labels[one.label] for one in top]
    monkeypatch.setenv("VMZ_OFFLINE", "1")
    assert vmz.load_model(ROW, device="cpu").config == model.config
    with pytest.raises(UsageError, match=r"is not in .*, and VMZ_OFFLINE forbids"):
        vmz.load_model("r3d_d18_l8")


def test_new_classes_and_none(film: str) -> None:
    five: Any = vmz.load_model(DEMO, num_classes=5, device="cpu")
    none: Any = vmz.load_model(DEMO, num_classes=0, device="cpu")
    plain: Any = vmz.load_model(DEMO, device="cpu")
    assert five.config.num_labels == 5 and five.labels is None and "last_out_L5_w" in five.state_dict()
    shared = [name for name in plain.state_dict() if not name.startswith("last_out")]
    assert all(np.array_equal(model.state_dict()[n], plain.state_dict()[n]) for n in shared for model in (five, none))
    with pytest.raises(UsageError, match="the model has no classifier"):
        none.predict(film)


def test_settings_that_differ_from_the_training_are_said(tmp_path: Path) -> None:
    config = ModelConfig(model_name="r3d", model_depth=10, num_labels=4, channel_multiplier=0.1, clip_length=8)
    protocol = {
        "model_name": "r3d",
        "model_depth": 10,
        "num_labels": 4,
        "channel_multiplier": 0.1,
        "clip_length_rgb": 8,
    }
    about = {"protocol": {**protocol, "clip_length_rgb": 8, "scale_w": 200}, "labels": list("abcd")}
    save_pickle(tmp_path / "own.pkl", weights_of(config), about)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model: Any = vmz.load_model(str(tmp_path / "own.pkl"), device="cpu")
    assert model.settings.scale_w == 200 and model.labels == ("a", "b", "c", "d")
    with pytest.warns(UserWarning, match="--scale_w=171 instead of 200"):
        vmz.load_model(str(tmp_path / "own.pkl"), device="cpu", scale_w=171)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: vmz.load_model("r2plus1d_d18_l9"), UsageError, "no published model is called .*r2plus1d_d18_l8"),
        (lambda: vmz.load_model("nothing.pkl"), UsageError, "nothing.pkl"),
        (lambda: vmz.load_model(DEMO, head="new"), UsageError, "unknown head 'new'; choose from: published, plain"),
        (lambda: vmz.load_model(DEMO, clip_lenght_rgb=8), UsageError, "did you mean clip_length_rgb"),
        (lambda: vmz.load_model(DEMO, model_depth=18), VmzError, "--model_depth=18 contradicts"),
        (lambda: vmz.labels("kinetics"), UsageError, "did you mean kinetics-400"),
        (lambda: vmz.labels("IG65M"), UsageError, "were never published"),
        (lambda: vmz.weights(UNRELEASED).path(), UsageError, "weights were never released"),
        (lambda: vmz.no_such_name, AttributeError, "no_such_name"),
    ],
)  # fmt: skip
def test_refused_in_a_sentence(call: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        call()


def test_names() -> None:
    assert len(vmz.list_models()) == len(zoo.rows()) and "r2plus1d" in vmz.list_architectures()
    assert vmz.list_models("ip-csn-152*", data="sports1m") == [
        "ip_csn_152_sports1m_from_scratch", "ip_csn_152_ft_kinetics_from_sports1m",
    ]  # fmt: skip
    released = vmz.list_models(released=True)
    assert 0 < len(released) < len(vmz.list_models()) and ROW in released
    names = vmz.labels("Kinetics-400")
    assert len(names) == 400 and names == sorted(names) and names[6:8] == ["arm wrestling", "arranging flowers"]
    assert vmz.weights(ROW).meta["categories"] == names
    assert len(vmz.build("r3d", 18, num_labels=400).net.op) == 70


def test_import_takes_no_pytorch() -> None:
    code = "import vmz, sys; vmz.list_models(); assert 'torch' not in sys.modules, 'torch'; print(dir(vmz))"
    lib = str(Path(vmz.__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": lib}
    )
    assert done.returncode == 0 and "load_model" in done.stdout, done.stderr


def test_the_precision_of_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    demo = str(Path(__file__).resolve().parents[2] / "models_zoo" / "demo" / "motion_r2plus1d_10.pkl")
    assert vmz.load_model(demo, device="cpu").settings.precision == "fp32"  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="precision fp16 is for GPUs"):
        vmz.load_model(demo, device="cpu", precision="fp16")
    with pytest.raises(UsageError, match="unknown precision 'half'"):
        vmz.load_model(demo, device="cpu", precision="half")
