"""Caffe2's stochastic gradient descent as an optimizer of PyTorch, and the norm of gradients and their clipping."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Callable, Optional

import numpy as np
import torch
from torch import Tensor

PIECE = 1 << 17  # values of a weight updated at a time on a CPU: weight, gradient and momentum stay in its caches


class MomentumSGD(torch.optim.Optimizer):
    """m' = mu m + r g, with the rate r inside the momentum; p -= (1 + mu) m' - mu m (Nesterov), or p -= m'.

    torch.optim.SGD keeps the rate outside of the momentum, so that a change of the rate has another effect there. A
    group's weight_decay * p is added to the gradient first. Each product and each sum is rounded to float32 by itself,
    in the order of Caffe2's MomentumSGDUpdate; only the decay's product is not, as in the BLAS call of WeightedSum,
    which adds it. state[parameter]["momentum_buffer"]: float32, of the parameter's shape, 0 at first.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.0,
        momentum: float = 0.9,
        nesterov: bool = True,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay})
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter, requires_grad=False)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As PyTorch's, without its wrapper, which imports the compiler: a second of CPU at the start of a process."""
        add = torch.optim.Optimizer.add_param_group
        getattr(add, "__wrapped__", add)(self, param_group)

    @torch.no_grad()
    def step(self, closure: Optional[Callable[[], Any]] = None) -> Any:  # type: ignore[override]
        """Change momenta and parameters in place. The gradients are used up: they hold something else afterwards."""
        result = None
        if closure is not None:
            with torch.enable_grad():
                result = closure()
        for group in self.param_groups:
            learning = [parameter for parameter in group["params"] if parameter.grad is not None]
            for parameters in _together(learning):
                momenta = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
                gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
                for piece in _pieces(parameters, gradients, momenta):
                    _update(piece[0], piece[1], piece[2], group)
        return result


def _together(parameters: list[Tensor]) -> list[list[Tensor]]:
    """Parameters to update together: all of them on a GPU, in few kernels; one by one in a CPU's cache."""
    if any(parameter.is_cuda for parameter in parameters):
        return [parameters]
    return [[parameter] for parameter in parameters]


def _pieces(*tensors: list[Tensor]) -> Iterator[list[list[Tensor]]]:
    """Lists of tensors as they are; a large one of a CPU in flat pieces: nine sweeps over a piece, then the next."""
    first = tensors[0][0]
    alike = all(list_[0].stride() == first.stride() for list_ in tensors)
    if first.is_cuda or len(tensors[0]) > 1 or first.numel() <= PIECE or not alike or not _is_dense(first):
        yield list(tensors)
        return
    flat = [torch.as_strided(list_[0], (first.numel(),), (1,)).split(PIECE) for list_ in tensors]
    for parts in zip(*flat):
        yield [[part] for part in parts]


def _is_dense(tensor: Tensor) -> bool:
    """Whether its values fill a stretch of memory, in whatever order."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape)):
        if size > 1:
            if stride != expected:
                return False
            expected *= size
    return True


def _update(parameters: list[Tensor], gradients: list[Tensor], momenta: list[Tensor], group: dict[str, Any]) -> None:
    rate, momentum = _float32(group["lr"]), _float32(group["momentum"])
    if group["weight_decay"]:
        torch._foreach_add_(gradients, parameters, alpha=_float32(group["weight_decay"]))
    torch._foreach_mul_(gradients, rate)
    torch._foreach_mul_(momenta, momentum)
    if not group["nesterov"]:
        torch._foreach_add_(momenta, gradients)
        torch._foreach_sub_(parameters, momenta)
        return
    before: Any = torch._foreach_neg(momenta)
    torch._foreach_add_(momenta, gradients)
    changes: Any = torch._foreach_mul(momenta, _float32(np.float32(1) + np.float32(momentum)))
    torch._foreach_add_(changes, before)
    torch._foreach_sub_(parameters, changes)


def _float32(value: Any) -> float:
    return float(np.float32(value))


def gradient_norm(gradients: Sequence[Tensor], device: torch.device) -> Tensor:
    """The L2 norm of all gradients together, float64 (1,), on `device`, where they are."""
    if not gradients:
        return torch.zeros(1, dtype=torch.float64, device=device)
    if device.type == "cuda" and hasattr(torch, "_foreach_norm"):
        norms = list(torch._foreach_norm(list(gradients)))  # a few kernels in place of one a gradient
    else:
        norms = [gradient.norm() for gradient in gradients]
    return torch.stack(norms).double().norm().reshape(1)


def clip_gradients(gradients: Sequence[Tensor], norm: float, largest: float) -> None:
    """Scale gradients of the L2 norm `norm` to `largest` where they exceed it; 0 is no limit.

    torch.nn.utils.clip_grad_norm_ would round otherwise: it adds 1e-6 to a norm in float32, so that recorded trainings
    came out different in the last bits.
    """
    if 0 < largest < norm and gradients:
        torch._foreach_mul_(list(gradients), largest / norm)
