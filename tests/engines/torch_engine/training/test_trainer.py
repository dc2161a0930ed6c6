from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Optional

import numpy as np
import pytest
import torch

from tests.engines.small_training import (
    LABELS,
    SIDE,
    small_batch,
    small_build,
    small_training,
    video_source,
    write_videos,
)
from tests.engines.torch_engine.training.short_runs import assert_same, train
from vmz.engines.registry import open_trainer
from vmz.engines.torch_engine.training.trainer import TorchTrainer
from vmz.engines.trainer import Trainer
from vmz.errors import UsageError, VmzError
from vmz.netdef.training_state import ITERATION, POSITION, RANDOM_STATE
from vmz.video.reader import BadVideoError, EndOfData

# One iteration, and many


def test_a_step_tells_what_it_did(trainer: Trainer) -> None:
    trainer.load(small_build(), small_training(), seed=1)
    steps = train(trainer, 8)
    assert [step.iteration for step in steps] == list(range(1, 9))
    assert [round(step.learning_rate, 6) for step in steps] == [0.05] * 6 + [0.005] * 2
    assert {step.samples for step in steps} == {4}
    assert set(steps[0].seconds) == {"read", "compute"} and min(steps[0].seconds.values()) >= 0
    assert steps[-1].loss == pytest.approx(float(trainer.fetch("loss")), rel=1e-6)
    assert (
        steps[-1].accuracy
        == trainer.fetch("accuracy")
        == (trainer.fetch("softmax").argmax(1) == trainer.fetch("label")).mean()
    )
    assert steps[0].loss == pytest.approx(np.log(LABELS), abs=1.2)
    np.testing.assert_array_equal(trainer.fetch("data"), small_batch(8)["data"])


def test_it_learns(trainer: Trainer) -> None:
    trainer.load(small_build(), small_training(0.1, weight_decay=0.0), seed=1)
    for blob, array in small_batch(1).items():
        trainer.feed(blob, array)  # for all iterations
    losses = [trainer.step().loss for _ in range(6)]
    assert losses[-1] < 0.5 * losses[0]


def test_the_update_is_that_of_the_gradient(trainer: Trainer) -> None:
    """Against torch.autograd on the same net, and the rule by hand."""
    build, training = small_build(), small_training()
    trainer.load(build, training, seed=1)
    before = trainer.state()
    step = train(trainer, 1)[0]
    model = build("x", None, 1.0)
    from vmz.engines.torch_engine.graph.importer import import_net

    values = {
        blob: torch.from_numpy(before[blob.partition("/")[2]]) for blob, _ in model.params + model.computed_params
    }
    module = import_net(model.net, outputs=["loss"], values=values)
    found = module(*(torch.from_numpy(array) for array in small_batch(1).values()))
    found["loss"].backward()
    assert step.loss == pytest.approx(found["loss"].item(), rel=1e-6)
    for blob, _ in model.params:
        name, p = blob.partition("/")[2], before[blob.partition("/")[2]]
        gradient = getattr(module, blob).grad.numpy() + (training.weight_decay if blob in model.weights else 0) * p
        momentum = np.float32(step.learning_rate) * gradient
        np.testing.assert_allclose(trainer.fetch(f"{name}_momentum"), momentum, rtol=1e-4, atol=1e-8)
        np.testing.assert_allclose(trainer.fetch(name), p - 1.9 * momentum, rtol=1e-5, atol=1e-7)
    # In float64: what rounding leaves is the trainer's. The module above has changed the statistics of `before`.
    exact = {blob: value.detach().double() for blob, value in values.items()}
    exact.update(
        {blob: torch.full(shape, float(blob.endswith("_riv"))).double() for blob, shape in model.computed_params}
    )
    module = import_net(model.net, outputs=["loss"], values=exact)
    data, label = (torch.from_numpy(array) for array in small_batch(1).values())
    module(data.double(), label)
    for blob, _ in model.computed_params:
        # A mean is rounded as the values it is of, which may cancel: their deviation, not the mean, is the measure.
        deviation = float(getattr(module, blob[: -len("_rm")] + "_riv").max()) ** 0.5 if blob.endswith("_rm") else 0.0
        found_value, expected = trainer.fetch(blob.partition("/")[2]), getattr(module, blob).numpy()
        np.testing.assert_allclose(found_value, expected, rtol=1e-6, atol=1e-8 * deviation)


def test_several_labels_have_a_loss_a_clip_whose_sum_is_differentiated(trainer: Trainer) -> None:
    trainer.load(small_build(multi_label=True), small_training(), seed=1)
    step = train(trainer, 1, multi_label=True)[0]
    losses = trainer.fetch("loss")
    assert losses.shape == (4,) and step.loss == pytest.approx(losses.mean()) and step.accuracy is None
    prob, label = trainer.fetch("prob"), small_batch(1, multi_label=True)["label"]
    momentum = step.learning_rate * ((prob - label) / LABELS).sum(0)
    np.testing.assert_allclose(trainer.fetch("pred_logit_b_momentum"), momentum, rtol=1e-5, atol=1e-8)


def test_weights_and_seed_make_the_start(trainer: Trainer) -> None:
    trainer.load(small_build(), small_training(), seed=1)
    first = trainer.weights()
    trainer.load(small_build(), small_training(), seed=2)
    other = trainer.weights()
    assert np.abs(first["conv1_w"] - other["conv1_w"]).max() > 0.01
    trainer.load(small_build(), small_training(), first, seed=2)
    assert_same(trainer.weights(), first)
    trainer.load(small_build(labels=7), small_training(), {b: a for b, a in first.items() if "last_out" not in b})
    assert trainer.fetch("last_out_L7_w").shape == (7, 8)
    np.testing.assert_array_equal(trainer.fetch("conv1_w"), first["conv1_w"])
    assert np.abs(trainer.fetch("conv1_w_momentum")).max() == 0


# To stop and go on


@pytest.mark.long
@pytest.mark.parametrize(("use_dropout", "channels_last"), [(False, False), (True, False), (False, True)])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(use_dropout: bool, channels_last: bool) -> None:
    build, training = small_build(use_dropout), small_training(channels_last=channels_last)
    with open_trainer("pytorch") as trainer:
        trainer.load(build, training, seed=5)
        losses = [step.loss for step in train(trainer, 4)]
        middle = trainer.state()
        losses += [step.loss for step in train(trainer, 5, first=5)]
        end = trainer.state()
    assert len(set(losses)) == 9 and middle[ITERATION] == [4]
    torch.manual_seed(99)  # nothing may depend on PyTorch's own random state
    with open_trainer("pytorch") as trainer:
        trainer.load(build, training, seed=77)
        train(trainer, 2)
        trainer.set_state(middle)
        assert_same(trainer.state(), middle)
        assert [step.loss for step in train(trainer, 5, first=5)] == losses[4:]
        assert_same(trainer.state(), end)


def test_dropout_draws_anew_for_each_iteration_and_by_the_seed(trainer: Trainer) -> None:
    losses: list[list[float]] = []
    weights: Optional[Mapping[str, np.ndarray]] = None
    for seed in (1, 1, 2):
        trainer.load(small_build(use_dropout=True), small_training(0.0, weight_decay=0.0), seed=seed)
        weights = trainer.weights() if weights is None else weights
        trainer.load(small_build(use_dropout=True), small_training(0.0, weight_decay=0.0), weights, seed=seed)
        for blob, array in small_batch(1).items():
            trainer.feed(blob, array)
        losses.append([trainer.step().loss for _ in range(3)])
    assert losses[0] == losses[1] and len({*losses[0], *losses[2]}) == 6


def test_a_run_over_a_database_goes_on_in_the_middle_of_a_turn(tmp_path: Path) -> None:
    database = write_videos(tmp_path / "db", 10)
    build, training = small_build(source=video_source(database, 4, shuffle=1, random_mirror=1)), small_training()
    with open_trainer("pytorch") as trainer:
        trainer.load(build, training, seed=5)
        losses = [trainer.step().loss for _ in range(3)]
        middle = trainer.state()
        losses += [trainer.step().loss for _ in range(4)]
        end = trainer.state()
    assert middle[POSITION].tolist() == [12] and end[POSITION].tolist() == [28]
    with open_trainer("pytorch") as trainer:
        trainer.load(build, training)
        trainer.set_state(middle)
        assert [trainer.step().loss for _ in range(4)] == losses[3:]
        assert_same(trainer.state(), end)
        with pytest.raises(UsageError, match="blob data cannot be fed: the network's VideoInput reads it"):
            trainer.feed("data", small_batch(1)["data"])


def test_a_seed_that_the_reader_drew_itself_is_kept(tmp_path: Path) -> None:
    database = write_videos(tmp_path / "db", 6)
    build = small_build(source=video_source(database, 3, seed=0, shuffle=1))
    with open_trainer("pytorch") as trainer, open_trainer("pytorch") as other:
        trainer.load(build, small_training())
        start = trainer.state()
        other.load(build, small_training())
        other.set_state(start)
        labels = []
        for one in (trainer, other):
            one.step()
            labels.append(one.fetch("label"))
        np.testing.assert_array_equal(trainer.fetch("data"), other.fetch("data"))
        np.testing.assert_array_equal(labels[0], labels[1])


def test_bad_videos_and_the_end_of_data(tmp_path: Path) -> None:
    database = write_videos(tmp_path / "db", 6, bad=(1,))
    with open_trainer("pytorch") as trainer:
        trainer.load(small_build(source=video_source(database, 2, on_bad_video="skip")), small_training())
        trainer.step()
        assert [bad.key for bad in trainer.skipped] == ["00001"] and trainer.state()[POSITION].tolist() == [3]
        trainer.load(small_build(source=video_source(database, 2)), small_training())
        before = trainer.state()
        with pytest.raises(BadVideoError, match="record 00001"):
            trainer.step()
        assert_same(trainer.state(), before)
        once = video_source(database, 5, on_bad_video="skip", wrap_around=0)
        trainer.load(small_build(source=once), small_training())
        assert trainer.step().samples == 5
        with pytest.raises(EndOfData):
            trainer.step()


def test_states_of_something_else(trainer: Trainer) -> None:
    trainer.load(small_build(), small_training())
    state = trainer.state()
    for blob in ("conv1_w", "conv1_w_momentum", "conv1_spatbn_relu_rm", ITERATION):
        with pytest.raises(VmzError, match=f"the state lacks blob {blob}, without which training cannot resume"):
            trainer.set_state({name: array for name, array in state.items() if name != blob})
    with pytest.raises(VmzError, match="the state has blob conv9_w, which the network lacks"):
        trainer.set_state({**state, "conv9_w": np.zeros(3, np.float32)})
    with pytest.raises(VmzError, match=r"blob conv1_w has shape \(8, 3, 1, 3, 3\) in the network, not \(3,\)"):
        trainer.set_state({**state, "conv1_w": np.zeros(3, np.float32)})
    with pytest.raises(VmzError, match="blob vmz_random_state was not written by the PyTorch engine"):
        trainer.set_state({**state, RANDOM_STATE: np.zeros(5, np.uint8)})
    assert_same(trainer.state(), state)  # a state that is refused changes nothing
    trainer.set_state({**state, "vmz_more": np.zeros(1)})  # a workflow's own
    trainer.set_state({name: array for name, array in state.items() if name != RANDOM_STATE})  # another engine's
    assert_same(trainer.state(), state)


# When it fails


def test_a_loss_to_stop_at(trainer: Trainer) -> None:
    trainer.load(small_build(), small_training(abort_loss=0.5), seed=1)
    before = trainer.state()
    with pytest.raises(VmzError, match=r"iteration 1: the loss is [12]\.\d+, above 0.5, where training stops; lower"):
        train(trainer, 1)
    assert_same(trainer.state(), before)


def test_a_loss_that_is_not_finite(trainer: Trainer) -> None:
    trainer.load(small_build(), small_training(), seed=1)
    train(trainer, 2)
    before = trainer.state()
    trainer.feed("data", np.full((4, 3, 4, SIDE, SIDE), np.nan, np.float32))
    with pytest.raises(VmzError, match="iteration 3: the loss is nan; lower the learning rate"):
        trainer.step()
    assert_same(trainer.state(), before)  # running statistics too
    train(trainer, 1, first=3)


def test_a_gradient_that_is_not_finite(trainer: Trainer) -> None:
    trainer.load(small_build(), small_training(), seed=1)
    weights = trainer.weights()
    weights["comp_0_spatbn_1_s"][:] = 1e30  # the loss of a saturated softmax is finite, its gradient overflows
    weights["last_out_L5_w"][:] *= 1e-30
    trainer.load(small_build(), small_training(), weights)
    before = trainer.state()
    with pytest.raises(VmzError, match=r"iteration 1: the gradient is not finite \(L2 norm (inf|nan)\)"):
        train(trainer, 1)
    assert_same(trainer.state(), before)


def test_wrong_requests(trainer: Trainer) -> None:
    with pytest.raises(UsageError, match="the trainer has no network; call load first"):
        trainer.step()
    for changes, sentence in (
        ({"accumulation": 0}, "accumulation=0 must be at least 1 batch"),
        ({"precision": "fp8"}, "unknown precision 'fp8'; the precisions are fp32, bf16, fp16"),
        ({"precision": "fp16"}, "precision fp16 is for GPUs: on the CPU use bf16 or fp32"),
        ({"freeze": "head"}, "unknown freeze 'head'; it may be none, trunk"),
        ({"clip_gradient": -1.0}, "clip_gradient=-1.0 must not be negative"),
    ):
        with pytest.raises(UsageError, match=sentence):
            trainer.load(small_build(), small_training(**changes))
    with pytest.raises(VmzError, match="no blob conv9_w"):
        trainer.load(small_build(), small_training(), {"conv9_w": np.zeros(3)})
    with pytest.raises(VmzError, match=r"blob conv1_w has shape \(8, 3, 1, 3, 3\) in the network, not \(3,\)"):
        trainer.load(small_build(), small_training(), {"conv1_w": np.zeros(3)})
    trainer.load(small_build(), small_training())
    with pytest.raises(UsageError, match="blob gpu_0/data has no value: no operator computes it; feed it before step"):
        trainer.step()
    with pytest.raises(VmzError, match="no blob dta"):
        trainer.feed("dta", small_batch(1)["data"])
    with pytest.raises(UsageError, match="device 1 is not this process's"):
        trainer.feed("data", small_batch(1)["data"], device=1)
    train(trainer, 1)
    with pytest.raises(UsageError, match=r"blob gpu_0/final_avg has no value: training keeps parameters, .*softmax"):
        trainer.fetch("final_avg")
    with pytest.raises(VmzError, match="no blob fnal_avg"):
        trainer.fetch("fnal_avg")
    trainer.feed("data", small_batch(1)["data"][:, :2])
    with pytest.raises(VmzError, match=r"operator Conv \(number 0 of the net.*channels"):
        trainer.step()
    trainer.close()
    trainer.close()
    with pytest.raises(UsageError, match="call load first"):
        trainer.fetch("conv1_w")


def test_devices() -> None:
    with pytest.raises(UsageError, match="one device a process, not on cpu, cpu; for several start it with torchrun"):
        TorchTrainer(["cpu", "cpu"])
    with pytest.raises(UsageError, match="unknown device 'tpu'"):
        TorchTrainer(["tpu"])


def test_a_net_without_loss(trainer: Trainer) -> None:
    from vmz.models.config import ModelConfig
    from vmz.models.registry import build

    config = ModelConfig("r2plus1d", 10, 8, crop_size=128, channel_multiplier=0.1, use_convolutional_pred=True)
    with pytest.raises(VmzError, match="the network has no loss to train by"):
        trainer.load(lambda scope, device, scale: build(config, scope=scope), small_training())


def test_what_is_wanted_after_an_iteration_is_in_its_step(trainer: Trainer) -> None:
    trainer.load(small_build(), small_training(), seed=1)
    train(trainer, 1)
    for wanted in ((False, False), (True, False), (False, True)):
        step = trainer.step(stop=lambda now=wanted: now[0], save=lambda now=wanted: now[1])  # type: ignore[misc]
        assert (step.stop, step.save) == wanted


def test_a_process_that_writes_no_state_copies_nothing(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer.load(small_build(), small_training(), seed=1)

    def refuse(tensor: torch.Tensor) -> np.ndarray:
        raise AssertionError("it was copied to the host")

    monkeypatch.setattr("vmz.engines.torch_engine.training.trainer.array_of", refuse)
    assert trainer.state(here=False) == {}
    with pytest.raises(AssertionError, match="copied"):
        trainer.state()
