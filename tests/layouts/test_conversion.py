"""Both ways, against the modules of the libraries: the same logits in float64, every tensor used once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import vmz
from tests.layouts.modules import (
    Recogniser,
    ResNet3dCSN,
    VideoResNet,
    depthwise,
    factorised,
    full,
    pointwise_then_depthwise,
    randomised,
)
from tests.layouts.packages import pytorchvideo_csn, torchvision_video
from vmz.checkpoints.seeded import seeded_weights
from vmz.errors import UsageError, VmzError
from vmz.layouts.recognition import config_of
from vmz.layouts.tables import LAYOUTS
from vmz.model.module import VideoModel
from vmz.models.config import ModelConfig
from vmz.models.registry import build

CLASSES = 7
FRAMES, LONG_FRAMES = 2, 8  # the second is the least with which all stages stride in time
MOST = 1e-11  # of the logits' scale, in float64: what is left is the order of sums


def torchvision_module(name: str) -> nn.Module:
    module: nn.Module = getattr(torchvision_video(), name)(num_classes=CLASSES)
    return module


def pytorchvideo_module(depth: int) -> nn.Module:
    """Of clips of FRAMES frames: its default is one of 4, whose last stage does not stride in time."""
    module: nn.Module = pytorchvideo_csn().create_csn(
        model_depth=depth, model_num_class=CLASSES, stage_temporal_stride=(1, 2, 2, 2), head_activation=None
    )
    return module


# {what: (layout, network, tensors, module)}
CASES: dict[str, tuple[str, tuple[str, int], int, Callable[[], nn.Module]]] = {
    "torchvision r3d_18": ("torchvision", ("r3d", 18), 102, partial(torchvision_module, "r3d_18")),
    "torchvision mc3_18": ("torchvision", ("mc3", 18), 102, partial(torchvision_module, "mc3_18")),
    "ig65m r2plus1d_18": ("ig65m", ("r2plus1d", 18), 187, partial(VideoResNet, factorised, 18, CLASSES)),
    "ig65m r2plus1d_34": ("ig65m", ("r2plus1d", 34), 347, partial(VideoResNet, factorised, 34, CLASSES)),
    "original r2plus1d_50": (
        "original-pytorch", ("r2plus1d", 50), 352, partial(VideoResNet, factorised, 50, CLASSES)
    ),
    "original ir_csn_50": ("original-pytorch", ("ir-csn", 50), 267, partial(VideoResNet, depthwise, 50, CLASSES)),
    "original ip_csn_50": (
        "original-pytorch", ("ip-csn", 50), 347, partial(VideoResNet, pointwise_then_depthwise, 50, CLASSES)
    ),
    "original ip_csn_101": (
        "original-pytorch", ("ip-csn", 101), 687, partial(VideoResNet, pointwise_then_depthwise, 101, CLASSES)
    ),
    "original ir_csn_152": (
        "original-pytorch", ("ir-csn", 152), 777, partial(VideoResNet, depthwise, 152, CLASSES)
    ),
    "pytorchvideo csn_50": ("pytorchvideo", ("ir-csn", 50), 267, partial(pytorchvideo_module, 50)),
    "pytorchvideo csn_101": ("pytorchvideo", ("ir-csn", 101), 522, partial(pytorchvideo_module, 101)),
    "mmaction2 ircsn_50": ("mmaction2", ("ir-csn", 50), 267, partial(Recogniser, 50, "ir", CLASSES)),
    "mmaction2 ipcsn_50": ("mmaction2", ("ip-csn", 50), 347, partial(Recogniser, 50, "ip", CLASSES)),
    "r3d-34 as torchvision's": ("torchvision", ("r3d", 34), 182, partial(VideoResNet, full, 34, CLASSES)),
    "r3d-50 as torchvision's": ("torchvision", ("r3d", 50), 267, partial(VideoResNet, full, 50, CLASSES)),
}  # fmt: skip
LONG = ("ig65m r2plus1d_34", "original r2plus1d_50", "original ir_csn_152", "original ip_csn_101", "r3d-34", "r3d-50")
cases = pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.long] if case.startswith(LONG) else []) for case in CASES]
)


def as_arrays(module: nn.Module) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in module.state_dict().items()}


def as_tensors(state: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {key: torch.from_numpy(np.array(array)) for key, array in state.items()}


def random_weights(name: str, depth: int, **arguments: Any) -> dict[str, np.ndarray]:
    model = build(ModelConfig(name, depth, num_labels=CLASSES, **arguments))
    return seeded_weights([*model.params, *model.computed_params])


def clip(frames: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(3)
    return torch.randn(1, 3, frames, 112, 112, generator=random, dtype=torch.float64)


def difference(module: nn.Module, blobs: Mapping[str, np.ndarray], frames: int = FRAMES) -> float:
    """The largest of a logit, as a share of the logits' scale."""
    told = config_of(blobs)
    assert told is not None
    config = ModelConfig(told.model_name, told.model_depth, told.num_labels, clip_length=frames)
    with torch.no_grad():
        expected = module.double()(clip(frames)).numpy()
        found = VideoModel(config, blobs).double()(clip(frames)).numpy()
    assert expected.std() > 0.05  # the comparison can fail
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.long
@cases
def test_the_same_logits_and_every_tensor_once(case: str) -> None:
    layout, (name, depth), count, make = CASES[case]
    module = randomised(make())
    state = as_arrays(module)
    found = vmz.convert_from(state, eps=None if LAYOUTS[layout].epsilon else 1e-3)
    assert (found.network, found.layout, found.eps) == (f"{name}-{depth}", "vmz", 1e-3)
    assert found.notes[0] == f"layout of {layout}" and len(found.tensors) == count
    used = [key for key in state if not key.endswith("num_batches_tracked")]
    assert len(used) == count
    again = vmz.convert(found.tensors, layout)
    assert sorted(again.tensors) == sorted(used) and again.eps == 1e-3 and again.network == found.network
    for key in used:
        np.testing.assert_array_equal(again.tensors[key], state[key])
    fresh = randomised(make(), seed=1)
    fresh.load_state_dict(as_tensors(again.tensors))
    assert difference(fresh, found.tensors, LONG_FRAMES if case.startswith(LONG) else FRAMES) < MOST


@pytest.mark.long
@pytest.mark.parametrize("name", ["r3d_18", "mc3_18"])
def test_another_epsilon_is_worked_into_the_scales(name: str) -> None:
    module = randomised(torchvision_module(name), eps=1e-5)
    found = vmz.convert_from(as_arrays(module), eps=1e-5)
    assert "scales changed from batch norms of eps 1e-05 to 0.001" in found.notes
    copied = vmz.convert_from(as_arrays(module), eps=1e-3)
    assert difference(module, found.tensors) < 1e-5  # scales are float32
    assert difference(module, copied.tensors) > 1e-3  # what forgetting it costs
    back = vmz.convert(found.tensors, "torchvision", eps=1e-5)
    assert back.eps == back.about["eps"] == 1e-5
    for key, array in back.tensors.items():
        np.testing.assert_allclose(array, module.state_dict()[key].float().numpy(), rtol=1e-6)


def test_the_epsilon_is_asked_for_where_nothing_says_it() -> None:
    state = vmz.convert(random_weights("r3d", 18), "torchvision").tensors
    with pytest.raises(UsageError, match=r"r3d-18 in the layout of torchvision, but does not say the epsilon .*1e-05"):
        vmz.convert_from(state)
    for wrong in (0, -1.0, 2, float("nan")):
        with pytest.raises(UsageError, match="the epsilon of a batch norm is more than 0"):
            vmz.convert_from(state, eps=wrong)


def test_a_backbone_alone(tmp_path: Any) -> None:
    for mode, count in (("ir", 265), ("ip", 345)):
        module = randomised(ResNet3dCSN(50, mode))
        found = vmz.convert_from(as_arrays(module))
        assert len(found.tensors) == count and "there is no classifier in it" in found.notes
        again = vmz.convert(found.tensors, "mmaction2")
        state = as_tensors({key[len("backbone.") :]: array for key, array in again.tensors.items()})
        ResNet3dCSN(50, mode).load_state_dict(state)
        with torch.no_grad():
            expected = module.double()(clip(FRAMES)).mean((2, 3, 4)).numpy()
            config = ModelConfig(f"{mode}-csn", 50, num_labels=CLASSES, clip_length=FRAMES)
            features = VideoModel(config, found.tensors, features_only=True).double()(clip(FRAMES)).numpy()
        assert np.abs(features - expected).max() < MOST * np.abs(expected).max()


@pytest.mark.parametrize(
    ("name", "depth", "arguments", "to", "says"),
    [
        ("r2plus1d", 18, {}, "torchvision", r"middle width .*once a block.*230 channels there, 288 here.*--to=ig65m"),
        (
            "r2plus1d",
            50,
            {},
            "ig65m",
            r"r2plus1d-50, which ig65m-pytorch's r2plus1d_34 cannot compute; it has r2",
        ),
        ("ir-csn", 26, {}, "original-pytorch", "bottlenecks of depth 26 are as wide outside as inside"),
        ("ip-csn", 50, {}, "pytorchvideo", "ip-csn-50, which pytorchvideo's create_csn cannot compute"),
        ("r3d", 18, {}, "mmaction2", "r3d-18, which mmaction2's ResNet3dCSN"),
        ("r3d", 18, {"channel_multiplier": 0.5}, "torchvision", "with channel_multiplier=0.5, but"),
        ("r3d", 18, {"num_channels": 2}, "torchvision", "with num_channels=2, but"),
        ("r3d", 18, {"conv1_temporal_kernel": 5}, "torchvision", "with conv1_temporal_kernel=5, but"),
        ("r3d", 18, {"multi_label": True}, "torchvision", "with multi_label=1, but"),
        ("c3d", 18, {}, "torchvision", "is c3d-18, which|no blobs of a residual network"),
        ("rmc3", 18, {}, "torchvision", "rmc3-18, which torchvision's"),
        ("r3d", 18, {}, "pytorch", "unknown layout 'pytorch'; choose from: torchvision, ig65m,"),
    ],
)
def test_what_a_library_cannot_compute_is_refused(
    name: str, depth: int, arguments: dict[str, Any], to: str, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        vmz.convert(random_weights(name, depth, **arguments), to)


def test_blobs_missing_and_left_over() -> None:
    blobs = random_weights("r3d", 10)
    lacking = {name: array for name, array in blobs.items() if name != "comp_1_spatbn_2_rm"}
    with pytest.raises(VmzError, match="missing: comp_1_spatbn_2_rm"):
        vmz.convert(lacking, "torchvision")
    with pytest.raises(VmzError, match="left over: mine"):
        vmz.convert({**blobs, "mine": np.ones(3, np.float32)}, "torchvision")
    with pytest.raises(UsageError, match="has no classifier"):
        vmz.convert({name: array for name, array in blobs.items() if "last_out" not in name}, "torchvision")
    state = {**blobs, "conv1_w_momentum": blobs["conv1_w"], "optimizer_iteration": np.array([3])}
    assert "2 blobs of training state left out" in vmz.convert(state, "torchvision").notes


def test_a_model_at_hand_and_a_classifier_that_is_a_convolution() -> None:
    config = ModelConfig("ir-csn", 50, num_labels=CLASSES, crop_size=256, use_pool1=True, use_convolutional_pred=True)
    model = VideoModel(config)
    found = vmz.convert(model, "pytorchvideo")
    assert found.tensors["blocks.5.proj.weight"].shape == (CLASSES, 2048)
    np.testing.assert_array_equal(found.tensors["blocks.0.conv.weight"], model.state_dict()["conv1_w"].numpy())
