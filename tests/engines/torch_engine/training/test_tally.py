from __future__ import annotations

import numpy as np
import torch

from vmz.engines.torch_engine.training.ranks import Ranks
from vmz.engines.torch_engine.training.tally import Tally, Totals


def test_batches_add_up_in_float64() -> None:
    tally = Tally(Ranks())
    tally.add(torch.tensor([1.0, 2.0]), torch.tensor(0.25), 4)
    tally.add(torch.tensor(0.1), None, 2)
    gradients = [torch.full((4,), 2.0), torch.full((3, 3), 1.0)]
    assert tally.totals(gradients) == Totals(0, 1.5 + float(np.float32(0.1)), 0.25, 6, 5.0, False, False)


def test_a_rank_that_failed_counts() -> None:
    assert Tally(Ranks(), has_failed=True).totals([]) == Totals(1, 0.0, 0.0, 0, 0.0, False, False)


def test_what_a_rank_wants_travels_with_the_sums() -> None:
    for stop, save in ((True, False), (False, True), (True, True)):
        tally = Tally(Ranks())
        tally.ask(stop, save)
        totals = tally.totals([])
        assert (totals.stop, totals.save, totals.loss, totals.clips) == (stop, save, 0.0, 0)
