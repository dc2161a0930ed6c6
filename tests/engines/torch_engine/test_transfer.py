"""Batches on their way to a device, on the CPU: in place of CUDA's stream one that copies as late as it may."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, Optional

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.engines.small_training import small_build, video_source, write_videos
from vmz.engines.registry import open_engine
from vmz.engines.torch_engine import engine as torch_engine
from vmz.engines.torch_engine.transfer import SLOTS, AheadReader, Sender, reading_ahead
from vmz.errors import VmzError
from vmz.video.normalisation import normalise
from vmz.video.reader import EndOfData

CPU = torch.device("cpu")


class LateSide:
    """Copies when an event is waited for, or when what was sent is joined; until then the target holds -1."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, Tensor, Tensor]] = []
        self._turn = threading.RLock()  # the thread that reads ahead sends while the other one joins
        self.made, self.number, self.waits = 0, 0, 0

    def slot(self, like: Tensor) -> Tensor:
        self.made += 1
        return torch.empty_like(like)

    def copy(self, slot: Tensor) -> tuple[Tensor, Any]:
        with self._turn:
            self.number += 1
            target = torch.full_like(slot, 255 if slot.dtype == torch.uint8 else -1)
            self.waiting.append((self.number, slot, target))
            return target, SimpleNamespace(synchronize=lambda upto=self.number: self._wait(upto))

    def _wait(self, upto: int) -> None:
        self.waits += 1
        self._copy(upto)

    def _copy(self, upto: int) -> None:
        with self._turn:
            for number, slot, target in self.waiting:
                if number <= upto:
                    target.copy_(slot)
            self.waiting = [entry for entry in self.waiting if entry[0] > upto]

    def join(self, tensors: list[Tensor]) -> None:
        self._copy(self.number)


class Numbers:
    """An InputOp: batch k is filled with k; `events` says what comes instead of some of them."""

    def __init__(self, events: Optional[dict[int, BaseException]] = None, dtype: type = np.float32) -> None:
        self.events, self.dtype, self.count, self.closed = events or {}, dtype, 0, False
        self.skipped: list[int] = []
        self.ended_early: list[int] = []
        self.without_sound: list[int] = []
        self.reader = self

    def next_batch(self) -> dict[str, np.ndarray]:
        self.count += 1
        self.skipped.append(self.count)
        self.ended_early += [self.count, self.count]
        self.without_sound += [self.count] * 3
        if self.count in self.events:
            raise self.events[self.count]
        shape = (2, 4, 5, 5, 3) if self.dtype == np.uint8 else (2, 3, 4, 5, 5)
        return {"data": np.full(shape, self.count, self.dtype), "label": np.full(2, self.count, np.int32)}

    def close(self) -> None:
        self.closed = True


def settled(numbers: Numbers) -> int:
    """How many batches the thread has read once it reads no more."""
    before = -1
    while before != numbers.count:
        before = numbers.count
        time.sleep(0.15)
    return before


def test_a_slot_is_not_overwritten_before_its_copy_is_done() -> None:
    side = LateSide()
    sender = Sender(CPU, side=side)
    sent = [sender.send({"data": np.full((1, 3, 2, 2, 2), number, np.float32)}) for number in range(10)]
    assert side.made == SLOTS and side.waits == 10 - SLOTS and len(side.waiting) == SLOTS
    received = [sender.receive(batch)["data"] for batch in sent]
    assert [sorted(set(clips.flatten().tolist())) for clips in received] == [[number] for number in range(10)]


def test_another_shape_gets_slots_of_its_own() -> None:
    side = LateSide()
    sender = Sender(CPU, side=side)
    sent = [sender.send({"data": np.full(size, size, np.float32)}) for size in (4, 4, 3, 4)]
    assert [sender.receive(batch)["data"].tolist() for batch in sent] == [[4.0] * 4, [4.0] * 4, [3.0] * 3, [4.0] * 4]


def test_the_source_may_be_overwritten_at_once() -> None:
    sender, array = Sender(CPU, side=LateSide()), np.ones((1, 3, 2, 2, 2), np.float32)
    sent = sender.send({"data": array})
    array[:] = 7
    assert (sender.receive(sent)["data"] == 1).all()


@pytest.mark.parametrize("channels_last", [False, True])
def test_pixels_become_the_readers_floats(channels_last: bool) -> None:
    pixels = np.random.RandomState(0).randint(0, 256, (2, 4, 6, 6, 3)).astype(np.uint8)
    sender = Sender(CPU, channels_last, LateSide())
    clips = sender.receive(sender.send({"data": pixels}))["data"]
    layout = torch.channels_last_3d if channels_last else torch.contiguous_format
    assert clips.shape == (2, 3, 4, 6, 6) and clips.is_contiguous(memory_format=layout)
    expected = np.empty((2, 3, 4, 6, 6), np.float32)
    for clip, planes in zip(pixels, expected):
        for frame, pixel in enumerate(clip):
            normalise(pixel, planes[:, frame])
    assert np.array_equal(clips.numpy(), expected)


def test_on_the_cpu_nothing_is_copied() -> None:
    sender, array = Sender(CPU), np.ones((1, 3, 2, 2, 2), np.float32)
    assert not sender.is_aside and sender.receive(sender.send({"data": array}))["data"].data_ptr() == array.ctypes.data


def test_batches_come_in_order_and_faults_count_with_the_batch() -> None:
    numbers = Numbers()
    ahead = AheadReader(numbers, Sender(CPU, side=LateSide()))  # type: ignore[arg-type]
    assert ahead.skipped == ahead.ended_early == ahead.without_sound == []
    for number in range(1, 8):
        batch = ahead.next_batch()
        assert settled(numbers) == number + 3  # two wait, and one is in the thread's hand
        assert (batch["data"] == number).all() and batch["label"].tolist() == [number, number]
        assert isinstance(batch["label"], np.ndarray)
        assert ahead.skipped == list(range(1, number + 1)) and len(ahead.ended_early) == 2 * number
        assert len(ahead.without_sound) == 3 * number
    ahead.close()
    ahead.close()
    assert numbers.closed and not ahead._thread.is_alive()  # type: ignore[union-attr]


def test_an_error_comes_in_the_place_of_its_batch_and_reading_goes_on_when_asked() -> None:
    numbers = Numbers({3: VmzError("record 3 is bad"), 5: EndOfData("the end"), 6: EndOfData("the end")})
    ahead = AheadReader(numbers, Sender(CPU, side=LateSide()))  # type: ignore[arg-type]
    assert [int(ahead.next_batch()["label"][0]) for _ in range(2)] == [1, 2]
    assert settled(numbers) == 3 and ahead.skipped == [1, 2]
    with pytest.raises(VmzError, match="record 3 is bad"):
        ahead.next_batch()
    assert ahead.skipped == [1, 2, 3]
    assert int(ahead.next_batch()["label"][0]) == 4
    for number in (5, 6):
        with pytest.raises(EndOfData):
            ahead.next_batch()
        assert ahead.skipped == list(range(1, number + 1))
    ahead.close()


def test_closing_does_not_wait_for_who_never_asks() -> None:
    for events in ({}, {1: VmzError("at once")}):
        numbers = Numbers(events)  # type: ignore[arg-type]
        ahead = AheadReader(numbers, Sender(CPU, side=LateSide()))  # type: ignore[arg-type]
        ahead.close()  # never asked
        ahead = AheadReader(numbers, Sender(CPU, side=LateSide()))  # type: ignore[arg-type]
        with pytest.raises(VmzError) if events else nullcontext():
            ahead.next_batch()
        started = time.monotonic()
        ahead.close()
        assert time.monotonic() - started < 5 and numbers.closed


def test_an_engine_that_reads_ahead_gives_what_one_that_does_not_gives(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uint8 through the slots, normalised behind them: the same batches, scores and end, to the bit."""
    model = small_build(source=video_source(write_videos(tmp_path / "db", 7), 2))("", None, 1.0)

    def batches() -> list[list[np.ndarray]]:
        found = []
        with open_engine("pytorch") as engine:
            engine.load(model.param_init_net, model.net, seed=1)
            for _ in range(5):
                engine.run()
                found.append([engine.fetch(blob) for blob in ("data", "label")])
            assert engine.skipped == []
        return found

    plain = batches()

    def late(open_them: Any, device: torch.device, channels_last: bool = False) -> list[Any]:
        return reading_ahead(open_them, device, channels_last, LateSide())

    monkeypatch.setattr(torch_engine, "reading_ahead", late)
    for one, other in zip(batches(), plain):
        assert all(np.array_equal(first, second) for first, second in zip(one, other))
