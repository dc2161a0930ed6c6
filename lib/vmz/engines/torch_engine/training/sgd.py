"""Caffe2's stochastic gradient descent: weight decay added to the gradient, then MomentumSGDUpdate."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Optional

import numpy as np
import torch
from torch import Tensor


class MomentumSGD:
    """m' = mu m + r g, with the rate r inside the momentum; p -= (1 + mu) m' - mu m (Nesterov), or p -= m'.

    Each product and each sum is rounded to float32 by itself, in the operator's order; only the decay's product is not,
    as in the BLAS call of WeightedSum, which adds it. `momenta`: {blob: float32 tensor of the parameter's shape}, 0 at
    first. decayed: the blobs whose gradient gets weight_decay * p added.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        decayed: Collection[str],
        weight_decay: float,
        momentum: float = 0.9,
        nesterov: bool = True,
    ) -> None:
        self.momenta = {blob: torch.zeros_like(parameter) for blob, parameter in parameters.items()}
        self._parameters = {blob: parameter.detach() for blob, parameter in parameters.items()}  # the same memory
        self._decayed = frozenset(decayed)
        self._weight_decay = float(np.float32(weight_decay))
        self._momentum = float(np.float32(momentum))
        self._after = float(np.float32(1) + np.float32(momentum))
        self._nesterov = nesterov

    @torch.no_grad()
    def update(self, gradients: Mapping[str, Tensor], rate: float) -> None:
        """Change momenta and parameters in place. The gradients are used up: they hold something else afterwards."""
        for group in self._groups(gradients):
            gradient = [gradients[blob] for blob in group]
            parameter = [self._parameters[blob] for blob in group]
            momentum = [self.momenta[blob] for blob in group]
            if group[0] in self._decayed and self._weight_decay:
                torch._foreach_add_(gradient, parameter, alpha=self._weight_decay)
            torch._foreach_mul_(gradient, float(np.float32(rate)))
            torch._foreach_mul_(momentum, self._momentum)
            before: Optional[Any] = torch._foreach_neg(momentum) if self._nesterov else None
            torch._foreach_add_(momentum, gradient)
            if before is None:
                torch._foreach_sub_(parameter, momentum)
            else:
                change = torch._foreach_mul(momentum, self._after)
                torch._foreach_add_(change, before)
                torch._foreach_sub_(parameter, change)

    def _groups(self, gradients: Mapping[str, Tensor]) -> list[list[str]]:
        """Blobs to update together: all alike ones on a GPU, in few kernels; one by one in a CPU's cache."""
        if any(gradient.is_cuda for gradient in gradients.values()):
            decayed = [blob for blob in gradients if blob in self._decayed]
            return [group for group in (decayed, [blob for blob in gradients if blob not in self._decayed]) if group]
        return [[blob] for blob in gradients]
