"""In which numbers a net runs: what may be asked of which engine, by every tool that runs nets."""

from __future__ import annotations

import pytest

from tests.engines.real_caffe2 import needs_caffe2
from vmz.cli import compare_engines, extract_features, predict, serve, test_net, test_net_large
from vmz.errors import UsageError
from vmz.evaluation.config import EvaluationConfig
from vmz.evaluation.recorded_settings import differences, refuse_mixed, settings
from vmz.features.config import ExtractionConfig
from vmz.settings.inference import InferenceSettings, opened_engine
from vmz.training.config import TrainConfig
from vmz.training.epoch_test import evaluation_config

TOOLS = [test_net, test_net_large, extract_features, predict, serve, compare_engines]


def test_the_defaults() -> None:
    found = InferenceSettings()
    assert found.precision == "fp32" and found.channels_last is None


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_that_runs_nets_has_them(tool: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        tool.main(["--help"])  # type: ignore[attr-defined]
    shown = " ".join(capsys.readouterr().out.split())
    assert "--precision {fp32,tf32,bf16,fp16}" in shown and "--engine=caffe2 takes fp32" in shown
    assert tool is compare_engines or "--channels_last 0|1" in shown


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"precision": "fp8"}, "unknown precision 'fp8'; choose from: fp32, tf32, bf16, fp16"),
        ({"channels_last": 2}, "channels_last: '2' is not 0 or 1"),
        ({"precision": "bf16", "engine": "caffe2"}, "--precision=bf16 needs --engine=pytorch: Caffe2 computes in fp32"),
        ({"channels_last": 1, "engine": "caffe2"}, "--channels_last=1 needs --engine=pytorch: Caffe2 stores channels"),
        ({"kernels": 1, "engine": "caffe2"}, "--kernels=1 needs --engine=pytorch: the kernels are PyTorch's and"),
        ({"precision": "fp16", "engine": "openvino"}, "--precision=fp16 needs --engine=pytorch: OpenVINO computes in"),
        ({"channels_last": 0, "engine": "openvino"}, "--channels_last needs --engine=pytorch: OpenVINO chooses how"),
        ({"kernels": 1, "engine": "openvino"}, "--kernels=1 needs --engine=pytorch: the kernels are PyTorch's and"),
    ],
)
def test_what_is_refused(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        InferenceSettings.from_flags(given)


@pytest.mark.parametrize("precision", ["tf32", "fp16"])
def test_what_the_cpu_has_not(precision: str) -> None:
    with pytest.raises(UsageError, match=f"^precision {precision} is for GPUs: on the CPU use bf16 or fp32$"):
        opened_engine(InferenceSettings(device="cpu", precision=precision))


@needs_caffe2
@pytest.mark.parametrize("flag", ["--precision=bf16", "--channels_last=1"])
@pytest.mark.parametrize("tool", [test_net, extract_features])
def test_caffe2_refuses_in_one_sentence(tool: object, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main([flag, "--engine=caffe2", "--test_data=none"]) == 2  # type: ignore[attr-defined]
    said = capsys.readouterr().err.strip()
    assert said.startswith(f"error: {flag} needs --engine=pytorch: Caffe2") and "\n" not in said


def test_features_and_scores_remember_it() -> None:
    full, half = (settings(ExtractionConfig(precision=name), None, "npz", ()) for name in ("fp32", "bf16"))
    assert differences(full, half) == ["precision: fp32, now bf16"]
    assert settings(ExtractionConfig(channels_last=1), None, "npz", ()) == full  # the same numbers


def test_what_older_versions_wrote_is_of_fp32() -> None:
    now = settings(ExtractionConfig(), None, "npz", ())
    before = {name: value for name, value in now.items() if name != "precision"}
    assert differences(before, now) == [] and differences(before, {**now, "precision": "bf16"})


def test_scores_of_two_precisions_are_not_put_together() -> None:
    parts = [(name, {"test_data": name, "precision": name}) for name in ("fp32", "bf16")]
    with pytest.raises(UsageError, match=r"come from different runs \(precision: fp32, now bf16\)"):
        refuse_mixed(parts)


def test_results_tell_it() -> None:
    assert EvaluationConfig(precision="bf16").flags()["precision"] == "bf16"


def test_an_epoch_is_tested_as_test_net_tests_it() -> None:
    """So that test_net repeats it to the last digit, and the layout is the engine's own choice."""
    found = evaluation_config(TrainConfig(precision="bf16", channels_last=0))
    assert found.precision == "fp32" and found.channels_last is None
