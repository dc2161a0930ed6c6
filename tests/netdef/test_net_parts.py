"""A net taken apart: copies, readers, classifiers."""

from __future__ import annotations

import pytest

from tests.engines.small_nets import net, op
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.netdef.builder import get_arguments, set_arguments
from vmz.netdef.inputs import VideoSource
from vmz.netdef.net_parts import classifier_parameters, copy_net, databases, split_readers, video_inputs


def test_a_copy_is_its_own_and_may_have_other_operators() -> None:
    main = net(op("Relu", "a", "b"), op("Copy", "b", "c"))
    copy = copy_net(main)
    assert copy == main
    copy.op[0].type = "Tanh"
    assert main.op[0].type == "Relu"
    fewer = copy_net(main, main.op[1:])
    assert [o.type for o in fewer.op] == ["Copy"] and fewer.name == main.name and len(main.op) == 2
    own = copy_net(main)
    assert [o.type for o in copy_net(own, reversed(own.op)).op] == ["Copy", "Relu"]


def test_a_net_and_its_readers() -> None:
    model = build(ModelConfig("r3d", 10, num_labels=5, clip_length=8), source=VideoSource("x.lmdb", {}), scope="gpu_0")
    [reader] = video_inputs(model.net)
    [database] = databases(model.param_init_net)
    assert list(reader.input) == list(database.output)
    reading, rest = split_readers(model.net)
    assert list(reading.op) == [reader] and list(rest.op) == list(model.net.op)[1:]
    assert reading.name == f"{model.net.name}_readers" and rest.name == model.net.name
    assert list(reading.external_input) == list(database.output)
    assert list(rest.external_input)[-2:] == ["gpu_0/data", "gpu_0/label"]
    nothing, all_of_it = split_readers(rest)
    assert not nothing.op and list(all_of_it.op) == list(rest.op)


def test_arguments_replace_those_of_their_name() -> None:
    reader = op("VideoInput", "reader", "data label", seed=3, batch_size=2)
    set_arguments(reader, seed=4, shard_count=2)
    assert get_arguments(reader) == {"batch_size": 2, "seed": 4, "shard_count": 2}
    assert [argument.name for argument in reader.arg] == ["batch_size", "seed", "shard_count"]


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, "last_out_L5_w last_out_L5_b"),
        ({"use_dropout": True}, "last_out_L5_w last_out_L5_b"),
        ({"pred_layer_name": "mine"}, "mine_w mine_b"),
        ({"multi_label": True}, "last_out_L5_w last_out_L5_b pred_logit_w pred_logit_b"),
        ({"use_convolutional_pred": True, "crop_size": 128}, "last_out_L5_w last_out_L5_b"),
        (
            {"use_convolutional_pred": True, "crop_size": 128, "multi_label": True},
            "last_out_L5_w last_out_L5_b pred_logit_w pred_logit_b",
        ),
    ],
)
def test_the_classifier_lies_between_the_trunk_and_the_scores(settings: dict[str, object], names: str) -> None:
    model = build(ModelConfig("r3d", 10, num_labels=5, clip_length=8, **settings))  # type: ignore[arg-type]
    assert model.classifier == {f"gpu_0/{name}" for name in names.split()}
    if model.loss is not None:
        assert classifier_parameters(model.net, model.loss, model.all_params) == model.classifier


def test_a_net_without_a_classifier_has_no_parameters_of_one() -> None:
    assert classifier_parameters(net(op("AveragePool", "data", "scores")), "scores", ["w"]) == set()
    assert classifier_parameters(net(op("FC", "data w b", "x"), op("Relu", "x", "x")), "elsewhere", ["w", "b"]) == set()
