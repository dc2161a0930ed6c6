from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import needs_caffe2, without_caffe2
from vmz.engines.registry import open_trainer
from vmz.engines.schedule import Schedule
from vmz.engines.trainer import Build, Trainer, Training
from vmz.errors import UsageError, VmzError
from vmz.models.config import ModelConfig
from vmz.models.registry import Model, build
from vmz.netdef.training_state import ITERATION

CONFIG = ModelConfig("r2plus1d", 10, num_labels=5, clip_length=4, channel_multiplier=0.1)
TRAINING = Training(Schedule(0.01, stepsize=3))


def builder(config: ModelConfig = CONFIG) -> Build:
    def build_for(scope: str, device: Any, loss_scale: float) -> Model:
        scaled = dataclasses.replace(config, loss_scale=loss_scale)
        return build(scaled, is_test=False, net_name="small_train", scope=scope, device=device)

    return build_for


def opened(*devices: str, training: Training = TRAINING, config: ModelConfig = CONFIG, **keywords: Any) -> Trainer:
    trainer = open_trainer("caffe2", devices or ("cpu",))
    trainer.load(builder(config), training, **keywords)
    return trainer


def feed(trainer: Trainer, number: int, devices: int = 1, config: ModelConfig = CONFIG) -> None:
    """Two clips a device; `number` says which."""
    for device in range(devices):
        random = np.random.RandomState(10 * number + device)
        trainer.feed("data", random.randn(2, 3, 4, 112, 112).astype(np.float32), device)
        shape = (2, config.num_labels) if config.multi_label else (2,)
        trainer.feed("label", random.randint(0, 2, shape).astype(np.int32), device)


def stepped(trainer: Trainer, *numbers: int, devices: int = 1) -> list[float]:
    losses = []
    for number in numbers:
        feed(trainer, number, devices)
        losses.append(trainer.step().loss)
    return losses


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return list(one) == list(other) and all((one[name] == other[name]).all() for name in one)


@without_caffe2
def test_without_caffe2_one_sentence_says_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"(make setup-caffe2|\.venv-caffe2/bin/python has it).*--engine=pytorch"):
        open_trainer("caffe2")


@needs_caffe2
def test_a_run_that_went_on_from_a_state_is_the_run_that_never_stopped() -> None:
    with opened(seed=1) as trainer:
        stepped(trainer, 1, 2)
        halfway = trainer.state()
        losses = stepped(trainer, 3, 4)
        end = trainer.state()
    with opened(seed=2) as other:
        stepped(other, 7)  # and has a net and momenta of its own by then
        other.set_state(halfway)
        assert stepped(other, 3, 4) == losses
        assert same(other.state(), end)
        assert end[ITERATION].tolist() == [4] and end[ITERATION].dtype == np.int64


@needs_caffe2
def test_a_step_says_what_it_did() -> None:
    with opened() as trainer:
        rates = []
        for number in (1, 2, 3):
            feed(trainer, number)
            step = trainer.step()
            rates.append(step.learning_rate)
        assert step.iteration == 3 and step.samples == 2 and step.accuracy in (0.0, 0.5, 1.0)
        assert rates == [np.float32(0.01), np.float32(0.01), np.float32(0.01) * np.float32(0.1)]
        assert step.loss == pytest.approx(float(trainer.fetch("loss")))
        assert trainer.fetch("softmax").shape == (2, 5) and set(step.seconds) == {"read", "compute"}


@needs_caffe2
def test_two_devices_take_the_mean_of_their_gradients_and_the_first_ones_statistics() -> None:
    """On the same clips, two devices do what one does."""
    found = []
    for devices in (1, 2):
        with opened(*["cpu"] * devices, seed=3) as trainer:
            for device in range(devices):
                random = np.random.RandomState(5)
                trainer.feed("data", random.randn(2, 3, 4, 112, 112).astype(np.float32), device)
                trainer.feed("label", np.array([1, 4], np.int32), device)
            step = trainer.step()
            assert step.samples == 2 * devices
            found.append((step.loss, trainer.state()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    for name, array in found[0][1].items():
        assert np.abs(array - found[1][1][name]).max() <= 1e-5 * np.abs(array).max(), name
    with opened("cpu", "cpu") as trainer:
        stepped(trainer, 1, 2, devices=2)
        state = trainer.state()
        for name in state:
            if name != ITERATION:
                assert (trainer.fetch(f"cpu_1/{name}") == state[name]).all(), name


@needs_caffe2
def test_a_multi_label_loss_is_the_mean_over_samples_and_has_no_accuracy() -> None:
    config = dataclasses.replace(CONFIG, multi_label=True)
    with opened(config=config) as trainer:
        feed(trainer, 1, config=config)
        step = trainer.step()
        assert trainer.fetch("loss").shape == (2,)
        assert step.accuracy is None and step.loss == pytest.approx(trainer.fetch("loss").mean())


@needs_caffe2
def test_weights_go_over_the_fills_which_follow_the_seed() -> None:
    with opened(seed=1) as one, opened(seed=1) as other:
        weights = one.weights()
        assert same(weights, other.weights())
        assert not any(name.endswith("_momentum") for name in weights) and "conv1_spatbn_relu_riv" in weights
    with opened(seed=2) as trainer:
        assert (trainer.fetch("conv1_w") != weights["conv1_w"]).any()
    for scope in ("", "gpu_0/", "cpu_1/"):
        scoped = {scope + name: array for name, array in weights.items()}
        with opened("cpu", "cpu", seed=2, weights=scoped) as trainer:
            assert same(trainer.weights(), weights) and (trainer.fetch("cpu_1/conv1_w") == weights["conv1_w"]).all()
            state = trainer.state()
            stepped(trainer, 1, devices=2)
            trainer.set_state({scope + name: array for name, array in state.items()})
            assert same(trainer.state(), state)
    with pytest.raises(VmzError, match="conv1_w appears twice"):
        opened(weights={"gpu_0/conv1_w": weights["conv1_w"], "gpu_1/conv1_w": weights["conv1_w"]})


@needs_caffe2
def test_a_frozen_trunk_stays_and_the_classifier_learns() -> None:
    with opened(training=dataclasses.replace(TRAINING, freeze="trunk"), seed=1) as trainer:
        before = trainer.weights()
        stepped(trainer, 1)
        state = trainer.state()
    moved = {name for name in before if (before[name] != state[name]).any()}
    assert moved == {"last_out_L5_w", "last_out_L5_b"}
    assert {name for name in state if name.endswith("_momentum")} == {f"{name}_momentum" for name in moved}
    frozen = dataclasses.replace(TRAINING, freeze="trunk")
    with open_trainer("pytorch") as other:  # the same features, those of testing, and the same gradient
        other.load(builder(), frozen, before)
        stepped(other, 1)
        for name in moved:
            np.testing.assert_allclose(other.fetch(name), state[name], atol=1e-6, rtol=1e-5)
        other.set_state(state)
        weights = other.weights()
        assert same({name: weights[name] for name in before}, {name: state[name] for name in before})
    with opened(training=frozen) as trainer:
        trainer.set_state({**state, "conv1_w_momentum": np.zeros(before["conv1_w"].shape), "vmz_other": np.zeros(1)})
        assert same(trainer.state(), state)


@needs_caffe2
@pytest.mark.parametrize(
    ("limit", "scale", "says"), [(1e-3, 1, "above 0.001"), (40.0, np.nan, "loss of iteration 2 is nan")]
)
def test_no_state_comes_out_of_a_run_that_went_wrong(limit: float, scale: float, says: str) -> None:
    with opened(training=dataclasses.replace(TRAINING, abort_loss=limit), seed=1) as trainer:
        good = trainer.state()
        if scale != 1:
            stepped(trainer, 1)
        feed(trainer, 2)
        trainer.feed("data", np.full((2, 3, 4, 112, 112), scale, np.float32))
        with pytest.raises(VmzError, match=says):
            trainer.step()
        for after in (trainer.state, trainer.weights, trainer.step):
            with pytest.raises(VmzError, match=says):
                after()
        trainer.set_state(good)
        assert same(trainer.state(), good)


@needs_caffe2
def test_wrong_states_and_weights_are_named() -> None:
    with opened() as trainer:
        state = trainer.state()
        for broken, says in [
            ({name: state[name] for name in state if name != "conv1_w_momentum"}, "lacks blob conv1_w_momentum"),
            ({name: state[name] for name in state if name != ITERATION}, f"lacks blob {ITERATION}"),
            ({**state, "fc6_w": np.zeros(1)}, "contains blob fc6_w"),
            ({**state, "conv1_w": np.zeros(1)}, r"conv1_w has shape .* not \(1,\)"),
        ]:
            with pytest.raises(VmzError, match=says):
                trainer.set_state(broken)
            assert same(trainer.state(), state)
    for weights, says in [
        ({"fc6_w": np.zeros(1)}, "no parameter fc6_w"),
        ({"conv1_w": np.zeros(1)}, "conv1_w has shape"),
    ]:
        with pytest.raises(VmzError, match=says):
            opened(weights=weights)


@needs_caffe2
@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"accumulation": 2}, "--accumulation_steps=2"),
        ({"precision": "bf16"}, "--precision=bf16"),
        ({"clip_gradient": 1.5}, "--clip_gradient=1.5"),
        ({"freeze_bn": True}, "--freeze_bn=1"),
        ({"channels_last": True}, "--channels_last=1"),
        ({"precise_bn": True}, "--precise_bn"),
    ],
)
def test_what_the_original_does_not_know_needs_the_other_engine(changes: dict[str, Any], flag: str) -> None:
    with pytest.raises(UsageError, match=f"{flag} needs --engine=pytorch"):
        opened(training=dataclasses.replace(TRAINING, **changes))


@needs_caffe2
@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(0.04, warmup_iterations=3, warmup_rate=0.01, milestones=(2,)),
        Schedule(0.04, "cosine", iterations=5, warmup_iterations=2, after_warmup=True),
    ],
)
def test_the_papers_schedules_on_two_devices(schedule: Schedule) -> None:
    """Caffe2 is given the rate of each iteration, on every device; from a state it goes on by its iteration."""
    training = dataclasses.replace(TRAINING, schedule=schedule)
    with opened("cpu", "cpu", training=training) as trainer:
        rates = []
        for number in range(5):
            feed(trainer, number, devices=2)
            rates.append(trainer.step().learning_rate)
            assert np.array_equal(trainer.fetch("cpu_0/conv1_w"), trainer.fetch("cpu_1/conv1_w"))
            if number == 1:
                state = trainer.state()
        assert rates == [schedule.rate(iteration) for iteration in range(1, 6)] and len(set(rates)) > 3
        end = trainer.state()
        trainer.set_state(state)
        for number in range(2, 5):
            feed(trainer, number, devices=2)
            trainer.step()
        assert same(trainer.state(), end)


@needs_caffe2
def test_wrong_use_is_named() -> None:
    for devices, says in [
        (("tpu",), "unknown device 'tpu'"),
        ((), "not on none"),
        (("cuda:77",), "cuda:77 is not available"),
    ]:
        with pytest.raises(UsageError, match=says):
            open_trainer("caffe2", devices)
    trainer = open_trainer("caffe2")
    for call in (trainer.step, trainer.state, trainer.weights):
        with pytest.raises(UsageError, match="call load first"):
            call()
    with opened() as trainer:
        with pytest.raises(UsageError, match="cpu_0/data has no value"):
            trainer.step()
        with pytest.raises(UsageError, match="no device number 1"):
            trainer.feed("data", np.zeros(1), 1)
        for blob in ("conv1_w", "softmax", "nothing"):
            with pytest.raises(UsageError, match=f"{blob} cannot be fed"):
                trainer.feed(blob, np.zeros(1))
        with pytest.raises(UsageError, match="cpu_0/nothing has no value"):
            trainer.fetch("nothing")
        with pytest.raises(UsageError, match="precise batch norm"):
            trainer.recompute_statistics(1)
        assert trainer.skipped == []
    trainer.close()
