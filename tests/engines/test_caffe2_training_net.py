"""The nets of train_net, emitted from its own command lines, against those that the original made."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.engines.real_caffe2 import needs_caffe2
from tests.golden import GOLDEN, needs_shared
from vmz.engines.caffe2_training_net import ParallelNet, emit
from vmz.engines.schedule import Schedule
from vmz.engines.trainer import Training
from vmz.netdef.builder import get_arguments
from vmz.netdef.json_form import net_to_json
from vmz.netdef.protos import CPU, CUDA
from vmz.workflows.command import Parser
from vmz.workflows.options import TRAIN_DEFAULTS, TRAIN_NET_FLAGS, add_flags
from vmz.workflows.training_nets import builder


def entries() -> list[dict[str, Any]]:
    index = GOLDEN / "nets" / "index_tools.json"
    if not index.is_file():
        return []
    return [entry for entry in json.loads(index.read_text()) if entry["file"].startswith("trainnet_")]


def from_command_line(
    argv: list[str], is_train: bool = True, optimize_gradient_memory: bool = True, device_type: int = CUDA
) -> ParallelNet:
    """What train_net makes of `argv`."""
    parser = Parser("train_net")
    add_flags(parser, "all", list(TRAIN_NET_FLAGS), TRAIN_NET_FLAGS, **TRAIN_DEFAULTS)
    options = parser.parse_args(argv)
    devices = options.num_gpus or 1
    schedule = Schedule(
        options.base_learning_rate * devices,
        stepsize=int(options.step_epoch * options.epoch_size / options.batch_size / devices),
        gamma=options.gamma,
    )
    training = Training(schedule, weight_decay=options.weight_decay) if is_train else None
    build = builder(options, is_train)
    return emit(build, range(devices), device_type, training, optimize_gradient_memory)


def with_copies_sorted(net: dict[str, Any]) -> dict[str, Any]:
    """The device copies that end an init net come from a set: their order means nothing."""
    ops = net["op"]
    first = next((number for number, op in enumerate(ops) if op["type"] == "Copy"), len(ops))
    copies = ops[first:]
    assert {op["type"] for op in copies} <= {"Copy"}
    return {**net, "op": ops[:first] + sorted(copies, key=lambda op: (op["output"], op["input"]))}


def pairs(shapes: list[tuple[str, tuple[int, ...]]]) -> list[Any]:
    return [[blob, list(shape)] for blob, shape in shapes]


@needs_caffe2
@needs_shared
@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry["file"][len("trainnet_") : -len(".json.gz")])
def test_the_nets_of_the_original(entry: dict[str, Any]) -> None:
    with gzip.open(GOLDEN / "nets" / entry["file"]) as stream:
        golden = json.load(stream)
    found = from_command_line(entry["argv"], entry["role"] == "train", entry["optimize_gradient_memory"])
    assert net_to_json(found.net) == golden["net"]
    assert with_copies_sorted(net_to_json(found.init_net)) == with_copies_sorted(golden["param_init_net"])
    assert pairs(found.params) == golden["params"]
    assert pairs(found.computed_params) == golden["computed_params"]
    assert [blob for blob, _ in found.params + found.computed_params] == golden["all_params"]
    assert (found.weights, found.biases) == (golden["weights"], golden["biases"])
    assert found.param_to_grad == golden["param_to_grad"]
