"""The batches that a network trains on: read from a database, this rank's share of it, or fed from outside."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple, Optional

import numpy as np
import torch
from torch import Tensor

from vmz.engines.labels import check_labels, label_classes
from vmz.engines.torch_engine.graph.op import read_ops
from vmz.engines.torch_engine.training.ranks import Ranks
from vmz.engines.torch_engine.transfer import Sender
from vmz.engines.torch_engine.video_input import InputOp, open_readers
from vmz.engines.trainer import classes_of
from vmz.errors import UsageError, VmzError
from vmz.netdef.blob_names import full_name, unscoped
from vmz.netdef.builder import get_arguments, set_arguments
from vmz.netdef.net_parts import CLIP_READERS, copy_net, video_inputs
from vmz.processes.shares import Share


class _Read(NamedTuple):
    """A batch, and how far the reader was when it had given it."""

    blobs: dict[str, Tensor]
    position: int


class Batches:
    """Gives `inputs` (full blob names) batch by batch as tensors on the device of `ranks`.

    A net with a VideoInput is read: this rank's share of each global batch, from `position` on. `seed` is the reader's
    where the net gives none, and must be that of all ranks. On a GPU a batch may be fetched, and copied to the device
    beside what it computes, before it is asked for. channels_last: the layout of clips on the device.
    """

    def __init__(self, model: Any, inputs: Sequence[str], ranks: Ranks, seed: int, channels_last: bool = False) -> None:
        self.inputs, self.seed = list(inputs), seed
        self.position = 0  # videos that the reader gave for the iterations that are done
        self._model, self._ranks = model, ranks
        self._fed: dict[str, np.ndarray] = {}
        self._reader: Optional[InputOp] = None
        self._ahead: Optional[_Read] = None
        self._failure: Optional[Exception] = None
        self._taken = 0
        self._sender = Sender(ranks.device, channels_last)
        self._pace = Pace(self._mark) if self._sender.is_aside else None
        readers = [op for op in read_ops(model.net) if op.type in CLIP_READERS]
        if len(readers) > 1:
            raise VmzError(f"a net is trained from one VideoInput, and this one has {len(readers)}")
        self.is_read = bool(readers)
        self._classes = classes_of(readers[0].arguments) if readers else 0
        self._label_classes = label_classes(model.net, dict(model.params))
        if any(op.arg("seed", 0) for op in readers):
            self.seed = 0  # the net's own is used, and is no part of a state
        if self.is_read:
            self.go_to(0)

    @property
    def skipped(self) -> list[Any]:
        """What this rank's reader left out so far, as vmz.video.faults.BadVideo."""
        return list(self._reader.reader.skipped) if self._reader is not None else []

    @property
    def ended_early(self) -> list[Any]:
        """The videos of this rank that ended early so far, as vmz.video.faults.EndedEarly."""
        return list(self._reader.reader.ended_early) if self._reader is not None else []

    @property
    def without_sound(self) -> list[Any]:
        """The videos of this rank so far that got zeros for their sound, as vmz.video.faults.WithoutSound."""
        return list(self._reader.reader.without_sound) if self._reader is not None else []

    def feed(self, blob: str, array: np.ndarray) -> None:
        """Set an input: the rows of an iteration, those of its batches one after the other."""
        if self.is_read:
            raise UsageError(f"blob {blob} cannot be fed: the network's VideoInput reads it")
        name = full_name(blob, self.inputs)
        check_labels(np.asarray(array), self._label_classes.get(name, 0))
        self._fed[name] = np.array(array)

    def take(self, batch: int, count: int) -> dict[str, Tensor]:
        """{full name: tensor} of batch number `batch` (from 0) of the `count` that make an iteration.

        Passes on what the reader raises: EndOfData, or VmzError for a bad record. On a GPU it waits while more than one
        earlier batch is still to be computed: its memory is for the network, not for a queue of batches.
        """
        if self._pace is not None:
            self._pace.keep()
        if not self.is_read:
            parts = {blob: self._part(blob, batch, count) for blob in self.inputs}
            return self._sender.receive(self._sender.send(parts))
        if self._ahead is None and self._failure is None:
            self._ahead = self._fetch()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        assert self._ahead is not None
        read, self._ahead = self._ahead, None
        self._taken = read.position
        return self._sender.receive(read.blobs)

    def prefetch(self) -> None:
        """On a GPU, which computes meanwhile: get the next batch. An error is kept for take()."""
        if self._sender.is_aside and self.is_read and self._ahead is None and self._failure is None:
            try:
                self._ahead = self._fetch()
            except Exception as error:
                self._failure = error

    def done(self) -> None:
        """The iteration that took the batches since the last done() is done."""
        self.position = self._taken
        if self._pace is not None:
            self._pace.marks.clear()

    def go_to(self, position: int) -> None:
        """Read on from `position` videos of this rank's stream. Errors of the database come now."""
        self.close()
        self._reader = open_readers(
            self._model.param_init_net, self._placed(position), normalised=not self._sender.is_aside
        )[0]
        self.position = self._taken = position
        self._ahead = self._failure = None

    def close(self) -> None:
        """Close the reader."""
        if self._reader is not None:
            self._reader.reader.close()
            self._reader = None
        self._ahead = self._failure = None

    def _placed(self, position: int) -> Any:
        """The net with the VideoInput that reads this rank's share from `position` on."""
        net = copy_net(self._model.net)
        [op] = video_inputs(net)
        set_arguments(op, **Share(self._ranks.rank, self._ranks.world).arguments())
        if position:
            set_arguments(op, first_position=position)
        if self.seed and not get_arguments(op).get("seed"):
            set_arguments(op, seed=self.seed)
        return net

    def _fetch(self) -> _Read:
        if self._reader is None:
            raise VmzError("the reader is closed; load the network again")
        arrays = self._reader.next_batch()
        for blob in self.inputs:
            if unscoped(blob) == "label":
                check_labels(arrays[blob], self._label_classes.get(blob, self._classes))
        position = self._reader.reader.position
        return _Read(self._sender.send({blob: arrays[blob] for blob in self.inputs}), position)

    def _mark(self) -> Any:
        event = torch.cuda.Event()
        event.record(torch.cuda.current_stream(self._ranks.device))
        return event

    def _part(self, blob: str, batch: int, count: int) -> np.ndarray:
        if blob not in self._fed:
            raise UsageError(f"blob {blob} has no value: no operator computes it; feed it before step")
        rows = self._fed[blob]
        if len(rows) % count:
            raise UsageError(
                f"blob {blob} has {len(rows)} rows, which do not divide into the {count} batches that are accumulated"
            )
        size = len(rows) // count
        return rows[batch * size : (batch + 1) * size]


class Pace:
    """Keeps a host that only queues work on its device from running ahead of it. mark: an event behind what is queued.

    Each keep() comes after the work of one batch was queued, and waits until all but the last one's is done.
    """

    def __init__(self, mark: Callable[[], Any]) -> None:
        self.marks: deque[Any] = deque()
        self._mark = mark

    def keep(self) -> None:
        self.marks.append(self._mark())
        while len(self.marks) > 1:
            self.marks.popleft().synchronize()


def reader_seed(ranks: Ranks) -> int:
    """A seed from the system's entropy, the same on all ranks."""
    drawn = torch.tensor([int.from_bytes(os.urandom(4), "little") >> 1 or 1], dtype=torch.int64, device=ranks.device)
    ranks.broadcast({"seed": drawn})
    return int(drawn)
