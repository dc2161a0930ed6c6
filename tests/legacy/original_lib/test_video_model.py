"""VideoModelBuilder: layers, kinds of convolutions, and a network of one's own that runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import needs_caffe2
from tests.legacy.original import cnn_model, workspace_of_its_own
from vmz.errors import UsageError
from vmz.netdef.builder import get_arguments

pytestmark = needs_caffe2


def outline(model: Any) -> list[str]:
    return [f"{op.type} {' '.join(op.input)} > {' '.join(op.output)}" for op in model.net.Proto().op]


def fresh(**given: Any) -> Any:
    from models.builder.video_model import VideoModelBuilder

    arguments = {"no_bias": True, "is_test": False, **given}
    return VideoModelBuilder(cnn_model("small"), "x", **arguments)


def test_layer_by_layer() -> None:
    builder = fresh(prefix="v_", spatial_bn_mom=0.5)
    builder.comp_count = 4
    assert str(builder.add_conv(3, 8, [1, 3, 3], strides=[1, 2, 2], pads=[0, 1, 1] * 2)) == "v_comp_4_conv_1"
    builder.add_spatial_bn(8)
    builder.add_relu()
    builder.add_channelwise_conv(8, 8, [3, 3, 3], pads=[1, 1, 1] * 2, suffix="_x")
    builder.add_spatial_bn(8, suffix="_x", bn_init=0.5)
    assert (builder.comp_idx, str(builder.prev_blob)) == (2, "v_comp_4_spatbn_2_x")
    kinds = [op.type for op in builder.model.net.Proto().op]
    assert kinds == ["Conv", "SpatialBN", "Relu", "Conv", "SpatialBN"]
    first, norm, _, second, _ = builder.model.net.Proto().op
    assert get_arguments(first)["pads"] == [0, 1, 1, 0, 1, 1] and get_arguments(first)["strides"] == [1, 2, 2]
    assert get_arguments(norm)["momentum"] == 0.5
    assert second.engine == "CHANNELWISE_3D" and get_arguments(second)["group"] == 8
    fill = builder.model.param_init_net.Proto().op[-1]
    assert list(fill.input) == list(fill.output) == ["v_comp_4_spatbn_2_x_s"]
    assert get_arguments(fill)["value"] == 0.5


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("3d", ["conv_1"]),
        ("2.5d", ["conv_1_middle", "spatbn_1_middle", "spatbn_1_middle", "conv_1"]),
        ("0.3d", ["conv_1_middle", "spatbn_1_middle", "conv_1"]),
        ("0.3d+relu", ["conv_1_middle", "spatbn_1_middle", "spatbn_1_middle", "conv_1"]),
        ("3d-sep", ["conv_2"]),
        (
            "2.5d-sep",
            [
                "conv_2_middle",
                "spatbn_2_middle",
                "spatbn_2_middle",
                "conv_2_1x",
                "spatbn_2_1x",
                "spatbn_2_1x",
                "conv_3",
            ],
        ),
    ],
)
def test_kinds_of_convolutions(kind: str, names: list[str]) -> None:
    builder = fresh()
    builder.add_conv(8, 8, [3, 3, 3], strides=[2, 2, 2], pads=[1, 1, 1] * 2, block_type=kind)
    ops = builder.model.net.Proto().op
    assert [op.output[0] for op in ops] == [f"comp_0_{name}" for name in names]
    strides = np.prod([get_arguments(op)["strides"] for op in ops if op.type == "Conv"], axis=0)
    assert list(strides) == [2, 2, 2]


def test_blocks_in_a_row_run() -> None:
    """A network of one's own, forward and backward."""
    builder = fresh(no_bias=0)
    builder.add_simple_block(3, 4, block_type="2.5d")
    builder.add_simple_block(4, 8, down_sampling=True, down_sampling_temporal=False, is_real_3d=False)
    builder.add_bottleneck(8, 16, 4, down_sampling=True, block_type="3d-sep")
    builder.add_bottleneck(16, 16, 4, block_type="0.3d", gama_init=True)
    builder.add_bottleneck(16, 16, 4, block_type="2.5d-sep", spatial_batch_norm=False)
    assert (builder.comp_count, str(builder.prev_blob)) == (5, "comp_4_sum_5")
    model = builder.model
    model.AddGradientOperators([model.net.AveragedLoss(builder.prev_blob, "loss")])
    assert "comp_2_conv_3_w" in map(str, model.params) and "comp_3_spatbn_1_s" in map(str, model.params)
    with workspace_of_its_own() as workspace:
        workspace.FeedBlob("x", np.random.RandomState(0).randn(2, 3, 4, 8, 8).astype(np.float32))
        workspace.RunNetOnce(model.param_init_net)
        workspace.RunNetOnce(model.net)
        assert workspace.FetchBlob("comp_1_sum_2").shape == (2, 8, 4, 4, 4)
        assert workspace.FetchBlob("comp_4_sum_5").shape == (2, 16, 2, 2, 2)
        assert not workspace.FetchBlob("comp_3_spatbn_1_s").any() and workspace.FetchBlob("comp_2_spatbn_1_s").all()
        assert all(np.isfinite(workspace.FetchBlob(str(grad))).all() for grad in model.param_to_grad.values())


def test_a_subclass_with_a_layer_of_its_own() -> None:
    """Blocks are built by the methods, as in the original: what a program changes there shows in its blocks."""
    from models.builder.video_model import VideoModelBuilder

    class Own(VideoModelBuilder):  # type: ignore[misc]
        prev_blob: Any

        def add_relu(self) -> Any:
            self.prev_blob = self.model.net.Tanh(self.prev_blob, self.prev_blob)

        def add_conv(self, in_filters: int, out_filters: int, kernels: Any, **given: Any) -> Any:
            if given.get("block_type") == "my own":
                given["block_type"] = "2.5d"
            super().add_conv(in_filters, out_filters, kernels, **given)
            self.prev_blob = self.model.net.Copy(self.prev_blob, f"copy_{self.comp_count}_{self.comp_idx}")

    builder = Own(cnn_model("small"), "x", no_bias=True, is_test=True)
    builder.add_bottleneck(8, 8, 4, block_type="my own")
    assert outline(builder.model) == [
        "Conv x comp_0_conv_1_w > comp_0_conv_1",
        "Copy comp_0_conv_1 > copy_0_1",
        *norm("copy_0_1", "spatbn_1"),
        "Conv comp_0_spatbn_1 comp_0_conv_2_middle_w > comp_0_conv_2_middle",
        *norm("comp_0_conv_2_middle", "spatbn_2_middle"),
        "Conv comp_0_spatbn_2_middle comp_0_conv_2_w > comp_0_conv_2",
        "Copy comp_0_conv_2 > copy_0_2",
        *norm("copy_0_2", "spatbn_2"),
        "Conv comp_0_spatbn_2 comp_0_conv_3_w > comp_0_conv_3",
        "Copy comp_0_conv_3 > copy_0_3",
        norm("copy_0_3", "spatbn_3")[0],
        "Sum x comp_0_spatbn_3 > comp_0_sum_3",
        "Tanh comp_0_sum_3 > comp_0_sum_3",
    ]


def norm(blob: str, name: str) -> list[str]:
    name = f"comp_0_{name}"
    parts = " ".join(f"{name}_{part}" for part in ("s", "b", "rm", "riv"))
    return [f"SpatialBN {blob} {parts} > {name}", f"Tanh {name} > {name}"]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda b: b.add_conv(3, 4, [1, 1, 1], block_type="track"), "unknown block_type 'track'"),
        (lambda b: b.add_conv(4, 4, [1, 1, 1], block_type="3d-group", group=2), "group=2 is not possible"),
        (lambda b: b.add_conv(3, 4, [3, 3]), "kernels=[3, 3] must have 3 numbers"),
        (lambda b: b.add_conv(3, 4, [3, 3, 3], pads=[1]), "pads=[1] must have 3 or 6 numbers"),
        (lambda b: b.add_channelwise_conv(3, 4, [3, 3, 3]), "not 3 and 4"),
        (lambda b: b.add_simple_block(3, 4, block_type="2.5d", is_real_3d=False), "needs is_real_3d=True"),
    ],
)
def test_wrong_requests(call: Any, says: str) -> None:
    builder = fresh()
    with pytest.raises(UsageError) as raised:
        call(builder)
    assert says in str(raised.value) and outline(builder.model) == []
