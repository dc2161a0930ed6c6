"""Whose state dict it is, and which of our networks: told by the keys, then by the shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from vmz.checkpoints.evidence import facts
from vmz.errors import UsageError, VmzError
from vmz.layouts.names import keys_of
from vmz.layouts.tables import LAYOUTS, Layout
from vmz.models.blocks import factorised_width
from vmz.models.config import ModelConfig
from vmz.models.families import BLOCKS_PER_STAGE
from vmz.models.registry import build
from vmz.netdef.training_state import is_training_state
from vmz.text import counted, cut, printable

Shape = tuple[int, ...]
PREFIXES = ("module.", "_orig_mod.", "model.")  # of DistributedDataParallel, torch.compile, and of a module that has it
COUNTER = "num_batches_tracked"  # of PyTorch's batch norms: how many batches made the statistics; nothing of ours
_STRUCTURES = ("r3d", "r2plus1d", "ir-csn", "ip-csn")  # of the keys: mcX has those of r3d
_MARKS: Mapping[str, str] = {  # a key that all state dicts of a table have
    "stem.0.weight": "torchvision",
    "blocks.0.conv.weight": "pytorchvideo",
    "backbone.conv1.conv.weight": "mmaction2",
}
_BLOCKS = {
    "torchvision": r"layer([1-4])\.(\d+)\.",
    "pytorchvideo": r"blocks\.([1-4])\.res_blocks\.(\d+)\.",
    "mmaction2": r"backbone\.layer([1-4])\.(\d+)\.",
}
_DEEP = {"torchvision": r".*\.conv3\..*", "pytorchvideo": r".*\.conv_c\..*", "mmaction2": r".*\.conv3\..*"}
# {a key that tells: why it cannot be}
_OTHERS = {
    r"(backbone\.)?conv1\.conv\.conv_s\.weight": "mmaction2's R(2+1)D, whose stem is 83 channels wide, not 45",
    r"blocks\.\d+\.res_blocks\.\d+\.branch2\.conv_b\.conv_(xy|t)\.weight": "pytorchvideo's create_r2plus1d, whose "
    "first layer is not factorised and whose bottlenecks have other widths",
    r"multipathway_blocks\..*|blocks\.\d+\.multipathway_.*": "a SlowFast network of pytorchvideo",
    r"(backbone\.)?(fast|slow)_path\..*": "a SlowFast network of mmaction2",
    r"layer1\.0\.conv1\.weight": "a ResNet of images or one whose blocks have no sequences inside",
}


@dataclass(frozen=True)
class Found:
    """A recognised state dict. keys: {blob: key}, each key once. config: of the network, with its own widths.

    classifier: whether it has one; without it `num_labels` of the configuration means nothing.
    """

    layout: Layout
    config: ModelConfig
    keys: dict[str, str]
    classifier: bool


def is_foreign(names: Mapping[str, Any]) -> bool:
    """Whether names are those of PyTorch's modules, not of blobs: these have no dots."""
    return any("." in name for name in names)


def plain_keys(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict without the prefixes that wrappers of a module put before all keys, and without batch counters.

    mmaction2's backbone alone gets the prefix that it has within a recogniser.
    """
    state = dict(state)
    while True:
        prefix = next((one for one in PREFIXES if state and all(key.startswith(one) for key in state)), None)
        if prefix is None:
            break
        state = {key[len(prefix) :]: value for key, value in state.items()}
    state = {key: value for key, value in state.items() if key.rpartition(".")[2] != COUNTER}
    if "conv1.conv.weight" in state and any(key.startswith("layer1.0.conv1.conv.") for key in state):
        state = {f"backbone.{key}": value for key, value in state.items()}
    return state


def recognise(state: Mapping[str, Any], source: str) -> Found:
    """The layout and network of a state dict as `plain_keys` gives it: {key: anything with a shape}.

    source: the file, for messages. Raises UsageError for one of no layout, or of a network that ours cannot compute,
    VmzError where keys are missing or left over, or a shape is another one; all name what it is.
    """
    table = next((name for key, name in _MARKS.items() if key in state), None)
    other = next((why for pattern, why in _OTHERS.items() if any(re.fullmatch(pattern, key) for key in state)), None)
    if other is not None or table is None:
        what = f"it is {other}" if other else f"it has {_some(state)}"
        known = "; ".join(f"{layout.name}: {layout.of}" for layout in LAYOUTS.values())
        raise UsageError(f"{source} is a state dict of no layout that VMZ converts ({what}); known are {known}")
    layout = LAYOUTS[table]
    depth = _depth(state, table, source)
    structure, keys = _closest(state, layout, depth)
    classifier = layout.names["classifier"]
    headless = f"{classifier}.weight" not in state and f"{classifier}.bias" not in state
    if headless and layout.trunk_alone:
        keys = {blob: key for blob, key in keys.items() if not key.startswith(f"{classifier}.")}
    owner = next(one for one in _alike(layout) if one.has(structure, depth))
    _check_keys(state, keys, source, f"{structure}-{depth} in the layout of {owner.name}")
    keys = _named(keys, state, classifier)
    shapes = {blob: tuple(state[key].shape) for blob, key in keys.items()}
    config = _config(shapes)
    if config is None:
        raise UsageError(
            f"{source} has the keys of {layout.of}, but no network of VMZ has its shapes: its first convolution is "
            f"{_shape(shapes[next(iter(shapes))])}"
        )
    layout = _that_has(config, layout)
    if not layout.has(config.model_name, config.model_depth):
        raise UsageError(
            f"{source} has the keys of {layout.of}, but the shapes of {config.model_name}-{config.model_depth}, which "
            f"that does not compute; known are {networks(layout)}"
        )
    _check_shapes(state, keys, config, source, layout)
    return Found(layout, config, keys, not headless)


def networks(layout: Layout) -> str:
    """The networks of a layout, for people."""
    return ", ".join(f"{name} of {', '.join(map(str, depths))} layers" for name, depths in layout.networks.items())


def config_of(blobs: Mapping[str, Any]) -> Optional[ModelConfig]:
    """The network that blobs, named without scope, are of; None where they are of none. Clips are not told by them."""
    shapes = {name: tuple(array.shape) for name, array in blobs.items() if not is_training_state(name)}
    return _config(shapes)


def _depth(state: Mapping[str, Any], table: str, source: str) -> int:
    """The number of layers, of the blocks in each stage and whether they are bottlenecks."""
    blocks: dict[int, set[int]] = {}
    for key in state:
        found = re.match(_BLOCKS[table], key)
        if found:
            blocks.setdefault(int(found[1]), set()).add(int(found[2]))
    counts = tuple(max(blocks.get(stage, {-1})) + 1 for stage in (1, 2, 3, 4))
    deep = any(re.fullmatch(_DEEP[table], key) for key in state)
    for depth, per_stage in BLOCKS_PER_STAGE.items():
        if per_stage == counts and (depth >= 50) == deep and depth != 26:
            return depth
    raise VmzError(
        f"{source} has {', '.join(map(str, counts))} blocks in its four stages, which no network of VMZ has; is part "
        "of the file missing?"
    )


def _closest(state: Mapping[str, Any], layout: Layout, depth: int) -> tuple[str, dict[str, str]]:
    """The structure whose keys are most like those of `state`, and {blob: key} of it. Of equal ones, as an R3D and an
    ir-CSN with bottlenecks are, the one with more of its shapes.
    """
    found: list[tuple[int, int, str, dict[str, str]]] = []
    for name in _STRUCTURES:
        if not any(one.has(name, depth) for one in _alike(layout)):
            continue
        config = ModelConfig(model_name=name, model_depth=depth)
        shapes = blobs_of(config)
        keys = keys_of(layout, config, shapes)
        others = sum(tuple(state[key].shape) != shapes[blob] for blob, key in keys.items() if key in state)
        found.append((len(set(keys.values()) ^ set(state)), others, name, keys))
    return min(found, key=lambda one: one[:2])[2:]


def blobs_of(config: ModelConfig) -> dict[str, Shape]:
    """{blob without scope: shape} of all parameters and running statistics of a network."""
    model = build(config, is_test=True, scope="")
    return {blob: tuple(shape) for blob, shape in [*model.params, *model.computed_params]}


def _check_keys(state: Mapping[str, Any], keys: Mapping[str, str], source: str, what: str) -> None:
    missing = [key for key in keys.values() if key not in state]
    left = sorted(set(state) - set(keys.values()))
    if missing or left:
        said = [f"{words}: {_some(names)}" for words, names in (("missing", missing), ("left over", left)) if names]
        raise VmzError(f"{source} has not just the keys of {what}; {'; '.join(said)}")


def _config(shapes: Mapping[str, Shape]) -> Optional[ModelConfig]:
    told = {fact.flag: fact.value for fact in facts(_shaped(shapes)) if fact.known}
    names = (
        "model_name", "model_depth", "channel_multiplier", "bottleneck_multiplier", "conv1_temporal_kernel",
        "num_channels", "num_labels", "pred_layer_name", "multi_label",
    )  # fmt: skip
    if "model_name" not in told:
        return None
    arguments = {name: told[name] for name in names if told.get(name) is not None}
    try:
        return ModelConfig(**arguments)
    except UsageError:
        return None


def _shaped(shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """Arrays of these shapes that take no memory."""
    return {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}


def _that_has(config: ModelConfig, layout: Layout) -> Layout:
    """Of the layouts with these names the first that has the network."""
    return next((one for one in _alike(layout) if one.has(config.model_name, config.model_depth)), layout)


def _alike(layout: Layout) -> list[Layout]:
    """The layouts with these names."""
    return [one for one in LAYOUTS.values() if one.names is layout.names]


def _named(keys: Mapping[str, str], state: Mapping[str, Any], classifier: str) -> dict[str, str]:
    """The same keys by the blobs of the network itself: its classifier has the number of labels in its name."""
    shape = tuple(getattr(state.get(f"{classifier}.bias"), "shape", ()))
    if len(shape) != 1:
        return dict(keys)
    default, own = ModelConfig().last_layer, f"last_out_L{shape[0]}"
    return {
        f"{own}{blob[len(default) :]}" if key.startswith(f"{classifier}.") else blob: key for blob, key in keys.items()
    }


def _check_shapes(
    state: Mapping[str, Any], keys: Mapping[str, str], config: ModelConfig, source: str, layout: Layout
) -> None:
    wanted = blobs_of(config)
    wrong = [blob for blob, key in keys.items() if tuple(state[key].shape) != wanted.get(blob)]
    if not wrong:
        return
    key, have, want = keys[wrong[0]], tuple(state[keys[wrong[0]]].shape), wanted.get(wrong[0], ())
    if config.model_name == "r2plus1d" and _once_a_block(state):
        raise UsageError(
            f"{source} is torchvision's own R(2+1)D, which computes the middle width of its convolutions once a block, "
            f"VMZ once a convolution: {len(wrong)} shapes differ, such as {key}, {_shape(have)} there and "
            f"{_shape(want)} here; it is another network. ig65m-pytorch's r2plus1d_34 is convertible"
        )
    raise VmzError(
        f"{source} has {counted(len(wrong), 'tensor')} that {'is' if len(wrong) == 1 else 'are'} not of "
        f"{config.model_name}-{config.model_depth} in the layout of {layout.name}: {key} is {_shape(have)} in the "
        f"file, {_shape(want)} in the network"
    )


def _once_a_block(state: Mapping[str, Any]) -> bool:
    """Whether the second convolution of a block that widens has the middle width of the first, as in torchvision."""
    second = state.get("layer2.0.conv2.0.0.weight")
    widths = factorised_width(64, 128), factorised_width(256, 128)  # of basic blocks, of bottlenecks
    return second is not None and second.shape[0] in widths


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a number"


def _some(names: Any, most: int = 4) -> str:
    names = [cut(printable(name)) for name in names]
    return (", ".join(names[:most]) or "none") + (f" and {len(names) - most} more" if len(names) > most else "")
