from __future__ import annotations

import pytest

from vmz.errors import PeerError, UsageError
from vmz.processes import identity

TORCHRUN = {"WORLD_SIZE": "8", "RANK": "5", "LOCAL_WORLD_SIZE": "4", "LOCAL_RANK": "1"}
MPI = {
    "OMPI_COMM_WORLD_SIZE": "8",
    "OMPI_COMM_WORLD_RANK": "5",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
}
SLURM = {"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5", "SLURM_NTASKS_PER_NODE": "4", "SLURM_LOCALID": "1"}
MPICH = {"PMI_SIZE": "8", "PMI_RANK": "5", "MPI_LOCALNRANKS": "4", "MPI_LOCALRANKID": "1"}


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for launcher in identity.LAUNCHERS:
        for variable in launcher[1:]:
            monkeypatch.delenv(variable, raising=False)


def started(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> tuple[int, int, int, int]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return identity.world_size(), identity.rank(), identity.local_size(), identity.local_rank()


@pytest.mark.parametrize("variables", [TORCHRUN, MPI, SLURM, MPICH])
def test_each_launcher_says_who_is_who(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    assert started(monkeypatch, variables) == (8, 5, 4, 1)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"WORLD_SIZE": "8"},  # some clusters set it for other ends
        {"SLURM_NTASKS": "8", "SLURM_PROCID": "0"},  # a batch script: one process, no step
        {**SLURM, "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},
        {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"},
    ],
)
def test_one_process(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    assert started(monkeypatch, variables) == (1, 0, 1, 0)
    assert identity.launcher() is None


def test_torchrun_in_a_step_of_slurm_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = started(monkeypatch, {**SLURM, "SLURM_LOCALID": "0", **TORCHRUN, "RANK": "6", "LOCAL_RANK": "2"})
    assert found == (8, 6, 4, 2)


def test_a_local_rank_that_only_the_launcher_below_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert started(monkeypatch, {**MPI, "WORLD_SIZE": "8", "RANK": "5"}) == (8, 5, 4, 1)


def test_a_local_rank_of_another_count_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """One task of Slurm's on each machine, whose processes know their RANK alone."""
    slurm = {**SLURM, "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1", "SLURM_LOCALID": "0"}
    assert started(monkeypatch, {**slurm, "WORLD_SIZE": "16", "RANK": "11"}) == (16, 11, 16, 0)
    assert identity.local_rank(8) == 3  # of 8 GPUs: not all of them the first


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"WORLD_SIZE": "two", "RANK": "0"}, "WORLD_SIZE is 'two', which is not a number"),
        ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK=2 and WORLD_SIZE=2"),
        ({**MPI, "OMPI_COMM_WORLD_RANK": "-1"}, "OMPI_COMM_WORLD_RANK=-1"),
    ],
)
def test_wrong_variables_are_named(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        started(monkeypatch, variables)


def test_no_collective_begins_after_a_failure_elsewhere() -> None:
    with identity.collective():
        assert identity.waiting_since() is not None
    assert identity.waiting_since() is None
    identity.stop(PeerError("process 1 of 2 failed"))
    try:
        with pytest.raises(PeerError, match="process 1 of 2 failed"), identity.collective():
            pytest.fail("it began")
    finally:
        identity.stop(None)
