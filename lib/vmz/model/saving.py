"""A model as a file of weights or a folder that every tool loads again, with all that it knows of itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Optional, Protocol, Union

import numpy as np

from vmz import zoo
from vmz.checkpoints.folders import check_folder, save_folder, warn
from vmz.checkpoints.loading import ending_type, save
from vmz.errors import UsageError, VmzError
from vmz.model.card import Card
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.netdef.video_outputs import OPTICAL_FLOW, RGB
from vmz.outputs import Output, in_progress
from vmz.settings.model import ModelSettings
from vmz.settings.resolution import TESTING, idle_settings
from vmz.settings.setting import settings_of
from vmz.zoo.labels import labels_of

# What a model has that is no matter of its own: printing, and what its size asks of the machine.
_NOT_ITS_OWN = {"top_k", "batch_size", "crop_per_inference"}
FLAGS = tuple(name for name in settings_of(ModelSettings) if name in TESTING.takes and name not in _NOT_ITS_OWN)
FILES = ".pkl, .mdl, .safetensors or .pth"


class Saveable(Protocol):
    """What is saved: VideoModel or EngineModel."""

    config: ModelConfig
    settings: Optional[ModelSettings]
    labels: Optional[tuple[str, ...]]
    source: str
    features_only: bool

    def weights(self) -> dict[str, np.ndarray]:
        """{blob: float32 array}."""


def save_model(model: Saveable, path: Union[str, Path]) -> None:
    """Write `model` as `Predictor.save` says."""
    kind = check_target(path)
    weights = model.weights()
    about = description_of(model, weights)
    if kind is None:
        warn(save_folder(path, weights, about, Card.of(str(path), about, weights).markdown()))
        return
    with in_progress(Output("the model", path)):
        save(path, weights, kind, about)


def check_target(path: Union[str, Path]) -> Optional[str]:
    """The format of the file that a model is saved as, None for a folder. UsageError where it can be saved as neither.

    A path without an extension is that of a folder, as is one that ends in "/" or is a folder already.
    """
    text = os.fspath(path)
    kind = ending_type(text)
    if text.endswith(os.sep) or os.path.isdir(text) or not Path(text).suffix:
        check_folder(text)
        return None
    if kind is None:
        raise UsageError(
            f"cannot save a model as {text}: the extension must be {FILES}; for a folder end the name with '/'"
        )
    return kind


def description_of(model: Saveable, weights: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What a saved model says about itself, as JSON (see `checkpoints.about`)."""
    settings = _settings(model)
    origin, metrics = _origin(model, weights)
    row = _row(model)
    fast = _fast(model, row, settings)
    names = labels_of(row) if row is not None else None
    if model.labels is not None and names is not None and names.names == model.labels:
        origin["labels_source"] = names.source
    saved: dict[str, Any] = {
        "settings": settings,
        **({"fast": fast} if fast else {}),
        "features_only": model.features_only,
        "source": model.source or None,
        **origin,
    }
    return {
        "saved": saved,
        **({"labels": list(model.labels)} if model.labels is not None else {}),
        **({"metrics": metrics} if metrics else {}),
    }


def _settings(model: Saveable) -> dict[str, Any]:
    """Flags of test_net. The network's are those of the configuration: it has the last word."""
    config = asdict(model.config)
    known = model.settings.flags() if model.settings is not None else {}
    kind = known.get("input_type", RGB)
    length, idle = "clip_length_of" if kind == OPTICAL_FLOW else "clip_length_rgb", idle_settings(kind)
    network = {name: int(value) if isinstance(value, bool) else value for name, value in config.items()}
    network[length] = network.pop("clip_length")
    found = {name: network.get(name, known.get(name)) for name in FLAGS if name in network or name in known}
    return {name: value for name, value in found.items() if value is not None and name not in idle}


def _row(model: Saveable) -> Optional[zoo.ZooRow]:
    resolution = model.settings.resolution if model.settings is not None else None
    return resolution.row if resolution is not None else None


def _fast(model: Saveable, row: Optional[zoo.ZooRow], settings: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be set for one centre crop and the head that trains, of a model with the fully convolutional one."""
    if not model.config.use_convolutional_pred:
        return {}
    resolution = model.settings.resolution if model.settings is not None else None
    if row is None:
        known = resolution.checkpoint if resolution is not None else None
        return dict(known.fast) if known is not None else {}
    wanted = {**zoo.protocol_flags(row, zoo.FAST), "use_convolutional_pred": 0}
    return {
        name: value
        for name, value in wanted.items()
        if name in settings and value is not None and value != settings[name]
    }


def _origin(model: Saveable, weights: Mapping[str, np.ndarray]) -> tuple[dict[str, Any], Optional[Mapping[str, Any]]]:
    """(whose weights they are, the figures of their training), as far as they are still the weights of the file.

    So the file is read again: figures of a published model are not those of what somebody has trained on.
    """
    settings, row = model.settings, _row(model)
    resolution = settings.resolution if settings is not None else None
    known = resolution.checkpoint if resolution is not None else None
    name = row.name if row is not None else None
    before = known.origin if known is not None else {}
    published = name or before.get("published")
    same = settings is not None and not model.features_only and _unchanged(model, settings, weights)
    if same:
        kept = {
            key: before[key] for key in ("initialised_from", "labels_source", "licence", "paper") if before.get(key)
        }
        facts = zoo.facts(row) if row is not None else {}
        return {**kept, **facts, **({"published": published} if published else {})}, known.metrics if known else None
    parent = published or before.get("initialised_from")
    return ({"initialised_from": parent} if parent else {}), None


def _unchanged(model: Saveable, settings: ModelSettings, weights: Mapping[str, np.ndarray]) -> bool:
    """Whether the weights are those of the file that they were loaded from."""
    if not settings.load_model_path:
        return False
    try:
        wanted = build(model.config, is_test=True, scope="")
        found, _ = settings.fitted(settings.read(), wanted, new_head=True)
    except VmzError:  # it is gone, or another one by now
        return False
    return found.keys() == weights.keys() and all(np.array_equal(found[blob], weights[blob]) for blob in found)
