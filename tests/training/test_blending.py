"""Weights of Gradient-Blending: the formula, where it is the optimum, and data where the right answer is known."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vmz.cli.gblend_weights import main
from vmz.errors import UsageError, VmzError
from vmz.training.blending import Curve, blend, super_epochs

# Between epochs 1 and 3: (O, G) are (1, 0.5), (0.5, 1) and (1, 1), so that G / O^2 are 0.5, 4 and 1.
CURVES: dict[str, Curve] = {
    "audio": {1: (2.0, 2.0), 3: (0.5, 1.5)},
    "visual": {1: (2.0, 2.0), 3: (0.5, 1.0)},
    "joint": {1: (2.0, 2.0), 3: (0.0, 1.0)},
}


def test_the_weights_are_g_over_o_squared() -> None:
    found = blend(CURVES, 1, 3)
    assert [one.weight for one in found.estimates] == pytest.approx([0.5 / 5.5, 4 / 5.5, 1 / 5.5])
    assert [one.ratio for one in found.estimates] == pytest.approx([2.0, 0.5, 1.0])
    assert list(found.flags) == ["audio_weight", "visual_weight", "av_weight"]
    assert sum(found.flags.values()) == pytest.approx(1.0)


def test_no_other_blend_overfits_less_for_as_much_generalisation() -> None:
    """Overfittings of the heads are independent: that of a blend is the root of the sum of their squares."""
    found = blend(CURVES, 1, 3).estimates
    excess, gain = (np.array([getattr(one, name) for one in found]) for name in ("overfitting", "generalisation"))

    def ratio(weights: Any) -> Any:
        return np.sqrt(((weights * excess) ** 2).sum(-1)) / (weights * gain).sum(-1)

    others = np.random.default_rng(0).dirichlet(np.ones(3), 10_000)
    assert ratio(np.array([one.weight for one in found])) <= ratio(others).min()


def test_a_head_that_gets_worse_has_no_weight_and_noise_does_not_have_all() -> None:
    worse = {**CURVES, "audio": {1: (2.0, 2.0), 3: (0.1, 2.5)}, "joint": {1: (2.0, 2.0), 3: (1.5, 1.5)}}
    audio, _, joint = blend(worse, 1, 3, least=0.1).estimates
    assert audio.weight == 0 and audio.ratio == math.inf
    assert joint.overfitting == 0 and joint.weight == pytest.approx(0.5 / 0.01 / (0.5 / 0.01 + 4))
    with pytest.raises(VmzError, match="no head generalises between epochs 1 and 3"):
        blend({head: worse["audio"] for head in CURVES}, 1, 3)


def test_the_online_variant_looks_at_each_super_epoch_alone() -> None:
    chance = (math.log(8), math.log(8))
    curves: dict[str, Curve] = {
        head: {0: chance, 2: (1.5 - step, 1.6), 4: (1.2 - 2 * step, 1.5)}
        for head, step in (("audio", 0.4), ("visual", 0.1), ("joint", 0.2))
    }
    first, second = super_epochs(curves, 2)
    assert (first.from_epoch, first.to_epoch, second.from_epoch, second.to_epoch) == (0, 2, 2, 4)
    assert second.flags == blend(curves, 2, 4).flags != first.flags
    with pytest.raises(UsageError, match="losses of 4 epochs, fewer than the 5"):
        super_epochs(curves, 5)


def history(path: Path, **epochs: Any) -> str:
    path.write_text(json.dumps({"options": {"num_labels": 2, "multi_label": 0}, **epochs}))
    return str(path)


def trained(data: np.ndarray, test: np.ndarray, labels: np.ndarray, of_test: np.ndarray) -> list[dict[str, Any]]:
    """Logistic regression by gradient descent: epochs as train_net writes them."""
    weights, epochs = np.zeros(data.shape[1]), []

    def loss(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.logaddexp(0, -(2 * y - 1) * (x @ weights)).mean())

    for epoch in range(1, 41):
        weights = weights - 0.5 * data.T @ (1 / (1 + np.exp(-(data @ weights))) - labels) / len(data)
        epochs.append({"epoch": epoch, "loss": loss(data, labels), "test_loss": loss(test, of_test)})
    return epochs


def test_data_whose_sound_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The pictures tell the class, the sound is noise that can only be learnt by heart: it must get no weight."""
    random = np.random.default_rng(5)
    labels, of_test = (random.integers(0, 2, size) for size in (60, 600))
    seen = [random.normal(size=(len(y), 3)) + (2 * y - 1)[:, None] for y in (labels, of_test)]
    heard = [random.normal(size=(len(y), 40)) for y in (labels, of_test)]
    both = [np.hstack(parts) for parts in zip(seen, heard)]
    files = {
        f"--{head}": history(tmp_path / f"{head}.json", epochs=trained(data, test, labels, of_test))
        for head, (data, test) in (("audio", heard), ("visual", seen), ("joint", both))
    }
    output = tmp_path / "weights.json"
    assert main([*(f"{flag}={path}" for flag, path in files.items()), f"--output={output}"]) == 0
    flags = json.loads(output.read_text())["flags"]
    assert flags["audio_weight"] == 0 and flags["visual_weight"] > 0.85 > 5 * flags["av_weight"] > 0
    assert f"--visual_weight={flags['visual_weight']:.4f}" in capsys.readouterr().out


def test_one_history_with_three_heads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    epochs = [
        {
            "epoch": epoch,
            "heads": {head: {"loss": curve[epoch][0], "accuracy": 0.5} for head, curve in CURVES.items()},
            "test_heads": {head: {"loss": curve[epoch][1]} for head, curve in CURVES.items()},
        }
        for epoch in (1, 3)
    ]
    path = history(tmp_path / "run.json", epochs=[*epochs, {"epoch": 4, "loss": 1.0}])
    assert main([path, "--from_epoch=1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "--audio_weight=0.0909 --visual_weight=0.7273 --av_weight=0.1818"
    for wrong, says in (
        (["--from_epoch=2"], "epoch 2 has no training and test loss of the audio head; those that have: 0, 1, 3"),
        (["--from_epoch=3", "--to_epoch=3"], "must come before"),
        ([f"--audio={path}"], "give the history of one training"),
        (["--every=1", "--to_epoch=3"], "leave --from_epoch and --to_epoch out"),
    ):
        assert main([path, *wrong]) == 2
        assert says in capsys.readouterr().err
    plain = history(tmp_path / "plain.json", epochs=[{"epoch": 1, "loss": 1.0, "test_loss": 1.0}])
    assert main([plain]) == 2 and "no training and test losses of the audio head" in capsys.readouterr().err
    (tmp_path / "bad.json").write_text("{}")
    assert main([str(tmp_path / "bad.json")]) == 2 and "train_net wrote with --output" in capsys.readouterr().err
