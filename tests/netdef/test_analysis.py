from __future__ import annotations

import json

import pytest

from tests.goldens.recordings import golden_path
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.netdef.analysis import ShapeError, infer_shapes, totals
from vmz.netdef.protos import NetDef, OperatorDef


def test_flops_params_and_interactions_equal_the_originals_to_the_last_digit() -> None:
    entries = [e["flops"] for e in json.loads(golden_path("nets/index.json").read_text()) if "flops" in e]
    entries = [e for e in entries if not e["build_args"]["model_name"].startswith(("a_", "av_"))]
    assert len(entries) >= 12
    for entry in entries:
        found = totals(build(ModelConfig.from_mapping(entry["build_args"])).costs())
        assert [found.gmacs, found.params_m, found.interactions_g] == entry["gflops_params_inters"]


def test_shapes_of_a_net() -> None:
    model = build(ModelConfig(model_name="r2plus1d", clip_length=16, num_labels=7), scope="")
    shapes = {cost.blob: cost.shape for cost in model.costs()}
    assert shapes["conv1"] == (1, 64, 16, 56, 56)
    assert shapes["comp_7_sum_2"] == (1, 512, 2, 7, 7)
    assert shapes["final_avg"] == (1, 512, 1, 1, 1)
    assert shapes["softmax"] == (1, 7)


def test_the_reshapes_of_the_multi_label_map_fit() -> None:
    config = ModelConfig(
        model_depth=10,
        clip_length=8,
        crop_size=320,
        use_pool1=True,
        use_convolutional_pred=True,
        multi_label=True,
        batch_size=2,
    )
    shapes = {cost.blob: cost.shape for cost in build(config, scope="").costs()}
    assert shapes["last_out_L101"] == (2, 101, 1, 4, 4) and shapes["prob"] == (2, 101)


def test_a_clip_whose_frames_do_not_fit_is_named() -> None:
    with pytest.raises(ShapeError, match=r"FC gpu_0/last_out_L101: .*\(1, 512, 2, 1, 1\)"):
        build(ModelConfig(clip_length=6)).costs()


def test_unknown_operators_and_inputs_are_named() -> None:
    net = NetDef(name="n")
    net.op.append(OperatorDef(type="Frobnicate", input=["x"], output=["y"]))
    with pytest.raises(ShapeError, match="Frobnicate"):
        infer_shapes(net, {"x": (1,)})
    net.op[0].type = "Relu"
    with pytest.raises(ShapeError, match="input x"):
        infer_shapes(net, {})
