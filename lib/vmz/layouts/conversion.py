"""Weights of VMZ as another library's state dict, and the other way, tensor by tensor; numpy in, numpy out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from vmz.checkpoints import loading
from vmz.checkpoints.values import check_values
from vmz.errors import UsageError, VmzError
from vmz.layouts.names import keys_of
from vmz.layouts.recognition import blobs_of, config_of, is_foreign, networks, plain_keys, recognise
from vmz.layouts.tables import EPSILON, LAYOUTS, Layout
from vmz.models.config import ModelConfig
from vmz.netdef.blob_names import first_of_each
from vmz.netdef.training_state import is_training_state
from vmz.text import counted, cut, printable, quoted

VMZ = "vmz"  # the layout of our own files: blob names
Weights = Union[str, Path, Mapping[str, Any], Any]
_SAME = 1e-9


@dataclass(frozen=True)
class Converted:
    """tensors: {key or blob: array}. layout: whose keys they are, "vmz" for blobs. network: as "r3d-18".

    eps: what the batch norms that use them must have. notes: what a person should know, in sentences. about: what the
    file said about itself (labels, protocol), with eps and layout where they are another library's.
    """

    tensors: dict[str, np.ndarray]
    layout: str
    network: str
    eps: float
    notes: tuple[str, ...]
    about: dict[str, Any]

    def save(self, path: Union[str, Path]) -> None:
        """Write them as .pth or .safetensors, blobs also as .pkl or .mdl. UsageError for another extension."""
        kind = loading.file_type(path)
        if self.layout != VMZ and kind in loading.CAFFE2_TYPES:
            raise UsageError(
                f"{path} would be a {kind}, which has blob names; name a state dict of {self.layout} *.pth or "
                "*.safetensors"
            )
        loading.save(path, self.tensors, kind, self.about or None)


def convert(weights: Weights, to: str, *, eps: float = EPSILON, source: str = "the network") -> Converted:
    """Weights of VMZ as the state dict of another library's module.

    weights: a file of any format and layout, a Checkpoint, {blob: array}, or a model that load_model gave. to: one of
    LAYOUTS. eps: of the module's batch norms. With 1e-3, which VMZ's networks have, the tensors are the blobs
    themselves; with another one the scales are changed, so that a module in evaluation mode computes the same with it.

    Raises UsageError for an unknown layout and, with the reason, for a network that the library does not have.

    >>> from vmz.checkpoints.seeded import seeded_weights
    >>> from vmz.models.registry import build
    >>> model = build(ModelConfig("r3d", 18, num_labels=400))
    >>> blobs = seeded_weights([*model.params, *model.computed_params])
    >>> found = convert(blobs, "torchvision")
    >>> len(found.tensors), found.eps, found.tensors["fc.weight"].shape
    (102, 0.001, (400, 512))
    """
    if to not in LAYOUTS:
        raise UsageError(f"unknown layout {quoted(to)}; choose from: {', '.join(LAYOUTS)}")
    _check_eps(eps)
    blobs, about, source, notes = _blobs_of(weights, source)
    config = config_of(blobs)
    if config is None:
        raise UsageError(f"{source} has no blobs of a residual network of VMZ, so that they have no place in {to}")
    layout = LAYOUTS[to]
    wanted = blobs_of(config)
    heads = [blob for blob in wanted if blob.startswith(f"{config.last_layer}_")]
    headless = not any(blob in blobs for blob in heads)
    if headless:
        wanted = {blob: shape for blob, shape in wanted.items() if blob not in heads}
    _refuse(config, layout, source, headless)
    arrays = _all_of(blobs, wanted, source, config)
    arrays = with_epsilon(arrays, EPSILON, eps)
    keys = keys_of(layout, config, arrays)
    if abs(eps - EPSILON) > _SAME:
        notes.append(f"the scales are for batch norms of eps {eps:g}")
    else:
        notes.append(f"set eps of the module's batch norms to {eps:g}" if layout.usual_epsilon != EPSILON else "")
    return Converted(
        tensors={keys[blob]: array for blob, array in arrays.items()},
        layout=to,
        network=_network(config),
        eps=eps,
        notes=tuple(note for note in notes if note),
        about={**about, "eps": eps, "layout": to},
    )


def convert_from(weights: Weights, *, eps: Optional[float] = None, source: str = "the state dict") -> Converted:
    """The state dict of another library's module as blobs of VMZ, for the networks of LAYOUTS.

    weights: a file (.pth, .pt, .safetensors), a Checkpoint, or {key: array or tensor}. Prefixes of wrappers (module.)
    and counters of batches are left out; every other tensor is used once. eps: of the module's batch norms, where
    neither the file nor the layout says it. Where it is 1e-3, tensors become blobs as they are; else the scales are
    changed, so that VMZ's networks, whose epsilon is 1e-3, compute the same.

    Raises UsageError for a layout or a network that is not convertible, and where the epsilon is not known, VmzError
    where keys are missing or left over.
    """
    state, about, source, notes = _state_of(weights, source)
    state = plain_keys(state)
    if not is_foreign(state):
        blobs, left = _without_training_state(state)
        config = config_of(blobs)
        network = _network(config) if config else "a network of unknown kind"
        return Converted(blobs, VMZ, network, EPSILON, (*notes, *left), about)
    found = recognise(state, source)
    layout = found.layout
    stated = about.get("eps")
    known = eps if eps is not None else stated if isinstance(stated, (int, float)) else layout.epsilon
    if known is None:
        raise UsageError(
            f"{source} is {_network(found.config)} in the layout of {layout.name}, but does not say the epsilon of its "
            f"batch norms; give --eps={layout.usual_epsilon:g} for modules as {layout.name} makes them, or "
            f"--eps={EPSILON:g} for those that were set to VMZ's (in Python eps=)"
        )
    _check_eps(known)
    blobs = {blob: np.asarray(state[key]) for blob, key in found.keys.items()}
    check_values(source, blobs)
    blobs = with_epsilon(blobs, known, EPSILON)
    if abs(known - EPSILON) > _SAME:
        notes.append(f"scales changed from batch norms of eps {known:g} to {EPSILON:g}")
    if not found.classifier:
        notes.append("there is no classifier in it")
    about = {name: value for name, value in about.items() if name not in ("eps", "layout")}
    return Converted(blobs, VMZ, _network(found.config), EPSILON, (f"layout of {layout.name}", *notes), about)


def with_epsilon(blobs: Mapping[str, np.ndarray], have: float, want: float) -> dict[str, np.ndarray]:
    """Blobs for batch norms of epsilon `have`, changed for those of `want`: scale / sqrt(variance + epsilon) stays."""
    if abs(have - want) <= _SAME:
        return dict(blobs)
    found = dict(blobs)
    for name, variance in blobs.items():
        if name.endswith("_riv"):
            scale = f"{name[: -len('riv')]}s"
            ratio = np.sqrt((variance.astype(np.float64) + want) / (variance.astype(np.float64) + have))
            found[scale] = (blobs[scale] * ratio).astype(blobs[scale].dtype)
    return found


def _check_eps(eps: float) -> None:
    if not isinstance(eps, (int, float)) or isinstance(eps, bool) or not 0 < eps <= 1:
        raise UsageError(f"eps is {quoted(eps)}, but the epsilon of a batch norm is more than 0 and at most 1")


def _network(config: ModelConfig) -> str:
    return f"{config.model_name}-{config.model_depth}"


def _blobs_of(weights: Weights, source: str) -> tuple[dict[str, np.ndarray], dict[str, Any], str, list[str]]:
    """Blobs without training state, what the file says of itself, its name, notes."""
    own = getattr(weights, "weights", None)
    if callable(own):  # of VideoModel, EngineModel
        return dict(own()), {}, getattr(weights, "source", "") or source, []
    if isinstance(weights, Mapping):
        about, blobs = {}, {name: _array(array) for name, array in weights.items()}
    else:
        found = weights if isinstance(weights, loading.Checkpoint) else loading.load(weights)
        if is_foreign(found.blobs):
            ours = convert_from(found)
            return ours.tensors, ours.about, found.path, list(ours.notes)
        source, about, blobs = found.path, found.about, found.blobs
    kept, left = _without_training_state(first_of_each(blobs))
    return kept, dict(about), source, left


def _without_training_state(blobs: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    kept = {name: array for name, array in blobs.items() if not is_training_state(name)}
    left = len(blobs) - len(kept)
    return kept, [f"{counted(left, 'blob')} of training state left out"] if left else []


def _state_of(weights: Weights, source: str) -> tuple[dict[str, Any], dict[str, Any], str, list[str]]:
    if isinstance(weights, Mapping):
        return {name: _array(array) for name, array in weights.items()}, {}, source, []
    found = weights if isinstance(weights, loading.Checkpoint) else loading.load(weights)
    others = [f"left out: {', '.join(cut(printable(name), 40) for name in found.others)}"] if found.others else []
    return dict(found.blobs), dict(found.about), found.path, others


def _array(value: Any) -> np.ndarray:
    """An array of a tensor too, wherever it is."""
    return value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)


def _refuse(config: ModelConfig, layout: Layout, source: str, headless: bool) -> None:
    """Raise UsageError, with the reason, where the library's modules cannot compute the network."""
    network = _network(config)
    if config.model_name == "r2plus1d" and layout.name == "torchvision":
        raise UsageError(
            f"{source} is {network}, which torchvision does not have: its R(2+1)D computes the middle width of the "
            "convolutions once a block, VMZ once a convolution (layer2.0.conv2 has 230 channels there, 288 here); "
            "choose --to=ig65m or --to=original-pytorch"
        )
    if not layout.has(config.model_name, config.model_depth):
        reason = "; bottlenecks of depth 26 are as wide outside as inside" if config.model_depth == 26 else ""
        raise UsageError(f"{source} is {network}, which {layout.of} cannot compute{reason}; it has {networks(layout)}")
    plain = ModelConfig(model_name=config.model_name, model_depth=config.model_depth)
    for name in ("channel_multiplier", "bottleneck_multiplier", "conv1_temporal_kernel", "num_channels", "multi_label"):
        have, usual = getattr(config, name), getattr(plain, name)
        if have != usual:
            raise UsageError(
                f"{source} is {network} with {name}={have:g}, but {layout.of} has only networks with {name}={usual:g}"
            )
    if headless and not layout.trunk_alone:
        raise UsageError(f"{source} has no classifier, but {layout.of} has one; {config.last_layer}_w is missing")


def _all_of(
    blobs: Mapping[str, np.ndarray], wanted: Mapping[str, tuple[int, ...]], source: str, config: ModelConfig
) -> dict[str, np.ndarray]:
    """Every blob of the network in its shape, and none beside. VmzError that names what is not so."""
    missing = [name for name in wanted if name not in blobs]
    left = [name for name in blobs if name not in wanted]
    if missing or left:
        said = [
            f"{words}: {', '.join(cut(printable(name)) for name in names[:4])}{' and more' if len(names) > 4 else ''}"
            for words, names in (("missing", missing), ("left over", left))
            if names
        ]
        raise VmzError(f"{source} has not just the blobs of {_network(config)}; {'; '.join(said)}")
    found = {}
    for name, shape in wanted.items():
        array = np.asarray(blobs[name])
        if array.shape != shape and tuple(one for one in array.shape if one != 1) != tuple(s for s in shape if s != 1):
            raise VmzError(f"{source}: blob {name} is {array.shape}, but {shape} in {_network(config)}")
        found[name] = array.reshape(shape)  # the classifier of a fully convolutional head is 1x1x1
    return found
