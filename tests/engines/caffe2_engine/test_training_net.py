"""The nets of train_net, emitted from its own command lines, against those that the original made."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from typing import Any

import pytest

from tests.engines.real_caffe2 import needs_caffe2
from tests.goldens.recordings import golden_path
from vmz.cli.train_net import configuration
from vmz.engines.caffe2_engine.training_net import ParallelNet, emit
from vmz.engines.schedule import Schedule
from vmz.engines.trainer import Training
from vmz.netdef.builder import get_arguments
from vmz.netdef.json_form import net_to_json
from vmz.netdef.protos import CPU, CUDA
from vmz.training.nets import builder


def entries() -> list[dict[str, Any]]:
    index = json.loads(golden_path("nets/index_tools.json").read_text())
    return [entry for entry in index if entry["file"].startswith("trainnet_") and entry["role"] == "train"]


def from_command_line(argv: list[str], optimize_gradient_memory: bool = True, device_type: int = CUDA) -> ParallelNet:
    """What train_net makes of `argv`."""
    options = configuration(argv)
    devices = options.num_gpus or 1
    schedule = Schedule(
        options.base_learning_rate * devices,
        stepsize=int(options.step_epoch * options.epoch_size / options.batch_size / devices),
        gamma=options.gamma,
    )
    return emit(
        builder(options),
        range(devices),
        device_type,
        training=Training(schedule, weight_decay=options.weight_decay),
        optimize_gradient_memory=optimize_gradient_memory,
    )


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
@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry["file"][len("trainnet_") : -len(".json.gz")])
def test_the_nets_of_the_original(entry: dict[str, Any]) -> None:
    with gzip.open(golden_path(f"nets/{entry['file']}")) as stream:
        golden = json.load(stream)
    found = from_command_line(entry["argv"], entry["optimize_gradient_memory"])
    assert net_to_json(found.net) == golden["net"]
    assert with_copies_sorted(net_to_json(found.init_net)) == with_copies_sorted(golden["param_init_net"])
    assert pairs(found.params) == golden["params"]
    assert pairs(found.computed_params) == golden["computed_params"]
    assert [blob for blob, _ in found.params + found.computed_params] == golden["all_params"]
    assert (found.weights, found.biases) == (golden["weights"], golden["biases"])
    assert found.param_to_grad == golden["param_to_grad"]


SMALL = ["--train_data=a", "--model_depth=10", "--clip_length_rgb=4", "--batch_size=2", "--epoch_size=80"]


def count(net: Any, kind: str) -> int:
    return sum(op.type == kind for op in net.op)


@needs_caffe2
@pytest.mark.parametrize("device_type", [CPU, CUDA])
@pytest.mark.parametrize("devices", [3, 4, 8])
def test_any_number_of_devices(devices: int, device_type: int) -> None:
    """One update of each parameter on each device, from gradients that are summed over all."""
    one = from_command_line([*SMALL, "--num_gpus=1"])
    found = from_command_line([*SMALL, f"--num_gpus={devices}"], device_type=device_type)
    prefix = "gpu" if device_type == CUDA else "cpu"
    assert found.scopes == [f"{prefix}_{number}" for number in range(devices)]
    assert count(found.init_net, "CreateDB") == 1 and count(found.net, "VideoInput") == devices
    for kind in ("MomentumSGDUpdate", "WeightedSum", "ConvGradient", "LearningRate"):
        assert count(found.net, kind) == devices * count(one.net, kind), kind
    assert len(found.param_to_grad) == devices * len(one.params)
    (scale,) = {get_arguments(op)["scale"] for op in found.net.op if op.type == "Scale"}
    assert scale == pytest.approx(1 / devices)
    rates = {json.dumps(get_arguments(op)) for op in found.net.op if op.type == "LearningRate"}
    (rate,) = map(json.loads, rates)
    assert rate["stepsize"] == int(10 * 80 / 2 / devices) and rate["base_lr"] == pytest.approx(0.003 * devices)


@needs_caffe2
def test_no_weight_decay_no_operator_of_it() -> None:
    found = from_command_line([*SMALL, "--weight_decay=0"])
    assert count(found.net, "WeightedSum") == 0 and "gpu_0/wd" not in str(found.init_net)


@needs_caffe2
def test_without_cudnn_no_operator_asks_for_it() -> None:
    found = from_command_line([*SMALL, "--use_cudnn=0", "--use_dropout=1"])
    assert {op.engine for op in found.net.op} == {"", "DEFAULT"}
    (iterations,) = (op for op in found.net.op if op.type == "Iter")
    assert get_arguments(iterations)["use_cudnn"] == 0


@needs_caffe2
def test_emitting_prints_nothing() -> None:
    command = (
        "from tests.engines.caffe2_engine.test_training_net import SMALL, from_command_line;"
        "from_command_line([*SMALL, '--num_gpus=2'])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", command], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
