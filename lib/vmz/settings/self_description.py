"""What a checkpoint says about itself: how training tested it, the names of its classes, and what its blobs show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from vmz.checkpoints.evidence import Fact, facts
from vmz.errors import UsageError, VmzError
from vmz.layouts.loading import load
from vmz.settings.epoch_evaluation import EpochTestSettings
from vmz.settings.network import NetworkSettings
from vmz.settings.reader import ReaderSettings, ViewSettings
from vmz.settings.setting import settings_of
from vmz.text import cut, printable, quoted

_CHECKED = settings_of(NetworkSettings, ReaderSettings, ViewSettings, EpochTestSettings)


@dataclass(frozen=True)
class SelfDescription:
    """What a file of weights tells of its network and its training.

    protocol: flags of test_net that repeat training's own evaluation, {} for a foreign file.
    """

    path: str
    protocol: Mapping[str, Any] = field(default_factory=dict)
    labels: Optional[tuple[str, ...]] = None
    facts: tuple[Fact, ...] = ()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    tested_batches: int = 0  # training's evaluation stopped after so many; 0: it saw the whole database

    def shape_text(self, blob: str) -> str:
        """The shape of a blob, such as 64x3x3x7x7, in brackets."""
        return f"({'x'.join(map(str, self.shapes.get(blob, ())))})"


def read_description(path: str, db_type: Optional[str] = None, eps: Optional[float] = None) -> SelfDescription:
    """Read a file, whoever wrote it. Raises UsageError for an unknown format, VmzError for a damaged file."""
    found = load(path, db_type, eps)
    about = found.about
    options = about.get("protocol") or about.get("run", {}).get("options") or {}
    labels = about.get("labels")
    checked = _checked(path, options)
    batches = checked.pop("test_num_iter", 0)
    known = isinstance(labels, list) and labels and all(isinstance(name, str) for name in labels)
    return SelfDescription(
        path=path,
        protocol=evaluation_protocol(checked),
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


def _checked(path: str, options: Any) -> dict[str, Any]:
    """The stored flags that decide a test. Raises VmzError for a value that the tools would not take."""
    if not isinstance(options, Mapping):
        raise VmzError(f"{path} is damaged: its protocol is {quoted(options)}, not flags and their values")
    found: dict[str, Any] = {}
    for name, value in options.items():
        flag = _CHECKED.get(name)
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
