"""Each op that NetBuilder writes, against the one that Caffe2's own CNNModelHelper writes."""

from __future__ import annotations

import logging
from typing import Any, Optional

import pytest

from tests.engines.real_caffe2 import needs_caffe2
from vmz.netdef.builder import NetBuilder
from vmz.netdef.json_form import net_to_json


def ours(use_cudnn: bool, limit: Optional[int], is_test: bool) -> Any:
    net = NetBuilder("ops", is_test=is_test, use_cudnn=use_cudnn, workspace_limit=limit)
    net.conv("data", "a", 3, 4, (1, 3, 3), strides=(1, 2, 2), pads=(0, 1, 1))
    net.conv("a", "b", 4, 5, (1, 1, 1), pads=None, bias=True)
    net.spatial_bn("b", "c", 5)
    net.spatial_bn("c", "d", 5, momentum=None)
    net.relu("d")
    net.sum(["c", "d"], "e")
    net.pool("MaxPool", "e", "f", (1, 3, 3), (1, 2, 2), (0, 1, 1))
    net.pool("AveragePool", "f", "g", (1, 7, 7), (1, 1, 1))
    net.dropout("g", "h")
    net.fc("h", "i", 5, 6)
    net.elementwise_linear("i", "j", 6)
    net.softmax("j", "k")
    return net.net


def theirs(use_cudnn: bool, limit: Optional[int], is_test: bool) -> Any:
    from caffe2.python import cnn

    logging.disable(logging.WARNING)  # that it is deprecated
    try:
        net = cnn.CNNModelHelper(
            order="NCHW", name="ops", use_cudnn=use_cudnn, cudnn_exhaustive_search=True, ws_nbytes_limit=limit
        )
    finally:
        logging.disable(logging.NOTSET)
    test = {"is_test": int(is_test)}
    net.ConvNd("data", "a", 3, 4, [1, 3, 3], strides=[1, 2, 2], pads=[0, 1, 1] * 2, no_bias=1)
    net.ConvNd("a", "b", 4, 5, [1, 1, 1], strides=[1, 1, 1])
    net.SpatialBN("b", "c", 5, epsilon=1e-3, momentum=0.9, **test)
    net.SpatialBN("c", "d", 5, epsilon=1e-3, **test)
    net.Relu("d", "d")
    net.Sum(["c", "d"], "e")
    net.MaxPool("e", "f", kernels=[1, 3, 3], strides=[1, 2, 2], pads=[0, 1, 1] * 2)
    net.AveragePool("f", "g", kernels=[1, 7, 7], strides=[1, 1, 1])
    net.Dropout("g", "h", **test)
    net.FC("h", "i", 5, 6)
    from caffe2.python import brew

    brew.elementwise_linear(net, "i", "j", 6)
    net.Softmax("j", "k")
    return net.net.Proto()


@needs_caffe2
@pytest.mark.parametrize("is_test", [False, True])
@pytest.mark.parametrize("limit", [None, 1 << 26])
@pytest.mark.parametrize("use_cudnn", [True, False])
def test_the_ops_are_those_of_the_helper(use_cudnn: bool, limit: Optional[int], is_test: bool) -> None:
    found, expected = (net_to_json(make(use_cudnn, limit, is_test))["op"] for make in (ours, theirs))
    for one, other in zip(found, expected):
        assert one == other
    assert len(found) == len(expected)
