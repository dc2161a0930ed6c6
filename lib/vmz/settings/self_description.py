"""What a checkpoint says about itself: how it was tested, the names of its classes, and what its blobs show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from vmz.checkpoints.evidence import Fact, facts
from vmz.checkpoints.loading import Checkpoint
from vmz.errors import UsageError, VmzError
from vmz.layouts.loading import load
from vmz.settings.epoch_evaluation import EpochTestSettings
from vmz.settings.network import NetworkSettings
from vmz.settings.reader import AggregationSettings, ReaderSettings, ViewSettings
from vmz.settings.setting import settings_of
from vmz.text import cut, printable, quoted

_CHECKED = settings_of(NetworkSettings, ReaderSettings, ViewSettings, EpochTestSettings, AggregationSettings)


@dataclass(frozen=True)
class SelfDescription:
    """What a file of weights, or the folder of a model, tells of its network and its clips.

    protocol: flags of test_net that repeat training's own evaluation, or those of a model as it was saved; {} for a
    foreign file. fast: what is to be set in their place for one centre crop, where a saved model had the fully
    convolutional head. saved: by model.save, not by a training. origin: what else model.save has written down.
    """

    path: str
    protocol: Mapping[str, Any] = field(default_factory=dict)
    labels: Optional[tuple[str, ...]] = None
    facts: tuple[Fact, ...] = ()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    tested_batches: int = 0  # training's evaluation stopped after so many; 0: it saw the whole database
    fast: Mapping[str, Any] = field(default_factory=dict)
    saved: bool = False
    features_only: bool = False
    origin: Mapping[str, Any] = field(default_factory=dict)
    metrics: Optional[Mapping[str, Any]] = None

    def settings(self, fast: bool = False) -> Mapping[str, Any]:
        """`protocol`, with one centre crop where that is what is wanted."""
        return {**self.protocol, **self.fast} if fast else self.protocol

    def shape_text(self, blob: str) -> str:
        """The shape of a blob, such as 64x3x3x7x7, in brackets."""
        return f"({'x'.join(map(str, self.shapes.get(blob, ())))})"


def read_description(path: str, db_type: Optional[str] = None, eps: Optional[float] = None) -> SelfDescription:
    """Read a file, whoever wrote it. Raises UsageError for an unknown format, VmzError for a damaged file."""
    return described(load(path, db_type, eps))


def described(found: Checkpoint) -> SelfDescription:
    """The same of a file that was read. Raises VmzError for stored settings that the tools would not take."""
    path, about = found.path, found.about
    saved = about.get("saved")
    labels = about.get("labels")
    batches = 0
    if saved is not None:
        protocol, fast = (_checked(path, saved.get(name, {}), known_only=True) for name in ("settings", "fast"))
    else:
        options = about.get("protocol") or about.get("run", {}).get("options") or {}
        checked, fast = _checked(path, options), {}
        batches = checked.pop("test_num_iter", 0)
        protocol = evaluation_protocol(checked)
    known = isinstance(labels, list) and labels and all(isinstance(name, str) for name in labels)
    return SelfDescription(
        path=path,
        protocol=protocol,
        fast=fast,
        saved=saved is not None,
        features_only=found.features_only,
        origin={name: value for name, value in (saved or {}).items() if name not in ("settings", "fast")},
        metrics=about.get("metrics"),
        labels=tuple(labels) if known and labels else None,
        facts=tuple(facts(found.blobs)),
        shapes={name: tuple(array.shape) for name, array in found.blobs.items()},
        tested_batches=int(batches or 0),
    )


def evaluation_protocol(options: Mapping[str, Any]) -> dict[str, Any]:
    """The flags of test_net that the evaluation after an epoch means, from those of train_net; {} from none."""
    if not options:
        return {}
    views = {"clip_per_video": options.get("test_clip_per_video"), "crop_per_clip": 1, "aggregation": 0}
    return {**options, **{flag: value for flag, value in views.items() if value is not None}}


def _checked(path: str, options: Any, known_only: bool = False) -> dict[str, Any]:
    """The stored flags that decide a test. known_only: there are no others, as of a training.

    Raises VmzError for a value that the tools would not take.
    """
    if not isinstance(options, Mapping):
        raise VmzError(f"{path} is damaged: its protocol is {quoted(options)}, not flags and their values")
    found: dict[str, Any] = {}
    for name, value in options.items():
        flag = _CHECKED.get(name)
        if flag is None and known_only:
            raise VmzError(
                f"{path} has the setting {quoted(name)}, which this version of VMZ does not know; update VMZ, or "
                "correct its name"
            )
        if flag is None or value is None:
            continue
        try:
            found[name] = flag.checked(name, value)
        except UsageError as error:
            given = cut(printable(value)) if isinstance(value, str) else quoted(value)
            raise VmzError(
                f"{path} is damaged: its protocol has --{name}={given}, which is not one of its values; give --{name}"
            ) from error
    return found
