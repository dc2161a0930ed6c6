"""The benchmarks' own arithmetic, their refusal of a busy machine, and one whole run of the smallest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vmz.models.config import ModelConfig
from vmz.models.registry import build

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    import harness

    return harness


def test_runs_are_interleaved_and_the_first_round_does_not_count(harness: Any) -> None:
    calls: list[str] = []
    runs = {name: lambda name=name: calls.append(name) for name in ("a", "b", "c")}
    timings = harness.interleaved(runs, rounds=2)
    assert calls == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert {name: (len(one.wall), len(one.cpu)) for name, one in timings.items()} == dict.fromkeys("abc", (2, 2))


def test_a_table_has_medians_per_clip_and_ratios(harness: Any) -> None:
    timings = {"ours": harness.Timing([0.4, 0.2, 0.3], [0.5] * 3), "theirs": harness.Timing([0.6] * 3, [0.6] * 3)}
    timings = {name: timing.divided(2) for name, timing in timings.items()}
    table = harness.Table("two", timings, {"theirs": "a note"})
    lines = table.lines()
    assert lines[2].split() == ["ours", "150.0", "100-200", "250", "1.00"]
    assert lines[3].split() == ["theirs", "300.0", "300-300", "300", "2.00", "a", "note"]
    rows = table.as_json()["rows"]
    assert rows[0]["median_ms"] == 150.0 and rows[1]["ratio"] == 2.0


def test_a_busy_machine_is_refused(harness: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "busy_share", lambda: 0.5)
    with pytest.raises(SystemExit, match=r"^the machine is busy: other processes use 50 % of its \d+ cores \(load"):
        harness.idle_or_exit()
    assert harness.idle_or_exit(busy=True) == 0.5
    monkeypatch.setattr(harness, "busy_share", lambda: 0.05)
    assert harness.idle_or_exit() == 0.05


def test_limits_are_measured(harness: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "GEMM", 256)
    monkeypatch.setattr(harness, "COPY", 1 << 16)
    found = harness.limits(1)
    assert found.gflops["fp32"] > 0.5 and found.gflops["bf16"] > 0.01 and found.gigabytes > 0.1


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / "inference.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.long
def test_inference(tmp_path: Path) -> None:
    output = tmp_path / "r3d.json"
    peers = "--peers=VMZ,eager PyTorch"
    answer = run("--busy", "--rounds=2", "--models=r3d-18", "--threads=1", "--batch=1,2", peers, f"--output={output}")
    assert answer.returncode == 0, answer.stderr
    (table,) = json.loads(output.read_text())["tables"]
    names = ["VMZ, batch 1", "VMZ, batch 2", "eager PyTorch, batch 1", "eager PyTorch, batch 2"]
    assert [row["name"] for row in table["rows"]] == names
    assert all(len(row["wall_ms"]) == 2 and row["median_ms"] > 1 for row in table["rows"])
    assert "r3d-18, fp32, batch 1, 2, ms a clip" in answer.stdout and "% of products" in answer.stdout


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_convolutions_alone_are_all_of_them(precision: str, harness: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import peers
    from eager import initial_values

    called: list[str] = []
    monkeypatch.setattr(peers, "partial", lambda function, *args, **kwargs: lambda: called.append(str(function)))
    model = build(ModelConfig("ir-csn", 26, 5, crop_size=224, clip_length=2))
    clips = np.random.RandomState(0).rand(1, *model.clip_shape).astype(np.float32)
    run = peers.convolutions_alone(precision)(model, initial_values(model), clips, peers.Where("cpu", 2))
    assert not called and run().shape == (1, 5)
    layers = sum(op.type == "Conv" for op in model.net.op)
    assert layers == 28 and len(called) >= layers and all(name.startswith("mkldnn._conv") for name in called)


@pytest.mark.parametrize(
    ("name", "gigabytes"), [("r2plus1d-152", 2.194), ("ir-csn-152", 1.845), ("ip-csn-152", 2.092), ("r3d-18", 0.0549)]
)
def test_the_least_traffic_of_a_clip(name: str, gigabytes: float, harness: Any) -> None:
    """In bf16; at 3.35 TB/s the three large ones take 0.65, 0.55 and 0.62 ms."""
    from inference import MODELS, build, least_values

    assert 2 * least_values(build(MODELS[name])) / 1e9 == pytest.approx(gigabytes, abs=1e-3)


@pytest.mark.long
def test_what_a_device_does_not_have(tmp_path: Path) -> None:
    answer = run("--device=cuda", "--peers=OpenVINO")
    assert answer.returncode == 2 and "OpenVINO is not measured with --device=cuda" in answer.stderr
    answer = run("--peers=VMZ --kernels=1")
    assert answer.returncode == 2 and "VMZ --kernels=1 is not measured with --device=cpu" in answer.stderr


def test_an_unknown_network_is_named() -> None:
    answer = run("--models=r4d")
    assert answer.returncode == 2 and "there is no 'r4d'" in answer.stderr


def peer(answer: float) -> Any:
    """In a Worker's process."""
    import harness

    if answer < 0:
        raise ValueError("it cannot be negative")
    return harness.Prepared(lambda: sum(range(200_000)), answer) if answer else None


@pytest.mark.long
def test_a_worker_runs_in_a_process_of_its_own(harness: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(FOLDER), str(FOLDER.parent), os.environ.get("PYTHONPATH", "")])
    )
    workers = {"one": harness.Worker(peer, 1.0), "two": harness.Worker(peer, 2.0)}
    assert [worker.said for worker in workers.values()] == [1.0, 2.0]
    timings = harness.interleaved(workers, rounds=3, before=1)
    assert all(len(one.wall) == len(one.cpu) == 3 and min(one.wall) > 0 for one in timings.values())
    assert all(worker.close() > 0.001 for worker in workers.values())
    with pytest.raises(RuntimeError, match=r"^ValueError: it cannot be negative$"):
        harness.Worker(peer, -1.0)
    with pytest.raises(RuntimeError, match=r"^it has no such network$"):
        harness.Worker(peer, 0.0)
