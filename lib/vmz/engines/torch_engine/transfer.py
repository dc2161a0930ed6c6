"""Batches on their way to a GPU: pinned slots, a stream of their own, and a thread that reads ahead.

Clips travel as uint8, a quarter of the bytes, and are normalised on the device to the reader's own floats. On the CPU
nothing is copied. What calls CUDA is SideStream alone, in whose place tests put one that copies as late as it may.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, Callable, NamedTuple, Optional

import numpy as np
import torch
from torch import Tensor

from vmz.engines.torch_engine.video_input import InputOp, normalised_clips

SLOTS = 3  # of a blob: one that is filled, one that travels, one in hand; a waiting copy stops the reader, nothing else
MAPS = 4  # dimensions of log-mels; clips have one more, labels and the like fewer
AHEAD = 2  # batches read before they are asked for, on the device already


class SideStream:
    """A CUDA stream for copies to a device, beside the one that computes."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device)

    def slot(self, like: Tensor) -> Tensor:
        """Pinned memory on the host."""
        return torch.empty(like.shape, dtype=like.dtype, pin_memory=True)

    def copy(self, slot: Tensor) -> tuple[Tensor, Any]:
        """Queue a copy to the device. Returns it, and an event that is over when the slot may be filled again."""
        with torch.cuda.stream(self._stream):
            sent = slot.to(self.device, non_blocking=True)
            event = torch.cuda.Event()
            event.record(self._stream)
        return sent, event

    def join(self, tensors: list[Tensor]) -> None:
        """What is computed from now on waits for the copies of `tensors`, and keeps their memory."""
        current = torch.cuda.current_stream(self.device)
        current.wait_stream(self._stream)
        for tensor in tensors:
            tensor.record_stream(current)


class _Ring(NamedTuple):
    """Slots of one shape and type with the event of each one's last copy, the oldest first."""

    kind: tuple[tuple[int, ...], torch.dtype]
    slots: deque[tuple[Tensor, Any]]


class Sender:
    """Sends arrays to a device: send() queues the copies, receive() gives what the network takes.

    Both may be called by different threads, each by one. channels_last: the layout of clips on the device.
    """

    def __init__(self, device: torch.device, channels_last: bool = False, side: Any = None) -> None:
        self._side = SideStream(device) if side is None and device.type == "cuda" else side
        self._channels_last = channels_last
        self._rings: dict[str, _Ring] = {}  # by blob

    @property
    def is_aside(self) -> bool:
        """Whether copies run beside the computation: not on the CPU."""
        return self._side is not None

    def send(self, arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        """{blob: tensor}, not to be read before receive(). The arrays may be overwritten at once, but on the CPU."""
        tensors = {blob: torch.from_numpy(array) for blob, array in arrays.items()}
        return {blob: self._sent(blob, tensor) for blob, tensor in tensors.items()} if self.is_aside else tensors

    def receive(self, sent: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors, clips as float32 (N, C, T, H, W), for what is computed from now on."""
        if self._side is not None:
            self._side.join(list(sent.values()))
        return {blob: self._clips(tensor) if tensor.dim() == 5 else tensor for blob, tensor in sent.items()}

    def _clips(self, tensor: Tensor) -> Tensor:
        if tensor.dtype == torch.uint8:
            return normalised_clips(tensor, self._channels_last)
        return tensor.contiguous(
            memory_format=torch.channels_last_3d if self._channels_last else torch.contiguous_format
        )

    def _sent(self, blob: str, tensor: Tensor) -> Tensor:
        kind = (tuple(tensor.shape), tensor.dtype)
        ring = self._rings.get(blob)
        if ring is None or ring.kind != kind:  # another shape, such as the last batch's
            ring = self._rings[blob] = _Ring(kind, deque())
        if len(ring.slots) == SLOTS:
            slot, event = ring.slots.popleft()
            event.synchronize()  # till its last copy is done it may not be overwritten
        else:
            slot = self._side.slot(tensor)
        slot.copy_(tensor)
        sent, event = self._side.copy(slot)
        ring.slots.append((slot, event))
        return sent  # type: ignore[no-any-return]


class _Read(NamedTuple):
    """What the thread got: a batch (clips and log-mels on the device, all else on the host) or an error.

    skipped, ended_early, without_sound: how many there were by then.
    """

    clips: dict[str, Tensor]
    others: dict[str, np.ndarray]
    error: Optional[BaseException]
    skipped: int
    ended_early: int
    without_sound: int


class AheadReader:
    """An InputOp whose batches are read, and their clips and log-mels sent, before they are asked for.

    An error of the reader is raised in the place of its batch, and the reader is asked again after it. `skipped`,
    `ended_early` and `without_sound` are those of the batches that were handed out.
    """

    def __init__(self, op: InputOp, sender: Sender) -> None:
        self._op, self._sender = op, sender
        self._queue: queue.Queue[_Read] = queue.Queue(AHEAD)
        self._closed, self._again = threading.Event(), threading.Event()
        self._faults = (0, 0, 0)
        self._thread: Optional[threading.Thread] = None

    @property
    def reader(self) -> AheadReader:
        """As InputOp has one."""
        return self

    @property
    def skipped(self) -> list[Any]:
        return list(self._op.reader.skipped)[: self._faults[0]]

    @property
    def ended_early(self) -> list[Any]:
        return list(self._op.reader.ended_early)[: self._faults[1]]

    @property
    def without_sound(self) -> list[Any]:
        return list(self._op.reader.without_sound)[: self._faults[2]]

    def next_batch(self) -> dict[str, Any]:
        """{output blob: array, or for clips and log-mels a tensor on the device}; EndOfData passes through."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="vmz-read-ahead", daemon=True)
            self._thread.start()
        read = self._queue.get()
        self._faults = read.skipped, read.ended_early, read.without_sound
        if read.error is not None:
            self._again.set()
            raise read.error
        return {**read.others, **self._sender.receive(read.clips)}

    def close(self) -> None:
        self._closed.set()
        self._again.set()
        while self._thread is not None and self._thread.is_alive():
            _drain(self._queue)
            self._thread.join(0.05)
        self._op.reader.close()

    def _work(self) -> None:
        while not self._closed.is_set():
            read = self._read()
            if not self._put(read):
                return
            if read.error is not None:  # on the next request only: an error may be the last thing that is asked for
                self._again.wait()
                self._again.clear()

    def _read(self) -> _Read:
        clips: dict[str, Tensor] = {}
        others: dict[str, np.ndarray] = {}
        error: Optional[BaseException] = None
        try:
            batch = self._op.next_batch()
            others = {blob: array for blob, array in batch.items() if array.ndim < MAPS}
            clips = self._sender.send({blob: array for blob, array in batch.items() if array.ndim >= MAPS})
        except BaseException as raised:
            error = raised
        reader = self._op.reader
        faults = (reader.skipped, reader.ended_early, reader.without_sound)
        return _Read(clips, others, error, *map(len, faults))

    def _put(self, read: _Read) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(read, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False


def _drain(waiting: queue.Queue[Any]) -> None:
    while True:
        try:
            waiting.get_nowait()
        except queue.Empty:
            return


def reading_ahead(
    open_readers: Callable[[bool], list[InputOp]], device: torch.device, channels_last: bool = False, side: Any = None
) -> list[Any]:
    """The readers for a network on `device`: as they are on the CPU, else of uint8 clips, and ahead of the network."""
    sender = Sender(device, channels_last, side)
    readers = open_readers(not sender.is_aside)
    return [AheadReader(reader, sender) for reader in readers] if sender.is_aside else list(readers)
