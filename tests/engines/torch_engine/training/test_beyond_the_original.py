from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.engines.small_training import (
    small_batch,
    small_build,
    small_training,
    video_source,
    write_videos,
)
from tests.engines.torch_engine.training.short_runs import apart, assert_same, train
from tests.support.optionals import present
from vmz.engines.registry import open_trainer
from vmz.engines.torch_engine.training import trainer as trainer_module
from vmz.engines.torch_engine.training.blobs import laid_out
from vmz.engines.trainer import Trainer
from vmz.errors import UsageError
from vmz.netdef.training_state import ITERATION, POSITION, RANDOM_STATE


def test_accumulated_batches_are_as_one_iteration_of_so_many_devices(trainer: Trainer) -> None:
    """With batch norm frozen: as one batch of all clips."""
    ends = []
    for accumulation in (1, 2, 4):
        trainer.load(small_build(use_dropout=True), small_training(accumulation=accumulation, freeze_bn=True), seed=1)
        steps = train(trainer, 5, clips=8)
        assert [step.samples for step in steps] == [8] * 5
        ends.append(([step.loss for step in steps], [present(step.accuracy) for step in steps], trainer.state()))
    for losses, accuracies, state in ends[1:]:
        np.testing.assert_allclose(losses, ends[0][0], rtol=1e-5)
        np.testing.assert_allclose(accuracies, ends[0][1])
        assert apart(state, ends[0][2]) < 2e-5
    trainer.feed("data", small_batch(1, clips=6)["data"])
    with pytest.raises(UsageError, match="blob gpu_0/data has 6 rows, which do not divide into the 4 batches"):
        trainer.step()


def test_each_accumulated_batch_has_its_own_statistics(trainer: Trainer) -> None:
    trainer.load(small_build(), small_training(0.0, accumulation=2), seed=1)
    batch = small_batch(1, clips=8)
    train(trainer, 1, clips=8)
    expected = np.zeros(8)
    weights = torch.from_numpy(trainer.fetch("conv1_w"))
    for part in np.split(batch["data"], 2):
        mean = torch.nn.functional.conv3d(torch.from_numpy(part), weights, None, (1, 2, 2), (0, 1, 1)).mean(
            (0, 2, 3, 4)
        )
        expected = 0.9 * expected + 0.1 * mean.numpy()
    np.testing.assert_allclose(trainer.fetch("conv1_spatbn_relu_rm"), expected, rtol=1e-4, atol=1e-7)


def test_clipping_shortens_the_gradient_of_all_parameters_together(trainer: Trainer) -> None:
    states = []
    for clip in (0.0, 1e6, 0.01):
        trainer.load(small_build(), small_training(clip_gradient=clip, weight_decay=0.0), seed=1)
        step = train(trainer, 1)[0]
        states.append({b: a for b, a in trainer.state().items() if b.endswith("_momentum")})
    assert_same(states[0], states[1])
    norms = [np.sqrt(sum((a.astype(np.float64) ** 2).sum() for a in state.values())) for state in states]
    assert norms[0] > 2 * norms[2] and norms[2] == pytest.approx(0.01 * step.learning_rate, rel=1e-5)
    assert (
        apart({b: a / norms[2] for b, a in states[2].items()}, {b: a / norms[0] for b, a in states[0].items()}) < 1e-5
    )


def test_a_cpu_has_channels_last_whatever_the_flag(trainer: Trainer) -> None:
    states = []
    for channels_last in (False, True):
        trainer.load(small_build(), small_training(channels_last=channels_last), seed=1)
        train(trainer, 2)
        state = trainer.state()
        state.pop(RANDOM_STATE)  # the reader's seed is drawn anew by each load
        states.append(state)
        assert isinstance(trainer, trainer_module.TorchTrainer)
        weights = [value for value in trainer._values.values() if value.dim() == 5]
        assert weights and all(value.is_contiguous(memory_format=torch.channels_last_3d) for value in weights)
    assert_same(*states)
    for blob, array in states[1].items():
        assert array.flags.c_contiguous, blob


def test_the_layout_in_memory_and_own_gradients_change_rounding_only(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def contiguous(values: Any, computed: Any, layout: torch.memory_format, device: torch.device) -> Any:
        return laid_out(values, computed, torch.contiguous_format, device)

    states = []
    for is_plain in (False, True):
        if is_plain:
            monkeypatch.setattr(trainer_module, "use_own_gradients", lambda module: None)
            monkeypatch.setattr(trainer_module, "laid_out", contiguous)
        trainer.load(small_build(), small_training(), seed=1)
        train(trainer, 2)
        states.append(trainer.state())
    assert states[0].keys() == states[1].keys() and apart(*states) < 1e-4


def test_a_frozen_trunk(trainer: Trainer) -> None:
    trainer.load(small_build(multi_label=True), small_training(freeze="trunk"), seed=1)
    before = trainer.state()
    train(trainer, 3, multi_label=True)
    after = trainer.state()
    changed = {blob for blob in before if np.any(before[blob] != after[blob])} - {ITERATION}
    heads = {"last_out_L5_w", "last_out_L5_b", "pred_logit_w", "pred_logit_b"}
    assert changed == heads | {f"{blob}_momentum" for blob in heads}


def test_frozen_batch_norm_uses_its_running_statistics_and_learns_scale_and_bias(trainer: Trainer) -> None:
    trainer.load(small_build(), small_training(freeze_bn=True), seed=1)
    weights = trainer.weights()
    weights["conv1_spatbn_relu_rm"][:] = 0.3
    weights["conv1_spatbn_relu_riv"][:] = 2.0
    trainer.load(small_build(), small_training(freeze_bn=True), weights)
    train(trainer, 2)
    after = trainer.weights()
    for blob in weights:
        if blob.endswith(("_rm", "_riv")):
            np.testing.assert_array_equal(after[blob], weights[blob])
        else:
            assert np.any(after[blob] != weights[blob]), blob
    first = train(trainer, 1, first=9)[0].loss
    with open_trainer("pytorch") as other:
        other.load(small_build(), small_training(freeze_bn=True), {**after, "conv1_spatbn_relu_rm": np.zeros(8)})
        assert train(other, 1, first=9)[0].loss != pytest.approx(first, rel=1e-4)


def test_precise_batch_norm(trainer: Trainer, tmp_path: Path) -> None:
    database = write_videos(tmp_path / "db", 10)
    trainer.load(small_build(source=video_source(database, 4)), small_training(), seed=1)
    trainer.step()
    parameters = {b: a for b, a in trainer.state().items() if b.endswith(("_w", "_b", "_s", "_momentum"))}
    trainer.recompute_statistics(3)
    state = trainer.state()
    assert_same({blob: state[blob] for blob in parameters}, parameters)
    assert state[POSITION].tolist() == [16] and state[ITERATION] == [1]
    with open_trainer("pytorch") as reader:  # the same clips again
        reader.load(small_build(source=video_source(database, 4)), small_training(0.0), seed=1)
        clips = []
        for _ in range(4):
            reader.step()
            clips.append(torch.from_numpy(reader.fetch("data")))
    values = torch.nn.functional.conv3d(
        torch.cat(clips[1:]).double(), torch.from_numpy(state["conv1_w"]).double(), None, (1, 2, 2), (0, 1, 1)
    )
    channels = values.transpose(0, 1).flatten(1)
    np.testing.assert_allclose(state["conv1_spatbn_relu_rm"], channels.mean(1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(state["conv1_spatbn_relu_riv"], channels.var(1, unbiased=True), rtol=1e-5)
    assert np.all(state["comp_0_spatbn_1_rm"] != 0)
    trainer.step()


def test_precise_batch_norm_where_there_is_none(trainer: Trainer) -> None:
    trainer.load(small_build(), small_training(freeze_bn=True))
    with pytest.raises(UsageError, match="batch norm is frozen: its statistics cannot be recomputed"):
        trainer.recompute_statistics(2)
    trainer.load(small_build(), small_training())
    with pytest.raises(UsageError, match="precise batch norm needs at least 1 batch, not 0"):
        trainer.recompute_statistics(0)
    with pytest.raises(UsageError, match="blob gpu_0/data has no value"):
        trainer.recompute_statistics(1)


def test_bf16_on_the_cpu(trainer: Trainer) -> None:
    found = {}
    for precision in ("fp32", "bf16"):
        trainer.load(small_build(use_dropout=True), small_training(precision=precision), seed=1)
        losses = [step.loss for step in train(trainer, 4)]
        found[precision] = losses, trainer.state()
        assert trainer.fetch("softmax").dtype == trainer.fetch("loss").dtype == np.float32
    assert found["fp32"][0] != found["bf16"][0]
    np.testing.assert_allclose(found["bf16"][0], found["fp32"][0], rtol=0.02)
    for blob, array in found["bf16"][1].items():
        assert array.dtype == found["fp32"][1][blob].dtype
        if blob.endswith(("_rm", "_riv")):
            np.testing.assert_allclose(array, found["fp32"][1][blob], rtol=0.02, atol=2e-3)
    trainer.recompute_statistics(1)
