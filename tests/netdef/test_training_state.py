from __future__ import annotations

import pytest

from vmz.netdef.training_state import ITERATION, POSITION, RANDOM_STATE, is_training_state


@pytest.mark.parametrize("name", [ITERATION, POSITION, RANDOM_STATE, "conv1_w_momentum", "vmz_loss_scale"])
def test_what_only_a_training_that_goes_on_needs(name: str) -> None:
    assert is_training_state(name)


@pytest.mark.parametrize("name", ["conv1_w", "conv1_momentum_w", "optimizer_iteration_w", "a_vmz_position", "lr"])
def test_a_weight_is_none_of_it(name: str) -> None:
    assert not is_training_state(name)


def test_names_that_checkpoints_of_before_have() -> None:
    assert (ITERATION, POSITION, RANDOM_STATE) == ("optimizer_iteration", "vmz_position", "vmz_random_state")
