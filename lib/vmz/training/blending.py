"""Weights of Gradient-Blending, from losses of the single heads on training and test data at two checkpoints.

The published procedure (Wang, Tran, Feiszli: What makes training multi-modal classification networks hard?, CVPR 2020):
between two checkpoints a head generalises by G, the fall of its validation loss, and overfits by O, the growth of the
gap between its validation and its training loss. The blend whose overfitting-to-generalisation ratio is smallest has
weights proportional to G / O^2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmz.errors import UsageError, VmzError
from vmz.file_formats.json_files import read_json
from vmz.netdef.blended_heads import AUDIO, HEADS, JOINT, VISUAL
from vmz.results.heads import HEADS_FORM

LEAST_OVERFITTING = 1e-3  # nats; what differs by less does so by chance, and would get all the weight
FLAGS = {AUDIO: "audio_weight", VISUAL: "visual_weight", JOINT: "av_weight"}
_NUMBER = (float, None)
_EPOCH = {
    "epoch": int, "loss?": _NUMBER, "test_loss?": _NUMBER, "heads?": HEADS_FORM, "test_heads?": HEADS_FORM,
}  # fmt: skip
_FORM = {"epochs": [_EPOCH], "options": {"num_labels": int, "multi_label": int}}

Curve = Mapping[int, tuple[float, float]]
"""{epoch: (training loss, validation loss)}, those that have both; epoch 0 is the network that knows nothing."""


@dataclass(frozen=True)
class Estimate:
    """Of one head between two checkpoints. overfitting: O. generalisation: G. weight: its share of the blend."""

    head: str
    overfitting: float
    generalisation: float
    weight: float

    @property
    def ratio(self) -> float:
        """Overfitting to generalisation: the smaller the better; infinite for a head that does not generalise."""
        return abs(self.overfitting / self.generalisation) if self.generalisation > 0 else math.inf


@dataclass(frozen=True)
class Blend:
    """The weights for the epochs that follow `to_epoch`, estimated between two checkpoints."""

    from_epoch: int
    to_epoch: int
    estimates: Sequence[Estimate]

    @property
    def flags(self) -> dict[str, float]:
        """As train_net takes them."""
        return {FLAGS[one.head]: one.weight for one in self.estimates}

    def lines(self) -> list[str]:
        """A table, and the flags."""
        rows = [
            f"  {one.head:7} {one.generalisation:14.4f} {one.overfitting:11.4f} {one.ratio:9.3f} {one.weight:8.4f}"
            for one in self.estimates
        ]
        head = f"epochs {self.from_epoch} to {self.to_epoch}"
        title = f"  {'head':7} {'generalisation':>14} {'overfitting':>11} {'ratio':>9} {'weight':>8}"
        return [head, title, *rows, " ".join(f"--{flag}={value:.4f}" for flag, value in self.flags.items())]

    def to_json(self) -> dict[str, Any]:
        """Figures by head; `flags` of train_net."""
        heads = {
            one.head: {
                "generalisation": one.generalisation,
                "overfitting": one.overfitting,
                "ratio": one.ratio if math.isfinite(one.ratio) else None,
                "weight": one.weight,
            }
            for one in self.estimates
        }
        return {"from_epoch": self.from_epoch, "to_epoch": self.to_epoch, "heads": heads, "flags": self.flags}


def blend(curves: Mapping[str, Curve], from_epoch: int, to_epoch: int, least: float = LEAST_OVERFITTING) -> Blend:
    """The weights by what the heads did between two epochs.

    least: an overfitting that is smaller counts as this. A head whose validation loss did not fall gets the weight 0.
    Raises UsageError for an epoch without losses, VmzError where no head generalises.
    """
    if from_epoch >= to_epoch:
        raise UsageError(f"the first checkpoint, epoch {from_epoch}, must come before the second, epoch {to_epoch}")
    found = {head: _changes(head, curve, from_epoch, to_epoch) for head, curve in curves.items()}
    raw = {head: max(gain, 0.0) / max(abs(excess), least) ** 2 for head, (excess, gain) in found.items()}
    total = sum(raw.values())
    if not total > 0:
        raise VmzError(
            f"no head generalises between epochs {from_epoch} and {to_epoch}: their test losses do not fall; give "
            "checkpoints from before the networks overfit"
        )
    return Blend(from_epoch, to_epoch, [Estimate(head, *found[head], raw[head] / total) for head in curves])


def _changes(head: str, curve: Curve, from_epoch: int, to_epoch: int) -> tuple[float, float]:
    """(O, G)."""
    for epoch in (from_epoch, to_epoch):
        if epoch not in curve:
            tested = ", ".join(str(one) for one in sorted(curve)) or "none"
            raise UsageError(
                f"epoch {epoch} has no training and test loss of the {head} head; those that have: {tested}"
            )
    (train, test), (later_train, later_test) = curve[from_epoch], curve[to_epoch]
    return (later_test - later_train) - (test - train), test - later_test


def super_epochs(curves: Mapping[str, Curve], every: int, least: float = LEAST_OVERFITTING) -> list[Blend]:
    """The online variant: weights anew every so many epochs, each by what happened in those before."""
    last = min(max(curve) for curve in curves.values())
    ends = range(every, last + 1, every)
    if not ends:
        raise UsageError(f"there are losses of {last} epochs, fewer than the {every} of a super-epoch")
    return [blend(curves, end - every, end, least) for end in ends]


def last_common_epoch(curves: Mapping[str, Curve]) -> int:
    """The last one that has losses of all heads."""
    return max(set.intersection(*(set(curve) for curve in curves.values())))


def curves_of_blended(path: Path) -> dict[str, Curve]:
    """The three heads' of one training with --g_blend=1. Raises UsageError for a file of another training."""
    result = _read(path)
    found: dict[str, Curve] = {}
    for head in HEADS:
        curve = {0: _chance(result)}
        for epoch in result["epochs"]:
            losses = [(epoch.get(key) or {}).get(head, {}).get("loss") for key in ("heads", "test_heads")]
            if None not in losses:
                curve[epoch["epoch"]] = (losses[0], losses[1])
        if len(curve) == 1:
            raise UsageError(
                f"{path} has no training and test losses of the {head} head; give the --output of train_net with "
                "--g_blend=1 and --test_data, or one of each network by --audio, --visual and --joint"
            )
        found[head] = curve
    return found


def curve_of_one(path: Path) -> Curve:
    """The curve of a training of a network with one head."""
    result = _read(path)
    curve = {0: _chance(result)}
    for epoch in result["epochs"]:
        losses = epoch.get("loss"), epoch.get("test_loss")
        if None not in losses:
            curve[epoch["epoch"]] = losses
    if len(curve) == 1:
        raise UsageError(f"{path} has no epoch with a training and a test loss; train with --test_data")
    return curve


def _read(path: Path) -> Any:
    remedy = "give what train_net wrote with --output"
    return read_json(path, str(path), _FORM, remedy=remedy)


def _chance(result: Mapping[str, Any]) -> tuple[float, float]:
    """The losses of a network that knows nothing."""
    options = result["options"]
    loss = math.log(2 if options["multi_label"] else max(options["num_labels"], 1))
    return loss, loss
