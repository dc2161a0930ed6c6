"""Ranks: the processes that torchrun starts, one device each, and what they do together."""

from __future__ import annotations

import atexit
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from vmz.engines.torch_engine.devices import checked_device
from vmz.errors import PeerError
from vmz.processes import identity

BUCKET_BYTES = 25 << 20  # of gradients that travel together: enough to fill the wire, few enough to begin early


class Ranks:
    """This process among the others: `rank` of `world`, computing on `device`.

    Made from what processes.identity reads, MASTER_ADDR and MASTER_PORT: gloo on the CPU, NCCL on GPUs, where device
    "cuda" is the GPU numbered by the local rank. A process alone is one rank, with nothing to share. A process joins
    the others once, for as long as it lives: to join again, with what was left in torchrun's store, may hang. Every
    method must be called by all ranks, in the same order.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.world, self.rank = identity.world_size(), identity.rank()
        self.device = checked_device(device, each_its_own=self.world > 1)
        if self.device.type == "cuda":
            self.device = torch.device("cuda", self.device.index or 0)
            torch.cuda.set_device(self.device)
        if self.world > 1 and not dist.is_initialized():
            backend = "nccl" if self.device.type == "cuda" else "gloo"
            with _together():
                dist.init_process_group(backend, rank=self.rank, world_size=self.world)
            atexit.register(_leave)

    def sum(self, values: Tensor) -> Tensor:
        """The elementwise sum over all ranks of a tensor on `device`, in place. Only queued on a GPU."""
        if self.world > 1:
            with _together():
                dist.all_reduce(values)
        return values

    def read(self, values: Tensor) -> list[float]:
        """The values of a tensor on `device`, once all that is queued before them is done."""
        with self._collective():
            return [float(value) for value in values.tolist()]

    def wait(self) -> None:
        """Wait for what is queued on the device: a peer that failed is noticed in here, not somewhere later."""
        if self.device.type == "cuda":
            with self._collective():
                torch.cuda.current_stream(self.device).synchronize()

    def _collective(self) -> AbstractContextManager[None]:
        return identity.collective() if self.world > 1 else nullcontext()

    def all_gather(self, value: int) -> list[int]:
        """One integer of every rank, by rank."""
        all_values = torch.zeros(self.world, dtype=torch.int64, device=self.device)
        all_values[self.rank] = value
        self.sum(all_values)
        self.wait()
        return [int(found) for found in all_values.tolist()]

    def broadcast(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over the first rank's values of tensors on `device`, in place."""
        if self.world == 1:
            return
        with torch.no_grad(), _together():
            for tensor in (found.detach() for found in tensors.values() if found.numel()):  # parameters too
                whole = tensor.contiguous()  # a layout of its own is the tensor's, not the wire's
                dist.broadcast(whole, 0)
                if whole.data_ptr() != tensor.data_ptr():
                    tensor.copy_(whole)
        self.wait()


class SharedGradients:
    """Sums gradients over the ranks, bucket by bucket, while the rest of the backward pass still runs.

    Each gradient is a part of its bucket's flat memory, so that nothing is copied. Buckets are filled in the reverse of
    the parameters' order, about that of the backward pass, are always the same ones, and travel in a fixed order: the
    result does not depend on timing, nor on which iteration of a process it is. PyTorch before 2.1 cannot tell when a
    gradient is ready; there all buckets travel at the end.
    """

    def __init__(self, parameters: Mapping[str, Tensor], bucket_bytes: int = BUCKET_BYTES) -> None:
        self._buckets: list[Tensor] = []
        self._missing: list[int] = []  # gradients that each bucket still waits for
        self._sizes: list[int] = []
        self._work: list[Any] = []
        self._last = False
        for members in _buckets(list(parameters.values()), bucket_bytes):
            number = len(self._buckets)
            flat = members[0].new_zeros(sum(member.numel() for member in members))
            place = 0
            for member in members:
                member.grad = torch.as_strided(flat, member.shape, member.stride(), place)
                place += member.numel()
                if hasattr(member, "register_post_accumulate_grad_hook"):
                    member.register_post_accumulate_grad_hook(lambda _, number=number: self._ready(number))
            self._buckets.append(flat)
            self._sizes.append(len(members))

    def start(self) -> None:
        """Begin an iteration with gradients of 0."""
        for bucket in self._buckets:
            bucket.zero_()
        self._missing, self._last, self._work = list(self._sizes), False, []

    def last_batch(self) -> None:
        """What is added to the gradients from now on is the iteration's last: a complete bucket may travel."""
        self._last = True

    def finish(self) -> None:
        """Send what has not travelled yet, and wait for all. A rank that failed calls it too, so that none hangs."""
        while len(self._work) < len(self._buckets):
            self._send()
        with _together():
            for work in self._work:
                work.wait()

    def _ready(self, number: int) -> None:
        if self._last:
            self._missing[number] -= 1
            while len(self._work) < len(self._buckets) and not self._missing[len(self._work)]:
                self._send()

    def _send(self) -> None:
        self._work.append(dist.all_reduce(self._buckets[len(self._work)], async_op=True))


def _buckets(parameters: list[Tensor], size: int) -> list[list[Tensor]]:
    buckets: list[list[Tensor]] = []
    room = 0
    for parameter in reversed(parameters):
        taken = parameter.numel() * parameter.element_size()
        if not buckets or taken > room:
            buckets.append([])
            room = size
        buckets[-1].append(parameter)
        room -= taken
    return buckets


@contextmanager
def _together() -> Iterator[None]:
    """Around a call of torch.distributed. PeerError where another rank is gone."""
    with identity.collective():
        try:
            yield
        except RuntimeError as error:
            first = str(error).strip().partition("\n")[0]
            raise PeerError(f"rank {identity.rank()} lost another rank of the run: {first}") from error


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
