"""From the name of a published model, or a file of weights, to a model that scores videos."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy as np

from vmz import zoo
from vmz.engines.precisions import FP32, INFERENCE
from vmz.errors import UsageError
from vmz.model.engine_model import EngineModel
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.settings.model import ModelSettings
from vmz.settings.network import model_config
from vmz.zoo.labels import labels_of

if TYPE_CHECKING:
    from vmz.model.module import VideoModel

PUBLISHED, PLAIN = HEADS = ("published", "plain")


def load_model(
    name_or_path: Union[str, os.PathLike[str]],
    *,
    num_classes: Optional[int] = None,
    clip_length: Optional[int] = None,
    crop_size: Optional[int] = None,
    head: str = PUBLISHED,
    engine: str = "pytorch",
    device: str = "auto",
    precision: str = FP32,
    **settings: Any,
) -> Union[VideoModel, EngineModel]:
    """A model with its weights, class names and the settings of its clips.

    name_or_path: the name of a published model (vmz.list_models), which is fetched where it is not in the cache; a file
    of weights: .pkl, .mdl, .pth or .safetensors, also of another library, whose layout its keys tell; where such a file
    does not say the epsilon of its batch norms, give eps, such as 1e-5 (see vmz.convert); a folder that model.save
    wrote; or "hf-hub:org/name", "hf-hub:org/name@revision", such a folder on the Hugging Face Hub, which is fetched
    once. num_classes: another number than published gives a new classifier, 0 none. head: "published" as the model was
    tested (fully convolutional for CSN), "plain" one that trains. engine: "pytorch" gives a VideoModel, a module of
    PyTorch, "caffe2" an EngineModel. precision: in which it runs forward, "fp32", "bf16" (about twice as fast where the
    processor has it), on a GPU also "tf32" or "fp16"; scores are float32. settings: flags of test_net, such as
    clip_per_video.

    What is not given comes from the checkpoint and the published model, as test_net takes it; a setting that differs
    from those of the training is a warning. Raises UsageError for an unknown name or setting, VmzError for a file that
    is damaged, or of another network.

    >>> model = load_model("models_zoo/demo/motion_r2plus1d_10.pkl")
    >>> model.clip_shape
    (3, 8, 112, 112)
    """
    zoo.use_manifests(settings.get("zoo_manifest"))
    given = {**settings, "engine": engine, "device": device, "precision": precision, **_source(name_or_path)}
    given.update({"crop_size": crop_size} if crop_size is not None else {})
    if head not in HEADS:
        raise UsageError(f"unknown head {head!r}; choose from: {', '.join(HEADS)}")
    if head == PLAIN or num_classes is not None:
        given.setdefault("use_convolutional_pred", 0)
    rgb = {} if clip_length is None else {"clip_length_rgb": clip_length}
    resolved = ModelSettings.resolved(**given, **rgb)
    if clip_length is not None and resolved.sees_flow:
        resolved = ModelSettings.resolved(**given, clip_length_of=clip_length)
    return model_of(resolved, num_classes)


def model_of(settings: ModelSettings, num_classes: Optional[int] = None) -> Union[VideoModel, EngineModel]:
    """The model that resolved settings describe."""
    if settings.resolution is not None and settings.resolution.differences:
        warnings.warn(
            f"not {settings.resolution.reference}: {', '.join(settings.resolution.differences)}",
            stacklevel=3,
        )
    if num_classes is None and _has_no_classifier(settings):
        num_classes = 0
    if settings.engine == "pytorch":
        return module_of(settings, num_classes=num_classes)
    config, weights, labels = parts_of(settings, num_classes)
    settings = replace(settings, num_labels=config.num_labels)
    return EngineModel(config, weights, settings, labels, source_of(settings), features_only=num_classes == 0)


def _has_no_classifier(settings: ModelSettings) -> bool:
    """Whether the weights are of a model that was saved without one."""
    known = settings.resolution.checkpoint if settings.resolution is not None else None
    return known is not None and known.features_only


def module_of(settings: ModelSettings, random: bool = False, num_classes: Optional[int] = None) -> VideoModel:
    """The same on PyTorch, whatever the engine that the settings name. random: without a file of weights."""
    from vmz.engines.torch_engine.devices import checked_device
    from vmz.engines.torch_engine.precision import check_precision
    from vmz.model.module import VideoModel
    from vmz.settings.engine import device_name

    device = checked_device(device_name(settings))
    check_precision(settings.precision, device, INFERENCE)
    config, weights, labels = parts_of(settings, num_classes, random)
    model = VideoModel(
        config,
        weights,
        settings=replace(settings, num_labels=config.num_labels),
        labels=labels,
        source=source_of(settings),
        features_only=num_classes == 0,
        seed=settings.seed,
    )
    return model.to(device)


Parts = tuple[ModelConfig, Optional[Mapping[str, np.ndarray]], Optional[Sequence[str]]]


def parts_of(settings: ModelSettings, num_classes: Optional[int] = None, random: bool = False) -> Parts:
    """The network, its weights and the names of its classes. UsageError where no weights are named."""
    config, labels = model_config(settings, batch_size=-1), class_names(settings)
    if num_classes:
        config = replace(config, num_labels=num_classes, use_convolutional_pred=False, pred_layer_name=None)
        labels = labels if labels is not None and len(labels) == num_classes else None
    if settings.load_model_path is None:
        if random:
            return config, None, labels
        raise UsageError("no weights are given; name a published model with --zoo, or a file with --load_model_path")
    wanted = build(config, is_test=True, scope="")
    weights, _ = settings.fitted_weights(wanted, new_head=num_classes is not None)
    return config, weights, labels


def source_of(settings: ModelSettings) -> str:
    path = settings.load_model_path
    return os.path.basename(os.path.normpath(path)) if path else "random weights"


def class_names(settings: ModelSettings) -> Optional[Sequence[str]]:
    """The names of the classes: those in the file of weights, or of the published model's training data."""
    if settings.labels is not None:
        return settings.labels
    row = settings.resolution.row if settings.resolution is not None else None
    found = labels_of(row, settings.num_labels) if row is not None else None
    return found.names if found is not None else None


def _source(name_or_path: Union[str, os.PathLike[str]]) -> dict[str, Any]:
    path = zoo.local_path(os.fspath(name_or_path))
    if os.path.exists(path) or os.path.splitext(path)[1] or os.sep in path:
        return {"load_model_path": path}
    row = zoo.find(path)
    return {"zoo": row.name, "load_model_path": str(zoo.fetch(row))}
