"""What processes tell each other: the rules with threads in their place, and real processes end to end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

import numpy as np
import pytest
import torch.distributed as dist

from vmz.cli.shared.launch import free_port
from vmz.errors import UsageError, VmzError
from vmz.processes import group, identity
from vmz.processes.group import FailedElsewhere, Group


def together(work: Callable[[Group], Any], world: int = 3) -> list[Any]:
    """`work` of each of `world` groups on one store, as joined() calls it: what they returned or raised, by rank."""
    store = dist.HashStore()

    def one(rank: int) -> Any:
        group = Group(store, rank, world)
        try:
            group.wait("joined", world)
            found = work(group)
            group.leave()
            return found
        except Exception as error:
            return group.fail(error) or error

    with ThreadPoolExecutor(world) as threads:
        return list(threads.map(one, range(world)))


def test_the_first_gathers_and_shares() -> None:
    def work(group: Group) -> Any:
        gathered = group.gather({"rank": group.rank, "scores": np.full((2, 3), group.rank, np.float32)})
        shared = group.share(None if gathered is None else [int(part["scores"].sum()) for part in gathered])
        return gathered is None, shared

    assert together(work) == [(False, [0, 6, 12]), (True, [0, 6, 12]), (True, [0, 6, 12])]


def test_large_values_travel_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "PIECE_BYTES", 100)
    values = np.arange(1000)
    found = together(lambda group: group.gather(values + group.rank), 2)
    assert np.array_equal(found[0][1], values + 1) and found[1] is None


def test_one_flag_counts_for_all() -> None:
    def work(group: Group) -> list[bool]:
        return [group.any(group.rank == number) for number in (0, 2, 7, 1, 9)]

    assert together(work) == [[True, True, False, True, False]] * 3


@pytest.mark.parametrize("failing", [0, 2])
def test_all_fail_when_one_does_wherever_they_are(failing: int) -> None:
    def work(group: Group) -> None:
        if group.rank == failing:
            raise UsageError("a flag is wrong")
        if group.rank == 1:  # at work, and looking up now and then
            while True:
                group.check()
                time.sleep(0.01)
        group.share(group.gather(1))  # waiting for the one that failed

    started = time.monotonic()
    found = together(work)
    assert time.monotonic() - started < group.GRACE_SECONDS
    for rank, error in enumerate(found):
        assert error.exit_status == 2
        if rank == failing:
            assert type(error) is UsageError and not error.already_reported
        else:
            assert isinstance(error, FailedElsewhere) and error.already_reported
            assert str(error) == f"process {failing} of 3 failed: a flag is wrong"


def test_what_follows_from_a_failure_is_not_told_again() -> None:
    def work(group: Group) -> None:
        if group.rank == 1:
            raise VmzError("the disk is gone")
        time.sleep(0.2)
        raise RuntimeError("connection closed by peer")

    found = together(work, 2)
    assert isinstance(found[0], FailedElsewhere) and str(found[0]).endswith("the disk is gone")
    assert str(found[1]) == "the disk is gone"


def test_one_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "8")  # without RANK: some clusters set it for other ends
    monkeypatch.delenv("RANK", raising=False)
    assert (identity.world_size(), identity.rank(), identity.local_rank()) == (1, 0, 0)
    with group.joined():
        assert group.gather(5) == [5] and group.share(6) == 6
        assert group.any_rank(True) and not group.any_rank(False)
        group.check()


SCRIPT = """
import sys
from vmz.errors import VmzError
from vmz.processes import group, identity
from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool

def main(argv):
    parser = Parser("")
    parser.add_argument("--fail", type=int, default=-1)
    options = parser.parse_args(argv)
    with group.joined(), group.joined():
        numbers = group.gather(identity.rank())
        if identity.rank() == options.fail:
            raise VmzError("this one is wrong")
        total = group.share(sum(numbers) if numbers else None)
    print("total", total)
    return 0

sys.exit(run_tool(main, several="--alone" not in sys.argv))
"""


def processes(world: int, *arguments: str) -> list[tuple[int, str, str]]:
    """Exit status, stdout and stderr of the script's processes, started without torchrun: the first keeps the store."""
    environment = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, *arguments],
            env={**os.environ, **environment, "RANK": str(rank), "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    outputs = [process.communicate(timeout=120) for process in running]
    return [(process.returncode, *output) for process, output in zip(running, outputs)]


def test_processes_talk_and_end_well() -> None:
    assert [found[:2] for found in processes(2)] == [(0, "total 1\n")] * 2


@pytest.mark.parametrize("failing", [0, 1])
def test_one_sentence_and_one_status(failing: int) -> None:
    found = processes(2, f"--fail={failing}")
    assert [status for status, _, _ in found] == [1, 1]
    assert ["error: this one is wrong" in errors for _, _, errors in found] == [failing == 0, failing == 1]
    assert not any("Traceback" in errors or "cannot reach" in errors for _, _, errors in found)


def test_a_wrong_flag_is_told_by_one() -> None:
    found = processes(2, "--fale=1")
    assert [status for status, _, _ in found] == [2, 2]
    assert sorted("unknown flag --fale;" in errors for _, _, errors in found) == [False, True]
    assert sorted(len(errors.splitlines()) for _, _, errors in found) == [0, 1]


def test_a_tool_for_one_process_refuses_several() -> None:
    found = processes(2, "--alone")
    assert [status for status, _, _ in found] == [2, 2] and [output for _, output, _ in found] == ["", ""]
    assert "runs in one process; start it without torchrun" in found[0][2] and found[1][2] == ""


def test_help_in_all_processes() -> None:
    found = processes(2, "--help")
    assert [status for status, _, _ in found] == [0, 0] and "--fail" in found[0][1]


def test_a_wrong_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(VmzError, match=r"process 1 of 2 cannot reach .*MASTER_ADDR"), group.joined():
        pass
