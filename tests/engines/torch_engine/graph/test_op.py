from __future__ import annotations

import pytest

from tests.engines.small_nets import net, op
from vmz.engines.torch_engine import import_net
from vmz.engines.torch_engine.graph.fills import fill
from vmz.engines.torch_engine.graph.op import REGISTRY, operator
from vmz.errors import VmzError


def test_the_registry_refuses_a_duplicate() -> None:
    with pytest.raises(ValueError, match="operator Relu is registered twice"):
        operator("Relu")(lambda op, x: x)
    with pytest.raises(ValueError, match="fill MSRAFill is registered twice"):
        fill("MSRAFill")(lambda op, shape, generator: None)  # type: ignore[arg-type, return-value]


def test_an_unknown_operator_is_named_with_its_output_and_what_is_known() -> None:
    with pytest.raises(VmzError) as caught:
        import_net(net(op("Relu", "x", "y"), op("LSTM", "y", "gpu_0/z")))
    assert "operator LSTM (number 1 of the net, output gpu_0/z) is not supported" in str(caught.value)
    assert ", ".join(sorted(REGISTRY)) in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (op("Conv", "x w", "y", kernels=[1, 1, 1], legacy_pad=4), r"operator Conv .*output y.* argument legacy_pad=4"),
        (op("Relu", "x", "y", alpha=0.1), r"operator Relu .* argument alpha=0.1\S* is not supported"),
        (op("SoftmaxWithLoss", "x l", "y z", order="NHWC"), r"argument order='NHWC' is not supported.*only NCHW"),
        (op("Cast", "x", "y", to="COMPLEX"), r"argument to='COMPLEX' is not supported"),
        (op("MaxPool", "x", "y", kernels=[2, 2], dilations=[2, 2]), r"argument dilations=\[2, 2\] is not supported"),
        (op("Conv", "x w", "y", kernels=[3, 3, 3], pads=[1, 1]), r"argument pads=\[1, 1\] must have 6 numbers"),
        (
            op("Conv", "x w", "y", kernels=[3, 3, 3], strides=[1, 0, 1]),
            r"argument strides=\[1, 0, 1\] must be 3 positive",
        ),
        (op("Conv", "x w", "y"), r"argument kernels=\[0, 0\] must be"),
        (op("SpatialBN", "x s b m v", "y", is_test=1, num_batches=3), r"argument num_batches=3"),
        (op("Relu", "x z", "y"), r"operator Relu .* has 2 inputs, which is not supported"),
        (op("SoftmaxWithLoss", "x l w v", "y z"), r"has 4 inputs"),
    ],
)
def test_an_unsupported_argument_is_named_with_its_operator(bad: object, says: str) -> None:
    with pytest.raises(VmzError, match=says):
        import_net(net(bad))


def test_arguments_without_effect_are_accepted() -> None:
    harmless = {"cudnn_exhaustive_search": 1, "use_cudnn": 1, "ws_nbytes_limit": 64 << 20, "order": "NCHW"}
    import_net(net(op("Relu", "x", "y", **harmless), op("Conv", "y w", "z", kernel=1, exhaustive_search=1)))
