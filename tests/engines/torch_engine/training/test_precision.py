from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
import torch

from tests.engines.small_training import small_batch, small_build, small_training
from vmz.engines.precisions import TRAINING
from vmz.engines.registry import open_trainer
from vmz.engines.torch_engine.precision import check_precision
from vmz.engines.torch_engine.training.input import Pace
from vmz.engines.torch_engine.training.precision import LossScale
from vmz.errors import UsageError, VmzError

GPU = torch.device("cuda", 0)


def tf32_is_off() -> bool:
    """As the kernels ask for it: PyTorch 2.9 has a switch for each kind of them."""
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    if hasattr(cudnn, "conv"):
        return bool(matmul.fp32_precision == "ieee" and cudnn.conv.fp32_precision == "ieee")
    return not (matmul.allow_tf32 or cudnn.allow_tf32)


def set_tf32() -> None:
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    if hasattr(cudnn, "conv"):
        matmul.fp32_precision = cudnn.conv.fp32_precision = cudnn.rnn.fp32_precision = "tf32"
    else:
        matmul.allow_tf32 = cudnn.allow_tf32 = True


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_float32_is_float32_in_the_backward_pass_too(precision: str, accumulation: int) -> None:
    matmul: Any = torch.backends.cuda.matmul
    seen: list[bool] = []
    with open_trainer("pytorch") as trainer:
        trainer.load(small_build(), small_training(precision=precision, accumulation=accumulation), seed=1)
        for parameter in trainer._net.learning.values():  # type: ignore[attr-defined]
            parameter.register_hook(lambda gradient: seen.append(tf32_is_off()))
        for blob, array in small_batch(1).items():
            trainer.feed(blob, array)
        before = matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        try:
            set_tf32()  # as a library's user may have done
            trainer.step()
            assert not tf32_is_off()  # as it was
        finally:
            matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
    assert len(seen) >= 8 * accumulation and all(seen)


@pytest.mark.parametrize(("capability", "has"), [((7, 5), False), ((6, 0), False), ((8, 0), True), ((9, 0), True)])
def test_bf16_by_emulation_does_not_count(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], has: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)  # emulated where not there
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Tesla T4")
    check_precision("fp16", GPU, TRAINING)
    if has:
        check_precision("bf16", GPU, TRAINING)
    else:
        with pytest.raises(UsageError, match="Tesla T4 has no bf16; use precision fp16 or fp32"):
            check_precision("bf16", GPU, TRAINING)


needs_scaler_on_cpu = pytest.mark.skipif(
    not hasattr(getattr(torch, "amp", None), "GradScaler"), reason="before PyTorch 2.3 GradScaler is for GPUs only"
)


@needs_scaler_on_cpu
def test_an_overflow_in_fp16_skips_the_update_and_halves_the_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmz.engines.torch_engine.training.training_net.check_precision", lambda *_: None)
    with open_trainer("pytorch") as opened:
        trainer: Any = opened
        trainer.load(small_build(), small_training(precision="fp16"), seed=1)
        for blob, array in small_batch(1).items():
            trainer.feed(blob, array)
        trainer.step()
        assert trainer.state()["vmz_loss_scale"].tolist() == [65536, 1]
        before = trainer.state()
        trainer.set_state({**before, "vmz_loss_scale": np.array([2.0**40, 1999], np.float32)})
        trainer.step()
        after = trainer.state()
        assert after["vmz_loss_scale"].tolist() == [2.0**39, 0]
        assert (after["conv1_w"] == before["conv1_w"]).all()
        assert (after["conv1_w_momentum"] == before["conv1_w_momentum"]).all()
        trainer.set_state({**before, "vmz_loss_scale": np.array([1024, 1999], np.float32)})
        trainer.step()
        assert trainer.state()["vmz_loss_scale"].tolist() == [2048, 0]
        assert (trainer.state()["conv1_w"] != before["conv1_w"]).any()


@needs_scaler_on_cpu
def test_the_loss_scale_ends_at_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmz.engines.torch_engine.training.training_net.check_precision", lambda *_: None)
    with open_trainer("pytorch") as opened:
        trainer: Any = opened
        trainer.load(small_build(), small_training(precision="fp16"), seed=1)
        trainer.set_state({**trainer.state(), "vmz_loss_scale": np.array([4, 0], np.float32)})
        for parameter in trainer._net.learning.values():
            parameter.register_hook(lambda gradient: gradient * np.inf)
        for blob, array in small_batch(1).items():
            trainer.feed(blob, array)
        before = trainer.weights()
        scales = [(trainer.step(), trainer.state()["vmz_loss_scale"].tolist())[1] for _ in range(2)]
        assert scales == [[2, 0], [1, 0]]
        for _ in range(2):  # the trainer is as it was
            with pytest.raises(VmzError, match=r"^iteration 3: the gradient is not finite in fp16 at the smallest"):
                trainer.step()
        assert all((array == before[blob]).all() for blob, array in trainer.weights().items() if blob.endswith("_w"))


def test_the_least_loss_scale() -> None:
    scale = LossScale("fp16", torch.device("cpu"))
    if scale.factor != 1:  # PyTorch 1.10 on a CPU: 1
        scale.refuse_overflow()
        scale.set_state(np.array([1, 0], np.float32))
    with pytest.raises(VmzError, match="not finite in fp16 at the smallest loss scale, 1; lower the learning rate"):
        scale.refuse_overflow()
    assert scale.factor == 1


@pytest.mark.parametrize("state", [[0.5, 0], [np.nan, 3], [0, 0], [np.inf, 0], [1024, -1]])
def test_a_state_with_a_wrong_loss_scale(state: list[float]) -> None:
    with pytest.raises(VmzError, match="loss scale"):
        LossScale("fp16", torch.device("cpu")).set_state(np.array(state, np.float32))


@pytest.mark.parametrize("again", [False, True])
def test_what_is_closed_holds_no_memory(again: bool) -> None:
    with open_trainer("pytorch") as opened:
        trainer: Any = opened
        trainer.load(small_build(), small_training(), seed=1)
        for blob, array in small_batch(1).items():
            trainer.feed(blob, array)
        trainer.step()
        tensors = [*trainer._values.values(), *trainer._momenta().values(), trainer._statistics]
        tensors += [parameter.grad for parameter in trainer._net.learning.values()]
        left = [weakref.ref(tensor) for tensor in tensors]
        del tensors
        if again:
            trainer.load(small_build(), small_training(), seed=1)
        else:
            trainer.close()
        gc.collect()
        assert len(left) > 20 and not [tensor for ref in left if (tensor := ref()) is not None]


def test_the_host_is_at_most_a_batch_ahead() -> None:
    waited: list[int] = []

    class Event:
        def __init__(self, number: int) -> None:
            self.number = number

        def synchronize(self) -> None:
            waited.append(self.number)

    made: list[Event] = []

    def event() -> Event:
        made.append(Event(len(made)))
        return made[-1]

    pace = Pace(event)
    for batch in range(60):
        pace.keep()
        assert waited == list(range(batch)) and len(pace.marks) == 1
