"""scripts/cuda_check.py, as far as no GPU is needed: what it runs and says, and that it goes on after a failure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vmz.engines.torch_engine.devices import device_name

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "cuda_check.py"


def checked(tmp_path: Path, *arguments: str) -> tuple[int, str, dict[int, Any]]:
    """Exit status, what it printed, the JSON's checks by number."""
    command = [sys.executable, str(SCRIPT), "--device=cpu", f"--output={tmp_path / 'r.json'}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    found = json.loads((tmp_path / "r.json").read_text())
    return done.returncode, done.stdout, {check["number"]: check for check in found["checks"]}


@pytest.mark.long
def test_checks_that_pass_and_one_that_needs_a_gpu(tmp_path: Path) -> None:
    status, said, checks = checked(tmp_path, "--only=3,4,5")
    assert status == 0 and said.splitlines()[-1] == "2 PASS, 0 FAIL, 1 SKIP"
    assert "not checked: NCCL between several GPUs" in said.splitlines()[0]
    assert {number: check["status"] for number, check in checks.items()} == {3: "PASS", 4: "SKIP", 5: "PASS"}
    assert checks[3]["figures"] == {"steps in each layout": 20}


@pytest.mark.long
def test_kernels_and_pixels_without_a_gpu(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    status, said, checks = checked(tmp_path, "--only=13,14,15")
    assert status == 0 and said.splitlines()[-1] == "2 PASS, 0 FAIL, 1 SKIP", said
    assert checks[15]["status"] == "SKIP" and checks[14]["figures"] == {"bits": "the same"}
    assert len(checks[13]["figures"]) == 4 and max(checks[13]["figures"].values()) < 1e-6


def test_it_goes_on_after_one_that_takes_too_long(tmp_path: Path) -> None:
    status, said, checks = checked(tmp_path, "--only=3,5", "--seconds=0.2")
    assert status == 1 and said.splitlines()[-1] == "0 PASS, 2 FAIL, 0 SKIP"
    assert checks[3]["reason"].startswith("not done after 0.2 s") and list(checks) == [3, 5]


@pytest.mark.parametrize("wrong", ["--only=99", "--only=x", "--only=1,,2"])
def test_unknown_checks(wrong: str) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), wrong], capture_output=True, text=True)
    assert done.returncode == 2 and f"{wrong}: the checks are 1, 2, 3" in done.stderr


@pytest.mark.skipif(device_name("auto") != "cpu", reason="there is a GPU")
def test_no_gpu() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True)
    assert (
        done.returncode == 2
        and "PyTorch sees 0 CUDA devices; use --device=cpu, which runs what needs no GPU" in done.stderr
    )


@pytest.mark.slow
def test_all_of_it(tmp_path: Path) -> None:
    status, said, checks = checked(tmp_path)
    assert status == 0, said
    assert len(checks) == 15 and [number for number, check in checks.items() if check["status"] == "SKIP"] == [
        4,
        11,
        15,
    ]
