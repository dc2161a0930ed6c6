"""Two real processes that train: they resume, and when one fails its cause is printed, once, whoever started them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.processes import ONE_THREAD, python
from vmz.cli.shared.launch import free_port

ROOT = Path(__file__).resolve().parents[4]
SCRIPT = str(Path(__file__).with_name("rank_failures.py"))
ENVIRONMENT = {**ONE_THREAD, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
LAUNCH = "import sys; from vmz.cli.shared.launch import run_processes; sys.exit(run_processes(2, sys.argv[1:]))"


def by_torchrun(*arguments: str) -> tuple[int, str, str]:
    return run([*python(2), SCRIPT, *arguments])


def by_launch(*arguments: str) -> tuple[int, str, str]:
    """As --num_gpus=2 starts them."""
    return run([sys.executable, "-c", LAUNCH, sys.executable, SCRIPT, *arguments])


def by_hand(*arguments: str) -> tuple[int, str, str]:
    """Without anything that ends one when the other has failed: they must end by themselves."""
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    running = [
        subprocess.Popen(
            [sys.executable, SCRIPT, *arguments],
            env={**ENVIRONMENT, **place, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=100) for process in running]
    finally:
        for process in running:
            process.kill()  # one that does not end would take a core from all that comes after
    statuses = {process.returncode for process in running}
    assert len(statuses) == 1, (statuses, outputs)
    return statuses.pop(), "".join(out for out, _ in outputs), "".join(errors for _, errors in outputs)


STARTS = {"torchrun": by_torchrun, "launch": by_launch, "hand": by_hand}


def run(command: list[str]) -> tuple[int, str, str]:
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=200)
    return done.returncode, done.stdout, done.stderr


def assert_said(errors: str, how: str) -> None:
    sentence = "error: RuntimeError: the disk is full" if how == "at work" else "error: the disk is full"
    assert errors.count(sentence) == 1 == errors.count("error: "), errors
    assert "ranks failed" not in errors and "lost another" not in errors and "SIGKILL" not in errors, errors


def test_they_resume_without_a_warning() -> None:
    status, output, errors = by_hand("resume")
    assert (status, output, errors) == (0, "the same\n", "")


@pytest.mark.long
@pytest.mark.parametrize(("how", "rank"), [("in a step", "0"), ("in a step", "1"), ("between steps", "0")])
def test_the_cause_is_printed_once(how: str, rank: str) -> None:
    started = time.monotonic()
    status, _, errors = by_hand(how, rank)
    assert status == 1
    assert_said(errors, how)
    assert time.monotonic() - started < 60


@pytest.mark.long
def test_the_cores_are_shared_and_the_cause_is_printed() -> None:
    status, _, errors = by_launch("between steps", "1")
    assert status == 1
    line, _, rest = errors.partition("\n")
    assert line == "2 processes, 1 computing threads each (set by OMP_NUM_THREADS)"
    assert_said(rest, "between steps")


@pytest.mark.slow
@pytest.mark.parametrize("start", list(STARTS))
@pytest.mark.parametrize("how", ["in a step", "between steps", "at work"])
def test_the_cause_is_printed_ten_times_of_ten(start: str, how: str) -> None:
    for number in range(10):
        status, _, errors = STARTS[start](how, str(number % 2))
        assert status == 1, errors
        own = "\n".join(line for line in errors.splitlines() if not line.startswith(("E1", "W1", "-", "=")))
        assert own.count("the disk is full") == 1, errors
        assert "ranks failed" not in own and "lost another" not in own, errors


@pytest.mark.slow
def test_one_that_is_killed_ends_the_other() -> None:
    status, _, errors = by_launch("killed", "1")
    assert (status == 1 and "lost another rank of the run" in errors) or "killed by SIGKILL" in errors


@pytest.mark.long
@pytest.mark.parametrize("asking", [0, 1])
def test_one_rank_that_is_told_to_stop_stops_all_in_the_same_iteration(asking: int) -> None:
    """And the state is copied by the first one alone."""
    status, output, errors = by_torchrun("stop", str(asking))
    assert status == 0, errors
    assert output.splitlines() == ["(0, 3, True, False, True)", "(1, 3, True, False, False)"]
