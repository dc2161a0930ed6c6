"""Real processes of torchrun on the CPU; and what ranks do together, in small."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.engines.small_training import write_videos
from tests.support.processes import ONE_THREAD, python
from vmz.engines.torch_engine.training.ranks import Ranks, _buckets
from vmz.netdef.training_state import ITERATION, POSITION

ROOT = Path(__file__).resolve().parents[4]
WORLDS = (1, 2, 4)
Found = dict[tuple[int, int], dict[str, Any]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """(ranks, rank) -> what rank_training.py found."""
    folder = tmp_path_factory.mktemp("ranks")
    database = write_videos(folder / "db", 21)
    bad = write_videos(folder / "bad", 12, bad=(6,))
    for world in WORLDS:
        script = Path(__file__).with_name("rank_training.py")
        environment = {**ONE_THREAD, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        command = [*python(world if world > 1 else 0), str(script), str(database), str(bad), str(folder)]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stderr[-4000:]
    return {
        (world, rank): pickle.loads((folder / f"{world}_{rank}.pkl").read_bytes())
        for world in WORLDS
        for rank in range(world)
    }


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for blob, array in one.items():
        np.testing.assert_array_equal(array, other[blob], err_msg=blob)


@pytest.mark.slow
def test_the_losses_do_not_depend_on_the_number_of_ranks(found: Found) -> None:
    """Frozen batch norm, the same global batch, dropout included: 10 iterations within 1e-5."""
    alone = found[1, 0]["frozen"]
    assert len(alone["losses"]) == 10 == len(set(alone["losses"]))
    for world in (2, 4):
        for rank in range(world):
            np.testing.assert_allclose(found[world, rank]["frozen"]["losses"], alone["losses"], rtol=1e-5, atol=0)
            for blob, array in found[world, rank]["frozen"]["state"].items():
                if array.dtype == np.float32:
                    largest = np.abs(alone["state"][blob]).max()
                    assert np.abs(array - alone["state"][blob]).max() <= 2e-5 * largest, (world, blob)
        assert found[world, 0]["frozen"]["state"][POSITION].tolist() == [80 // world] * world


@pytest.mark.slow
def test_ranks_stay_alike(found: Found) -> None:
    for world in (2, 4):
        for rank in range(1, world):
            for scenario in ("frozen", "whole", "gone on"):
                one, other = found[world, 0][scenario], found[world, rank][scenario]
                assert one["losses"] == other["losses"]
                assert_same(one["state"], other["state"])


@pytest.mark.slow
def test_two_ranks_are_as_two_accumulated_batches(found: Found) -> None:
    """Each with statistics of its own: the mean of the gradients is the same."""
    one, two = found[1, 0]["own statistics"], found[2, 0]["own statistics"]
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-5)
    for blob, array in one["state"].items():
        if array.dtype == np.float32 and not blob.endswith(("_rm", "_riv")):
            assert np.abs(array - two["state"][blob]).max() <= 1e-4 * np.abs(array).max(), blob


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 4])
def test_ranks_that_were_stopped_end_as_if_they_were_not(found: Found, world: int) -> None:
    """Bit for bit, with clipping, accumulation, dropout and batch norm; `middle` came after two of four iterations."""
    whole, gone_on = found[world, 0]["whole"], found[world, 0]["gone on"]
    assert whole["middle"][ITERATION] == [2]
    assert gone_on["losses"] == whole["losses"][2:]
    assert_same(gone_on["state"], whole["state"])


@pytest.mark.slow
def test_precise_statistics_are_those_of_all_ranks(found: Found) -> None:
    for world in (2, 4):
        for rank in range(1, world):
            assert_same(found[world, rank]["precise"], found[world, 0]["precise"])
    # the first batch norm sees the same values however they are shared out
    for blob in ("conv1_spatbn_relu_rm", "conv1_spatbn_relu_riv"):
        np.testing.assert_allclose(found[4, 0]["precise"][blob], found[2, 0]["precise"][blob], rtol=1e-4)


@pytest.mark.slow
def test_a_bad_video_of_one_rank_ends_all(found: Found) -> None:
    errors = [found[2, rank]["bad"] for rank in range(2)]
    assert sum("record 00006" in error for error in errors) == 1
    assert sum("iteration 2: 1 of 2 ranks failed; see their messages" in error for error in errors) == 1
    assert all(error.endswith("(parameters kept)") for error in errors)
    assert sum("record 00006" in found[4, rank]["bad"] for rank in range(4)) == 1


@pytest.mark.slow
def test_a_loss_of_one_rank_ends_all(found: Found) -> None:
    for world in (2, 4):
        for rank in range(world):
            assert found[world, rank]["loss"].startswith("iteration 1: the loss is nan; lower the learning rate")


def test_one_process_alone() -> None:
    ranks = Ranks("cpu")
    assert (ranks.rank, ranks.world, ranks.all_gather(5)) == (0, 1, [5])
    assert ranks.sum(torch.ones(3)).tolist() == [1, 1, 1]


def test_buckets_run_from_the_last_parameter_to_the_first() -> None:
    sizes = [10, 20, 30, 5, 100]
    parameters = [torch.zeros(size) for size in sizes]
    assert [[len(p) for p in bucket] for bucket in _buckets(parameters, 4 * 40)] == [[100], [5, 30], [20, 10]]
