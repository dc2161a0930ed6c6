from __future__ import annotations

import pytest

from vmz.netdef.builder import NetBuilder, device_option, get_arguments, make_argument


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (1, "i"),
        (True, "i"),
        (0.5, "f"),
        ("NCHW", "s"),
        (b"\xff", "s"),
        ([1, 2], "ints"),
        ([0.5, 1], "floats"),
        (["a"], "strings"),
    ],
)
def test_arguments_take_the_field_of_their_type(value: object, field: str) -> None:
    assert [f.name for f, _ in make_argument("x", value).ListFields()] == ["name", field]  # type: ignore[arg-type]


def test_scopes_devices_and_external_inputs() -> None:
    net = NetBuilder("n", is_test=True, scope="gpu_1", device=device_option(1, 1))
    blob = net.relu(net.conv("data", "conv1", 3, 8, (3, 3, 3), pads=(1, 1, 1)))
    assert blob == "gpu_1/conv1"
    assert list(net.net.external_input) == ["gpu_1/data", "gpu_1/conv1_w"]
    assert (net.net.op[0].device_option.device_type, net.net.op[0].device_option.device_id) == (1, 1)
    assert net.params == [("gpu_1/conv1_w", (8, 3, 3, 3, 3))] and net.weights == ["gpu_1/conv1_w"]
    assert NetBuilder("n", is_test=True).automatic_name("Scale") == "n/Scale"


def test_training_batch_norm_writes_its_statistics_back() -> None:
    net = NetBuilder("n", is_test=False)
    net.spatial_bn("x", "bn", 4)
    assert list(net.net.op[0].output) == ["bn", "bn_rm", "bn_riv", "bn_sm", "bn_siv"]
    assert get_arguments(net.net.op[0])["momentum"] == pytest.approx(0.9)
    assert [blob for blob, _ in net.computed_params] == ["bn_rm", "bn_riv"] and net.biases == ["bn_b"]


def test_without_cudnn_no_engine_is_written() -> None:
    net = NetBuilder("n", is_test=True, use_cudnn=False)
    net.conv("data", "conv1", 3, 8, (1, 1, 1))
    assert net.net.op[0].engine == "" and "exhaustive_search" not in get_arguments(net.net.op[0])
