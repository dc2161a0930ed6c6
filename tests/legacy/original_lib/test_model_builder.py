"""Every net, through models.model_builder on a CNNModelHelper, against the original's."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import needs_caffe2
from tests.goldens.golden_nets import golden_entries
from tests.goldens.recordings import golden_path
from tests.legacy.original import SMALL, cnn_model, device, nets, parameters
from vmz.errors import UsageError
from vmz.models.registry import ALL_NAMES
from vmz.netdef.builder import get_arguments
from vmz.netdef.json_form import net_to_json

pytestmark = needs_caffe2

ENTRIES = [entry for entry in golden_entries() if entry["config"]["build_args"]["model_name"] in ALL_NAMES]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["file"].partition(".")[0])
def test_the_nets_of_the_original(entry: dict[str, Any]) -> None:
    from models import model_builder

    with gzip.open(golden_path(f"nets/{entry['file']}")) as stream:
        golden = json.load(stream)
    config = entry["config"]
    model = cnn_model(config["net_name"])
    with device():
        loss = model_builder.build_model(model, **config["build_args"], is_test=config["is_test"])
    assert net_to_json(model.net.Proto()) == golden["net"]
    assert net_to_json(model.param_init_net.Proto()) == golden["param_init_net"]
    assert [blob if blob is None else str(blob) for blob in loss] == golden["loss"]
    found = parameters(model)
    assert found == {name: golden[name] for name in found}


def built(model: Any, **given: Any) -> Any:
    from models import model_builder

    with device():
        model_builder.build_model(
            model,
            **{"model_name": "r2plus1d", "model_depth": 10, "batch_size": 2, "loss_scale": 1, **SMALL, **given},
        )
    return model


@pytest.mark.parametrize("given", [{}, {"use_cudnn": False}, {"ws_nbytes_limit": 1 << 26}], ids=str)
def test_a_plain_model_helper_with_its_arguments_gives_the_same(given: dict[str, Any]) -> None:
    from caffe2.python import core, model_helper

    expected = nets(built(cnn_model("small", **given), use_dropout=1, multi_label=1))
    core.Net._net_names_used.clear()
    scope = {"order": "NCHW", "use_cudnn": True, "cudnn_exhaustive_search": True, **given}
    assert nets(built(model_helper.ModelHelper("small", arg_scope=scope), use_dropout=1, multi_label=1)) == expected


def test_what_the_helper_says_of_cudnn_is_what_the_operators_say() -> None:
    model = built(cnn_model("small", use_cudnn=False, cudnn_exhaustive_search=False))
    assert {op.engine for op in model.net.Proto().op} == {""}
    norm = next(op for op in model.net.Proto().op if op.type == "SpatialBN")
    assert get_arguments(norm)["cudnn_exhaustive_search"] == get_arguments(norm)["use_cudnn"] == 0


def test_a_helper_without_parameters_of_its_own_fills_none() -> None:
    model = built(cnn_model("small", init_params=False))
    assert len(model.param_init_net.Proto().op) == 0 and len(model.GetParams("")) > 20
    assert "gpu_0/conv1_w" in model.net.Proto().external_input


@pytest.mark.parametrize("scope", ["", "a", "a/b"])
def test_any_name_scope(scope: str) -> None:
    from caffe2.python import core
    from models import model_builder

    model = cnn_model("small")
    with core.NameScope(scope):
        (loss,) = model_builder.build_model(model, "r3d", 10, batch_size=1, loss_scale=0.5, **SMALL)
    prefix = f"{scope}/" if scope else ""
    assert str(loss) == f"{prefix}small/Scale"
    assert {blob.rpartition("/")[0] for op in model.net.Proto().op[:-1] for blob in op.output} == {scope}
    assert not any(op.HasField("device_option") for op in model.net.Proto().op)


def test_numbers_of_numpy_and_flags_of_any_kind() -> None:
    plain = nets(built(cnn_model("small"), use_pool1=1, crop_size=224))
    odd = dict(
        model_depth=np.int64(10),
        crop_size=np.int32(224),
        loss_scale=np.float32(1),
        use_pool1=np.bool_(True),
        multi_label=None,
    )
    assert nets(built(cnn_model("small"), **odd)) == plain


def test_clips_from_another_blob() -> None:
    from caffe2.python import core

    model = built(cnn_model("small"), data=core.BlobReference("other/clips"))
    assert model.net.Proto().op[0].input[0] == "other/clips"


def test_what_is_no_helper_is_refused() -> None:
    with pytest.raises(UsageError, match="str is not a model helper of Caffe2"):
        built("a model")


def test_the_classifier_alone_learns_without_use_full_ft() -> None:
    model = built(cnn_model("small"), use_full_ft=0, use_dropout=1)
    ops = list(model.net.Proto().op)
    place = next(number for number, op in enumerate(ops) if op.type == "StopGradient")
    assert ops[place - 1].type == "Dropout" and ops[place + 1].type == "FC"
    assert list(ops[place].input) == list(ops[place].output) == ["gpu_0/dropout"]
    tested = [get_arguments(op)["is_test"] for op in ops if op.type in ("SpatialBN", "Dropout")]
    assert set(tested) == {1}
    model.AddGradientOperators(["gpu_0/small/Scale"])
    assert set(map(str, model.param_to_grad)) == {"gpu_0/last_out_L7_w", "gpu_0/last_out_L7_b"}


def test_pred_layer_name() -> None:
    model = built(cnn_model("small"), pred_layer_name="my_head")
    assert "gpu_0/my_head_w" in parameters(model)["all_params"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"model_name": "r3dd"}, "did you mean r3d?"),
        ({"model_depth": 20}, "model_depth is 20"),
        ({"crop_size": 100}, "crop_size is 100"),
        ({"crop_size": 256}, "use_convolutional_pred"),
        ({"clip_length": 7}, "clip_length 7 is odd"),
        ({"model_name": "ir-csn", "model_depth": 18}, "26 or 50 or 101 or 152"),
        ({"model_name": "c3d"}, "clip_length is 8, but model_name c3d accepts 16"),
        ({"use_convolutional_pred": 1, "crop_size": 256, "use_pool1": 1}, "for testing only"),
        ({"model_name": "av_resnet-r3d", "model_depth": 10}, "model_depth is 10, but model_name av_resnet-r3d accepts"),
        (
            {"model_name": "a_resnet", "model_depth": 18, "g_blend": 1},
            "g_blend is 1, but model_name a_resnet accepts 0",
        ),
        ({"g_blend": True}, "g_blend is 1, but model_name r2plus1d accepts 0"),
    ],
    ids=str,
)
def test_what_is_no_network_is_refused_before_anything_is_added(wrong: dict[str, Any], says: str) -> None:
    model = cnn_model("small")
    with pytest.raises(UsageError) as raised:
        built(model, **wrong)
    assert says in str(raised.value) and "\n" not in str(raised.value)
    assert len(model.net.Proto().op) == len(model.param_init_net.Proto().op) == 0


@pytest.mark.parametrize(
    ("arguments", "valid", "says"),
    [
        (("r2plus1d", 18, 16, 112), True, "Validated: r2plus1d with 18 layers"),
        (("c3d", 18, 16, 112), True, "with input 16x112x112"),
        (("r2d", 34, 7, 224), True, "with input 7x224x224"),
        (("ip-csn", 152, 32, 256), False, "crop_size 256"),
        (("r3d", 17, 8, 112), False, "model_depth is 17"),
        (("r3d", 18, 9, 112), False, "clip_length 9 is odd"),
        (("nothing", 18, 8, 112), False, "model_name 'nothing'"),
        (("ir-csn", 34, 8, 112), False, "model_depth is 34"),
        (("av_resnet-r3d", 18, 8, 112), True, "av_resnet-r3d with 18 layers"),
    ],
    ids=str,
)
def test_model_validation(arguments: Any, valid: bool, says: str, caplog: pytest.LogCaptureFixture) -> None:
    from models import model_builder

    assert model_builder.model_validation(*arguments) is valid
    assert says in caplog.text and {record.name for record in caplog.records} == {"model_builder"}


def test_lists() -> None:
    from models import model_builder

    assert set(model_builder.video_models) == {
        *("r2d", "r2df", "mc2", "mc3", "mc4", "mc5", "rmc2", "rmc3", "rmc4", "rmc5"),
        *("r3d", "r2plus1d", "c3d", "ir-csn", "ip-csn"),
    }
    assert model_builder.model_depths == [10, 16, 18, 26, 34, 50, 101, 152]
    assert "av_resnet-r2plus1d" in model_builder.av_joint_models


def test_the_audio_visual_module_names_what_to_call() -> None:
    from models import audio_visual_model

    with pytest.raises(UsageError, match="build_model builds the audio-visual networks"):
        audio_visual_model.create_model(model=cnn_model("small"), model_name="av_resnet-ip-csn")
