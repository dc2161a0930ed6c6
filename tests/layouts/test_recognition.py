"""Whose keys they are; what is none of ours is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vmz
from tests.layouts.packages import torchvision_video
from tests.layouts.test_conversion import random_weights
from vmz.checkpoints.evidence import FIRST_CONVOLUTIONS
from vmz.errors import UsageError, VmzError
from vmz.layouts.recognition import PREFIXES, plain_keys, recognise
from vmz.layouts.tables import LAYOUTS
from vmz.models.blocks import factorised_width

State = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def state() -> State:
    return dict(vmz.convert(random_weights("r2plus1d", 18), "ig65m").tensors)


@pytest.mark.parametrize("prefix", [*PREFIXES, "module.model.", "_orig_mod.module."])
def test_prefixes_of_wrappers_and_counters(state: State, prefix: str) -> None:
    counted = {**state, "stem.1.num_batches_tracked": np.array(7)}
    found = vmz.convert_from({f"{prefix}{key}": array for key, array in counted.items()})
    assert found.network == "r2plus1d-18" and len(found.tensors) == len(state)


def test_our_own_names_in_a_wrapper() -> None:
    blobs = random_weights("r3d", 10)
    found = vmz.convert_from({f"module.{name}": array for name, array in blobs.items()})
    assert (found.layout, found.network) == ("vmz", "r3d-10") and sorted(found.tensors) == sorted(blobs)
    assert plain_keys({"module.a": 1, "b": 2}) == {"module.a": 1, "b": 2}


def test_missing_and_left_over_keys_are_named(state: State) -> None:
    lacking = {key: array for key, array in state.items() if key not in ("fc.bias", "layer3.1.conv2.0.1.running_var")}
    with pytest.raises(VmzError, match=r"of ig65m; missing: fc\.bias, layer3\.1\.conv2\.0\.1\.running_var$"):
        vmz.convert_from(lacking)
    with pytest.raises(VmzError, match=r"left over: head\.extra, layer9\.0"):
        vmz.convert_from({**state, "head.extra": np.ones(3), "layer9.0": np.ones(3)})
    with pytest.raises(VmzError, match=r"has 2, 2, 2, 0 blocks in its four stages"):
        vmz.convert_from({key: array for key, array in state.items() if not key.startswith("layer4.")})
    with pytest.raises(VmzError, match=r"left over: n_averaged"):
        vmz.convert_from({**state, "n_averaged": np.array(3)})


def test_a_tensor_of_another_shape_is_named(state: State) -> None:
    with pytest.raises(VmzError, match=r"1 tensor that is not .* layer1\.0\.conv1\.1\.weight is 63 in the file, 64 in"):
        vmz.convert_from({**state, "layer1.0.conv1.1.weight": np.ones(63, np.float32)})
    with pytest.raises(UsageError, match="but no network of VMZ has its shapes"):
        vmz.convert_from({**state, "layer1.0.conv1.0.0.weight": np.ones((9, 9, 9, 9, 9), np.float32)})


def test_torchvision_s_own_r2plus1d_is_refused_with_the_reason(state: State) -> None:
    """Its 18 shapes of another width, in our state dict."""
    for stage, (channels, out) in zip((2, 3, 4), ((64, 128), (128, 256), (256, 512))):
        width, key = factorised_width(channels, out), f"layer{stage}.0.conv2.0"
        state = {
            **state,
            f"{key}.0.weight": np.ones((width, out, 1, 3, 3), np.float32),
            f"{key}.3.weight": np.ones((out, width, 3, 1, 1), np.float32),
            **{f"{key}.1.{part}": np.ones(width, np.float32) for part in ("weight", "bias", "running_mean")},
            f"{key}.1.running_var": np.ones(width, np.float32),
        }
    with pytest.raises(UsageError, match=r"once a block.*18 shapes differ.*layer2\.0\.conv2\.0\.0\.weight, 230x128x1"):
        vmz.convert_from(state)


def test_torchvision_s_module_itself() -> None:
    video = torchvision_video()
    with pytest.raises(UsageError, match=r"torchvision's own R\(2\+1\)D.*18 shapes differ"):
        vmz.convert_from(video.r2plus1d_18().state_dict())


OTHERS: dict[str, tuple[list[str], str]] = {
    "mmaction2's R(2+1)D": (["backbone.conv1.conv.conv_s.weight", "backbone.layer1.0.conv1.conv.conv_s.weight"], "83"),
    "pytorchvideo's r2plus1d": (
        ["blocks.0.conv.weight", "blocks.1.res_blocks.0.branch2.conv_b.conv_xy.weight"],
        "create_r2plus1d",
    ),
    "slowfast": (["blocks.0.multipathway_blocks.0.conv.weight"], "SlowFast"),
    "images": (["conv1.weight", "layer1.0.conv1.weight", "fc.weight"], "a ResNet of images"),
    "anything": (["encoder.layer.0.weight"], r"it has encoder\.layer\.0\.weight"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_networks_are_named(name: str) -> None:
    keys, says = OTHERS[name]
    with pytest.raises(UsageError, match=rf"of no layout that VMZ converts \(.*{says}.*known are torchvision: "):
        vmz.convert_from({key: np.ones((64, 3, 1, 1, 1), np.float32) for key in keys})


def test_pytorchvideo_s_other_networks() -> None:
    """Of create_resnet: the keys of create_csn, but convolutions that are not depth-wise."""
    state = vmz.convert(random_weights("ir-csn", 50), "pytorchvideo").tensors
    slow: dict[str, Any] = dict(state)
    for key, array in state.items():
        if key.endswith("conv_b.weight"):
            slow[key] = np.ones((array.shape[0], array.shape[0], 3, 3, 3), np.float32)
    with pytest.raises(UsageError, match="but the shapes of r3d-50, which that does not compute; known are ir-csn"):
        vmz.convert_from(slow, eps=1e-5)


def test_names_of_blobs_have_no_dots() -> None:
    """By which ours and those of modules are told apart."""
    assert not any("." in name for name in (*FIRST_CONVOLUTIONS, *random_weights("ip-csn", 50)))
    with pytest.raises(UsageError, match="of no layout"):
        recognise({}, "nothing")
    assert all(layout.of and layout.networks for layout in LAYOUTS.values())
