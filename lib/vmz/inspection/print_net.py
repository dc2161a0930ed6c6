"""A network in words and numbers: the table and the JSON of print_net."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from vmz.errors import UsageError
from vmz.file_formats.json_files import misfit
from vmz.models.config import ModelConfig, check_name
from vmz.models.registry import TEST_NET_NAME, Model, build
from vmz.netdef.analysis import totals
from vmz.netdef.json_form import net_to_json
from vmz.text import counted

_FORM = {"build_args": dict, "is_test?": (int, bool), "net_name?": str}


def model_from_golden(entry: Mapping[str, Any]) -> Model:
    """The network of a `config` object as the golden nets' index writes it: build_args, is_test, net_name."""
    wrong = misfit(entry, _FORM)
    if wrong:
        raise UsageError(f"a configuration is not as expected: {wrong}")
    config = ModelConfig.from_mapping(entry["build_args"])
    name = entry.get("net_name", TEST_NET_NAME)
    check_name("net_name", name)
    return build(config, bool(entry.get("is_test", 1)), name)


def model_to_json(model: Model) -> dict[str, Any]:
    """Both nets and the lists of parameters, in the form of the golden nets."""
    return {
        "net": net_to_json(model.net),
        "param_init_net": net_to_json(model.param_init_net),
        "params": [[blob, list(shape)] for blob, shape in model.params],
        "computed_params": [[blob, list(shape)] for blob, shape in model.computed_params],
        "all_params": model.all_params,
        "weights": model.weights,
        "biases": model.biases,
        "param_to_grad": {},  # these nets have no gradient ops
        "loss": [model.loss],
    }


def table(model: Model) -> str:
    """A line an op: its type, blob, output shape (N is 1 clip), parameters and GMACs; then the totals."""
    rows = [("op", "blob", "output", "params", "GMACs")]
    costs = model.costs()
    for cost in costs:
        shape = "x".join(str(side) for side in cost.shape) or "scalar"
        params = f"{cost.weights:,}" if cost.weights else ""
        macs = f"{cost.macs / 1e9:.4f}" if cost.macs else ""
        rows.append((cost.kind, cost.blob, shape, params, macs))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        "  ".join(
            [
                *(cell.ljust(width) for cell, width in zip(row[:3], widths)),
                *(c.rjust(w) for c, w in zip(row[3:], widths[3:])),
            ]
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    total, config = totals(costs), model.config
    trained = sum(prod(shape) for _, shape in model.params)
    lines.append(lines[1])
    lines.append(
        f"{config.model_name} depth {config.model_depth}, {_inputs(model)}: "
        f"{counted(len(model.net.op), 'op')}, {total.gmacs:.3f} GMACs a clip, "
        f"{total.params_m:.3f} M weights of convolutions and classifiers, "
        f"{trained / 1e6:.3f} M trained parameters, {total.interactions_g:.3f} G interactions"
    )
    return "\n".join(lines)


def _inputs(model: Model) -> str:
    """The shapes of one clip, as text: "clip 3x16x112x112", and the log-mel maps of the audio-visual networks."""
    shapes = ["x".join(map(str, shape[1:])) for shape in model.input_shapes().values()]
    kinds = ["clip", "log-mel maps"] if model.config.sees_pictures else ["log-mel maps"]
    return ", ".join(f"{kind} {shape}" for kind, shape in zip(kinds, shapes))
