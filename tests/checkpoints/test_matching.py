from __future__ import annotations

import numpy as np
import pytest

from vmz.checkpoints.matching import check, match
from vmz.errors import UsageError, VmzError

RANDOM = np.random.RandomState(0)
NET = [
    ("gpu_0/conv1_w", (8, 3, 3, 7, 7)),
    ("gpu_0/conv1_spatbn_relu_s", (8,)),
    ("gpu_0/comp_0_conv_1_w", (8, 8, 1, 3, 3)),
    ("gpu_0/last_out_L101_w", (101, 8)),
    ("gpu_0/last_out_L101_b", (101,)),
]


def arrays(net: list = NET, **others: np.ndarray) -> dict[str, np.ndarray]:
    return {**{blob[6:]: RANDOM.randn(*shape).astype(np.float32) for blob, shape in net}, **others}


def test_copy_by_name_whatever_the_scope() -> None:
    blobs = arrays(conv1_w_momentum=np.zeros(3), lr=np.float32(0.1))
    fitted, report = match(blobs, NET)
    assert list(fitted) == [blob for blob, _ in NET]
    np.testing.assert_array_equal(fitted["gpu_0/conv1_w"], blobs["conv1_w"])
    assert len(report.copied) == 5 and not report.adapted and not report.missing and not report.mismatched
    assert report.unused == ("lr",) and report.training_state == 1
    check(report, "a.pkl")
    assert report.summary().startswith("loaded 5 parameters; 0 adapted, 0 missing, 0 shape mismatches, 1 unused")


@pytest.mark.parametrize("shape", [(8, 3, 7, 7), (8, 3, 1, 7, 7)])
def test_inflate(shape: tuple[int, ...]) -> None:
    still = RANDOM.randn(*shape).astype(np.float32)
    fitted, report = match(arrays(conv1_w=still), NET)
    weight = fitted["gpu_0/conv1_w"]
    assert weight.shape == (8, 3, 3, 7, 7) and weight.dtype == np.float32
    np.testing.assert_array_equal(weight[:, :, 0], still.reshape(8, 3, 7, 7) / np.float32(3))
    np.testing.assert_array_equal(weight[:, :, 0], weight[:, :, 2])
    assert report.adapted == {"conv1_w": "inflated to 3 frames"}

    centred = match(arrays(conv1_w=still), NET, center_init=True)[0]["gpu_0/conv1_w"]
    np.testing.assert_array_equal(centred[:, :, 1], still.reshape(8, 3, 7, 7))
    assert not centred[:, :, [0, 2]].any()


def test_between_two_and_three_dimensions() -> None:
    weight = RANDOM.randn(8, 8, 3, 3).astype(np.float32)
    fitted, _ = match({"a_w": weight}, [("a_w", (8, 8, 1, 3, 3))])
    np.testing.assert_array_equal(fitted["a_w"][:, :, 0], weight)
    fitted, report = match({"a_w": weight[:, :, None]}, [("a_w", (8, 8, 3, 3))])
    np.testing.assert_array_equal(fitted["a_w"], weight)
    assert report.adapted == {"a_w": "3-D to 2-D"}


def test_fully_connected_to_convolution() -> None:
    weight = RANDOM.randn(101, 8).astype(np.float32)
    fitted, report = match({"last_out_L101_w": weight}, [("last_out_L101_w", (101, 8, 1, 1, 1))])
    np.testing.assert_array_equal(fitted["last_out_L101_w"][..., 0, 0, 0], weight)
    assert report.adapted == {"last_out_L101_w": "fully connected to 1x1x1 convolution"}


@pytest.mark.parametrize("name", ["conv1_w", "conv1_middle_w"])
def test_bgr_to_rgb_flips_the_first_convolution_only(name: str) -> None:
    net = [(f"gpu_0/{name}", (8, 3, 3, 7, 7)), ("gpu_0/comp_0_conv_1_w", (8, 3, 1, 3, 3))]
    if name == "conv1_middle_w":
        net.append(("gpu_0/conv1_w", (8, 3, 3, 1, 1)))
    blobs = arrays(net)
    fitted, report = match(blobs, net, bgr2rgb=True)
    np.testing.assert_array_equal(fitted[f"gpu_0/{name}"][:, 0], blobs[name][:, 2])
    np.testing.assert_array_equal(fitted["gpu_0/comp_0_conv_1_w"], blobs["comp_0_conv_1_w"])
    assert report.adapted == {name: "BGR to RGB"}


def test_bgr_to_rgb_where_it_makes_no_sense() -> None:
    with pytest.raises(UsageError, match="2 input channels"):
        match({"conv1_w": np.zeros((8, 2, 3, 7, 7))}, [("conv1_w", (8, 2, 3, 7, 7))], bgr2rgb=True)
    with pytest.raises(UsageError, match="needs a first convolution"):
        match({"fc_w": np.zeros((8, 2))}, [("fc_w", (8, 2))], bgr2rgb=True)


def test_a_file_that_matches_nothing() -> None:
    _, report = match({"res_conv1_w": np.zeros(3)}, NET)
    with pytest.raises(
        VmzError, match=r"a.pkl fills none of the network's 5 blobs; it contains res_conv1_w; .*allow_partial"
    ):
        check(report, "a.pkl", new_head=True)
    check(report, "a.pkl", allow_partial=True)


def test_a_trunk_left_at_its_initial_values() -> None:
    blobs = arrays(conv1_w=np.zeros((8, 3, 5, 7, 7)))
    del blobs["conv1_spatbn_relu_s"]
    fitted, report = match(blobs, NET)
    assert "gpu_0/conv1_w" not in fitted
    assert report.mismatched == {"conv1_w": ((8, 3, 5, 7, 7), (8, 3, 3, 7, 7))}
    for new_head in (False, True):
        with pytest.raises(
            VmzError, match=r"leave 2 of the network's 5 blobs .*conv1_spatbn_relu_s, conv1_w.*\(8, 3, 5, 7, 7\)"
        ):
            check(report, "a.pkl", new_head=new_head)
    assert "conv1_w: (8, 3, 5, 7, 7) in the file, (8, 3, 3, 7, 7) in the network" in report.summary()


def test_a_head_of_other_labels() -> None:
    blobs = arrays(
        [(blob.replace("L101", "L400"), (400, *shape[1:])) if "L101" in blob else (blob, shape) for blob, shape in NET]
    )
    _, report = match(blobs, NET)
    with pytest.raises(VmzError, match="trained for 400 labels, but the network has --num_labels=101"):
        check(report, "a.pkl")
    check(report, "a.pkl", new_head=True)


def test_no_head() -> None:
    blobs = arrays()
    del blobs["last_out_L101_w"]
    _, report = match(blobs, NET)
    with pytest.raises(VmzError, match="lacks the classifier last_out_L101_w"):
        check(report, "a.pkl")
