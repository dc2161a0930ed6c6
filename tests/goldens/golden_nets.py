"""Golden nets as NetDefs, so that the engine is tested on what the original builders emit."""

from __future__ import annotations

import gzip
import json
from typing import Any, NamedTuple

from tests.goldens.recordings import golden_path
from vmz.netdef.json_form import net_from_json


class GoldenNet(NamedTuple):
    """The two nets of a golden, and [(blob, shape)] of all its parameters and running statistics."""

    net: Any
    init_net: Any
    shapes: list[tuple[str, tuple[int, ...]]]


def golden_net(file: str) -> GoldenNet:
    """A file of golden/nets, with or without its .json.gz."""
    with gzip.open(golden_path(f"nets/{file.partition('.')[0]}.json.gz")) as stream:
        form = json.load(stream)
    shapes = [(blob, tuple(shape)) for blob, shape in form["params"] + form["computed_params"]]
    return GoldenNet(net_from_json(form["net"]), net_from_json(form["param_init_net"]), shapes)


def golden_entries() -> list[dict[str, Any]]:
    """The entries of the index that have a file."""
    return [entry for entry in json.loads(golden_path("nets/index.json").read_text()) if "file" in entry]
