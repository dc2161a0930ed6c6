"""From the blobs of one of our networks to a library's keys, by the part of the network that each blob is."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vmz.layouts.tables import Layout
from vmz.models.config import ModelConfig
from vmz.models.families import BLOCKS_PER_STAGE, FAMILIES
from vmz.text import counted

_BLOB = re.compile(
    r"(?P<stem>conv1)(?P<stem_middle>_middle)?(?P<stem_norm>_spatbn_relu)?"
    r"|comp_(?P<number>\d+)_(?P<what>conv|spatbn)_(?P<count>\d+)(?P<middle>_middle)?"
    r"|shortcut_projection_(?P<shortcut>\d+)(?P<shortcut_norm>_spatbn)?"
)
_OF_CONVOLUTION = {"w": "weight", "b": "bias"}
_OF_NORM = {"s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}


def keys_of(layout: Layout, config: ModelConfig, blobs: Iterable[str]) -> dict[str, str]:
    """{blob: key} of all parameters and running statistics of a network that `layout` has, in the order of `blobs`.

    blobs: of a network of `config`, named without scope.
    """
    blobs = list(blobs)
    stems = [blob.rpartition("_")[::2] for blob in blobs]
    parts = {stem: _BLOB.fullmatch(stem) for stem, _ in stems}
    counts: dict[int, set[int]] = {}
    middles = {stem for stem in parts if stem.endswith("_middle")}
    for found in parts.values():
        if found and found["number"]:
            counts.setdefault(int(found["number"]), set()).add(int(found["count"]))
    keys = {}
    for blob, (stem, suffix) in zip(blobs, stems):
        if stem == config.last_layer:
            keys[blob] = f"{layout.names['classifier']}.{_OF_CONVOLUTION[suffix]}"
            continue
        found = parts[stem]
        assert found is not None, blob  # the builders give no other names
        norm = bool(found["stem_norm"] or found["what"] == "spatbn" or found["shortcut_norm"])
        module = _module(layout, config, found, counts, middles)
        keys[blob] = f"{module}.{(_OF_NORM if norm else _OF_CONVOLUTION)[suffix]}"
    return keys


def _module(
    layout: Layout, config: ModelConfig, found: re.Match[str], counts: dict[int, set[int]], middles: set[str]
) -> str:
    """The library's module of one part."""
    names = layout.names
    if found["stem"]:
        step = "_middle" if found["stem_middle"] else "_after" if FAMILIES[config.model_name].factorised_stem else ""
        return names[f"stem{step}{'_norm' if found['stem_norm'] else ''}"]
    stage, block = place(config.model_depth, int(found["number"] or found["shortcut"]))
    if found["shortcut"]:
        return names[f"shortcut{'_norm' if found['shortcut_norm'] else ''}"].format(stage=stage, block=block)
    number, count = int(found["number"]), int(found["count"])
    part = sorted(counts[number]).index(count) + 1  # the original counts a depth-wise convolution twice
    norm = found["what"] == "spatbn"
    kinds: tuple[str, ...]
    if found["middle"]:
        kinds = ("middle",)
    elif f"comp_{number}_conv_{count}_middle" in middles:
        kinds = ("depthwise_after",) if config.model_name == "ip-csn" and not norm else ("after",)
    else:
        kinds = ("inner",) if part == 2 and len(counts[number]) == 3 else ()
    wanted = [f"{kind}{'_norm' if norm else ''}" for kind in (*kinds, "")]
    name = next((names[kind] for kind in wanted if kind in names), names["norm" if norm else "conv"])
    return name.format(stage=stage, block=block, part=part, letter=" abc"[part])


def place(depth: int, number: int) -> tuple[int, int]:
    """(stage from 1, block within it from 0) of residual block `number` of a network."""
    for stage, blocks in enumerate(BLOCKS_PER_STAGE[depth], 1):
        if number < blocks:
            return stage, number
        number -= blocks
    raise ValueError(f"a network of {counted(depth, 'layer')} has no block {number}")
