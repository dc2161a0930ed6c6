"""What the batches of one iteration give, added up on the device and over the ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import torch
from torch import Tensor

from vmz.engines.torch_engine.training.ranks import Ranks
from vmz.engines.torch_engine.training.sgd import gradient_norm


@dataclass(frozen=True)
class Totals:
    """Of one iteration, over all batches of all ranks. gradient_norm: L2, of the gradients as they are, scaled in fp16.

    loss, accuracy: sums over the batches, not means; heads: those of each head. stop, save: whether any rank asked
    for it.
    """

    failed_ranks: int
    loss: float
    accuracy: float
    clips: int
    gradient_norm: float
    stop: bool
    save: bool
    heads: Sequence[tuple[float, float]] = ()


class Tally:
    """This rank's part of an iteration's Totals. It stays on the device: a GPU is waited for once an iteration.

    heads: how many the net has, besides the one that it is judged by.
    """

    def __init__(self, ranks: Ranks, heads: int = 0, has_failed: bool = False) -> None:
        self._ranks = ranks
        # failed ranks, loss, accuracy, clips, ranks that want to stop, ranks that want a checkpoint, then of each head
        # loss and accuracy
        self._sums = torch.zeros(6 + 2 * heads, dtype=torch.float64, device=ranks.device)
        self._sums[0].fill_(int(has_failed))

    def add(
        self,
        loss: Tensor,
        accuracy: Optional[Tensor],
        clips: int,
        heads: Sequence[tuple[Tensor, Optional[Tensor]]] = (),
    ) -> None:
        """A batch's mean loss, any shape; the accuracy of its clips, where the net has one; how many clips; and loss
        and accuracy of each head."""
        mean, share = _figures(loss, accuracy)
        self._sums[1:4] += torch.stack([mean, share, torch.full_like(mean, clips)])
        if heads:
            self._sums[6:] += torch.stack([figure for head in heads for figure in _figures(*head)])

    def ask(self, stop: bool, save: bool) -> None:
        """What this rank wants after the iteration."""
        for place, wanted in ((4, stop), (5, save)):
            if wanted:
                self._sums[place].fill_(1)

    def totals(self, gradients: Sequence[Tensor]) -> Totals:
        """Over all ranks, which call it together; `gradients` are already the sums over them."""
        norm = gradient_norm(gradients, self._ranks.device)
        found = self._ranks.read(torch.cat([self._ranks.sum(self._sums), norm]))
        failed, loss, accuracy, clips, stop, save, *of_heads, length = found
        heads = tuple(zip(of_heads[::2], of_heads[1::2]))
        return Totals(int(failed), loss, accuracy, int(clips), length, stop > 0, save > 0, heads)


def _figures(loss: Tensor, accuracy: Optional[Tensor]) -> tuple[Tensor, Tensor]:
    mean = loss.double().mean()
    return mean, torch.zeros_like(mean) if accuracy is None else accuracy.double()
