"""create_* and add_loss, put together by hand, against the networks of ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import needs_caffe2
from tests.legacy.original import SMALL, cnn_model, device, nets, parameters, workspace_of_its_own
from vmz.errors import UsageError
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.netdef.builder import get_arguments
from vmz.netdef.json_form import net_to_json

pytestmark = needs_caffe2


def ours(**given: Any) -> tuple[Any, Any]:
    model = build(ModelConfig.from_mapping({**SMALL, **given}), net_name="small", is_test=False)
    return net_to_json(model.net)["op"], net_to_json(model.param_init_net)["op"]


def put_together(create: str, is_test: bool = False, multi_label: int = 0, **given: Any) -> tuple[Any, Any]:
    from models import r3d_model
    from models.loss import loss_creator

    model = cnn_model("small")
    with device():
        last = getattr(r3d_model, create)(
            model=model, data="data", num_input_channels=3, num_labels=7, is_test=is_test, no_bias=True, **given
        )
        loss_creator.add_loss(model, last, multi_label, False, 7, 1, 1.0)
    net, init, _ = nets(model)
    return net["op"], init["op"]


def test_dictionaries() -> None:
    from models import r3d_model

    assert r3d_model.BLOCK_CONFIG[152] == (3, 8, 36, 3) and len(r3d_model.BLOCK_CONFIG) == 8
    assert r3d_model.SHALLOW_FILTER_CONFIG == [[64, 64], [128, 128], [256, 256], [512, 512]]
    assert r3d_model.DEEP_FILTER_CONFIG == [[256, 64], [512, 128], [1024, 256], [2048, 512]]
    assert r3d_model.model_blocktype == {"r2plus1d": "2.5d", "r3d": "3d", "ir-csn": "3d-sep", "ip-csn": "0.3d"}


@pytest.mark.parametrize("name", ["r3d", "r2plus1d", "ir-csn", "ip-csn"])
def test_create_r3d(name: str) -> None:
    from models import r3d_model

    kind = r3d_model.model_blocktype[name]
    more: dict[str, Any] = {"channel_multiplier": 0.5, "bottleneck_multiplier": 1.5}
    found = put_together(
        "create_r3d", block_type=kind, model_depth=26, transformation_type="bottleneck", use_dropout=True,
        conv1_temporal_kernel=5, **more,
    )  # fmt: skip
    assert found == ours(model_name=name, model_depth=26, use_dropout=1, conv1_temporal_kernel=5, **more)


@pytest.mark.parametrize("depth", [18, 26, 50])
def test_create_r2d_and_r2df(depth: int) -> None:
    found = put_together("create_r2d", model_depth=depth, conv1_kernel_length=8, multi_label=1)
    assert found == ours(model_name="r2d", model_depth=depth, multi_label=1)
    found = put_together("create_r2df", model_depth=depth, final_temporal_kernel=8)
    assert found == ours(model_name="r2df", model_depth=depth)


@pytest.mark.parametrize("level", [2, 3, 4, 5])
def test_create_mcx_and_rmcx(level: int) -> None:
    frames = {2: 8, 3: 8, 4: 4, 5: 2}[level]
    found = put_together("create_mcx", mc_level=level, final_temporal_kernel=frames)
    assert found == ours(model_name=f"mc{level}", model_depth=18)
    frames = {2: 1, 3: 1, 4: 2, 5: 4}[level]
    found = put_together("create_rmcx", mc_level=level, final_temporal_kernel=frames)
    assert found == ours(model_name=f"rmc{level}", model_depth=18)


def test_create_model_returns_the_logits() -> None:
    from models import r3d_model

    model = cnn_model("small")
    with device():
        last = r3d_model.create_model(model, "mc3", 18, data="data", is_test=1, **SMALL)
    assert str(last) == "gpu_0/last_out_L7" and model.net.Proto().op[-1].type == "FC"


def test_biases_and_momentum() -> None:
    from models import r3d_model

    model = cnn_model("small")
    r3d_model.create_r3d(model, "data", 3, 7, model_depth=10, spatial_bn_mom=0.5)
    assert "conv1_b" in model.biases and "comp_0_conv_1_b" in map(str, model.biases)
    norms = [op for op in model.net.Proto().op if op.type == "SpatialBN"]
    momenta = {op.output[0]: get_arguments(op).get("momentum") for op in norms}
    assert momenta["comp_0_spatbn_1"] == momenta["conv1_spatbn_relu"] == 0.5
    assert momenta["shortcut_projection_1_spatbn"] is None


def test_c3d_without_biases_and_with_other_widths() -> None:
    from models import c3d_model

    model = cnn_model("small")
    last = c3d_model.create_model(model, "data", 3, 7, no_bias=1, fc6_dim=20, fc7_dim=30)
    shapes = dict(parameters(model)["params"])
    assert str(last) == "last_out_L7" and "conv1a_b" not in shapes
    assert (shapes["fc6_w"], shapes["fc7_w"], shapes["last_out_L7_w"]) == ([20, 4608], [30, 20], [7, 30])


@pytest.mark.parametrize(
    ("create", "wrong", "says"),
    [
        ("create_r3d", {"block_type": "4d"}, "unknown block_type '4d'; choose from: 3d, 2.5d"),
        ("create_r3d", {"transformation_type": "x"}, "choose from: simple_block, bottleneck"),
        ("create_r3d", {"conv1_temporal_kernel": 4}, "must be 3 or 5"),
        ("create_r3d", {"model_depth": 20}, "model_depth is 20"),
        ("create_r3d", {"block_type": "3d-sep"}, "same number of channels on both sides, not 64 and 128"),
        ("create_r3d", {"use_convolutional_pred": True}, "for testing only"),
        ("create_r2df", {"conv1_kernel_length": 3}, "one frame at a time"),
        ("create_r2d", {"final_temporal_kernel": 2}, "leaves one frame"),
        ("create_mcx", {"mc_level": 6}, "mc_level is 6"),
        ("create_rmcx", {"mc_level": 1}, "mc_level is 1"),
    ],
    ids=str,
)
def test_wrong_arguments(create: str, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as raised:
        put_together(create, **wrong)
    assert says in str(raised.value)


def test_softmax_loss_and_prefix() -> None:
    from models.loss import loss_creator

    model = cnn_model("small")
    with workspace_of_its_own() as workspace:
        logits = np.random.RandomState(0).randn(4, 3).astype(np.float32)
        label = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]], np.int32)
        workspace.FeedBlob("logits", logits)
        workspace.FeedBlob("label", label)
        loss = loss_creator.add_loss(model, "logits", 1, False, 3, 4, 0.5, use_softmax_loss=True, loss_prefix="v_")
        workspace.RunNetOnce(model.net)
        prob = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        mean = -np.log(prob[label == 1]).mean()
        assert str(loss) == "v_loss" and workspace.FetchBlob("v_unscaled_loss") == pytest.approx(mean, rel=1e-6)
        assert workspace.FetchBlob("v_loss") == pytest.approx(mean / 2, rel=1e-6)
        np.testing.assert_allclose(workspace.FetchBlob("prob"), prob, rtol=1e-6)


def test_the_convolutional_head_has_no_loss() -> None:
    from models.loss import loss_creator

    for several in (0, 1):
        model = cnn_model("small")
        assert loss_creator.add_loss(model, "logits", several, True, 3, 4, 1.0) is None
    shapes = [get_arguments(op)["shape"] for op in model.net.Proto().op if op.type == "Reshape"]
    assert shapes == [[-1, 3], [4, 1, 2, 2, 3]]
