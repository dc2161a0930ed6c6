"""The nets that the original's train_net and test_net make, by a program like them, against the recorded ones."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union

import pytest

from tests.engines.caffe2_engine.test_training_net import with_copies_sorted
from tests.engines.real_caffe2 import needs_caffe2, needs_operators
from tests.goldens.recordings import golden_path
from tests.legacy.original import cnn_model, device, parameters
from tests.support.optionals import present
from vmz.cli import train_net
from vmz.cli.test_net import configuration
from vmz.evaluation.config import EvaluationConfig
from vmz.netdef.json_form import net_to_json
from vmz.training import nets
from vmz.training.config import TrainConfig
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record

pytestmark = [needs_caffe2, needs_operators]

MEGABYTE = 1024 * 1024


def entries(kind: str) -> list[Any]:
    index = json.loads(golden_path("nets/index_tools.json").read_text())
    found = [entry for entry in index if entry["file"].startswith(kind)]
    return [pytest.param(entry, id=entry["file"][: -len(".json.gz")]) for entry in found]


@pytest.fixture(autouse=True)
def databases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The databases of the recorded command lines: one record each, for a net that is not run."""
    monkeypatch.chdir(tmp_path)
    for name in ("train_lmdb", "test_lmdb"):
        with DatabaseWriter(tmp_path / name) as writer:
            writer.write(Record(b"0", b"no video", (0,), None, None))
    yield


def training_options(argv: list[str]) -> TrainConfig:
    return train_net.configuration(argv)


def build_arguments(options: Union[TrainConfig, EvaluationConfig]) -> dict[str, Any]:
    """What the tools hand to build_model."""
    own = ("model_name", "model_depth", "num_labels", "batch_size", "num_channels", "crop_size", "multi_label")
    more = ("channel_multiplier", "bottleneck_multiplier", "use_dropout", "conv1_temporal_stride")
    last = ("conv1_temporal_kernel", "use_pool1", "pred_layer_name")
    given = {name: getattr(options, name) for name in own + more + last}
    return {**given, "clip_length": options.clip_length_of if options.input_type else options.clip_length_rgb}


def parallelize(
    model: Any, devices: list[int], reader: Any, arguments: Any, forward: Any, update: Any, **more: Any
) -> None:
    """data_parallel_model.Parallelize_GPU with a reader in front."""
    from caffe2.python import data_parallel_model
    from utils import model_helper

    data_parallel_model.Parallelize_GPU(
        model,
        input_builder_fun=lambda model: model_helper.AddVideoInput(model, reader, **arguments),
        forward_pass_builder_fun=forward,
        param_update_builder_fun=update,
        devices=devices,
        **more,
    )


def model_for_training(options: TrainConfig, role: str, optimize: bool) -> Any:
    from models import model_builder
    from utils import reader_utils

    is_train, devices = role == "train", list(range(present(options.num_gpus)))
    limit = {"ws_nbytes_limit": options.cudnn_workspace_limit_mb * MEGABYTE} if is_train else {}
    model = cnn_model(f"{options.model_name}_{role}", **limit)
    data = options.train_data if is_train else options.test_data
    reader, _ = reader_utils.create_data_reader(model, name=f"{role}_reader", input_data=data)

    def forward(model: Any, loss_scale: float) -> Any:
        return model_builder.build_model(model=model, loss_scale=loss_scale, **build_arguments(options))

    def update(model: Any) -> None:
        model.AddWeightDecay(options.weight_decay)
        iteration = model.Iter("ITER")
        step = options.step_epoch * options.epoch_size / options.batch_size / len(devices)
        rate = model.net.LearningRate(
            [iteration], "LR", base_lr=options.base_learning_rate * len(devices), policy="step", stepsize=int(step),
            gamma=options.gamma,
        )  # fmt: skip
        for param in model.GetParams():
            gradient = model.param_to_grad[param]
            momentum = model.param_init_net.ConstantFill([param], param + "_momentum", value=0.0)
            model.net.MomentumSGDUpdate(
                [gradient, momentum, rate, param], [gradient, momentum, param], momentum=0.9, nesterov=1
            )

    arguments = nets.train_input_arguments(options)
    if not is_train:  # the original's net for testing between epochs: the centre crop of a random clip
        arguments.update(random_crop=0, random_mirror=0)
        del arguments["jitter_scales"], arguments["get_logmels"]
    parallelize(
        model, devices, reader, arguments, forward, update if is_train else None, optimize_gradient_memory=optimize
    )
    return model


def model_for_testing(options: EvaluationConfig) -> Any:
    from models import model_builder
    from utils import model_helper, reader_utils

    model = cnn_model("video_model_test")
    reader, _ = reader_utils.create_data_reader(model, "test_reader", options.test_data)
    arguments = options.reader_arguments()

    def forward(model: Any, loss_scale: float) -> Any:
        return model_builder.build_model(
            model, is_test=1, loss_scale=loss_scale, use_convolutional_pred=options.use_convolutional_pred,
            **build_arguments(options),
        )  # fmt: skip

    if options.num_gpus:
        parallelize(model, list(range(options.num_gpus)), reader, arguments, forward, None)
    else:
        with device():
            model_helper.AddVideoInput(model, reader, **arguments)
            forward(model, 1.0)
    return model


def check(model: Any, file: str) -> None:
    with gzip.open(golden_path(f"nets/{file}")) as stream:
        golden = json.load(stream)
    assert net_to_json(model.net.Proto()) == golden["net"]
    found = net_to_json(model.param_init_net.Proto())
    assert with_copies_sorted(found) == with_copies_sorted(golden["param_init_net"])
    of_model = parameters(model)
    assert of_model == {name: golden[name] for name in of_model}


@pytest.mark.parametrize("entry", entries("trainnet_"))
def test_training_nets(entry: dict[str, Any]) -> None:
    options = training_options(entry["argv"])
    check(model_for_training(options, entry["role"], entry["optimize_gradient_memory"]), entry["file"])


@pytest.mark.parametrize("entry", entries("testnet_"))
def test_testing_nets(entry: dict[str, Any]) -> None:
    check(model_for_testing(configuration(entry["argv"])), entry["file"])
