"""The net builder's interface over a model helper of Caffe2: our networks, added to the model that a program has.

The helper gives what is its own: the current name and device scope, cuDNN and its limits, whether parameters are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from vmz.errors import UsageError
from vmz.netdef.builder import NetBuilder, Triple, Value, both_sides


class HelperNet(NetBuilder):
    """Adds ops and parameters to `model`, a CNNModelHelper, or a ModelHelper of the same interface.

    Blobs are BlobReferences, which are full names, or short names, to be taken in the current name scope. What
    NetBuilder keeps of parameters is kept by the model here. Raises UsageError where `model` is no such helper.
    """

    def __init__(self, model: Any, is_test: Any) -> None:
        for part in ("net", "param_init_net", "create_param"):
            if not hasattr(model, part):
                raise UsageError(
                    f"a {type(model).__name__} is not a model helper of Caffe2: it has no {part}; give a "
                    "caffe2.python.cnn.CNNModelHelper"
                )
        super().__init__(str(model.net.Name()), is_test=bool(is_test))
        self.model = model

    def scoped(self, blob: Any) -> Any:
        return blob

    def automatic_name(self, suffix: str) -> str:
        return str(self.model.net.NextName(suffix))

    def op(
        self,
        kind: str,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        *,
        op_name: str = "",
        engine: str = "",
        **arguments: Value,
    ) -> Any:
        given: dict[str, Any] = {**({"name": op_name} if op_name else {}), **({"engine": engine} if engine else {})}
        made = getattr(self.model.net, kind)(list(inputs), list(outputs), **given, **arguments)
        return made[0] if isinstance(made, (list, tuple)) else made

    def conv(
        self,
        blob: Any,
        name: str,
        channels_in: int,
        channels_out: int,
        kernels: Triple,
        *,
        strides: Triple = (1, 1, 1),
        pads: Optional[Sequence[int]] = (0, 0, 0),
        bias: bool = False,
        depthwise: bool = False,
        fill: str = "MSRAFill",
        **fill_arguments: Value,
    ) -> Any:
        arguments: dict[str, Any] = {"weight_init": (fill, fill_arguments), "strides": list(strides)}
        if pads is not None:
            arguments["pads"] = both_sides(pads)
        positional = (blob, name, channels_in, channels_out, list(kernels))
        if depthwise:
            own = {"group": channels_in, "use_cudnn": False, "engine": "CHANNELWISE_3D"}
            return _brew().conv_nd(self.model, *positional, no_bias=int(not bias), **arguments, **own)
        return self._call("ConvNd", "conv_nd", *positional, no_bias=int(not bias), **arguments)

    def conv_2d(
        self,
        blob: Any,
        name: str,
        channels_in: int,
        channels_out: int,
        kernel: int,
        *,
        stride: Optional[int] = None,
        pad: Optional[int] = None,
        bias: bool = False,
        fill: str = "MSRAFill",
    ) -> Any:
        window = {name: value for name, value in (("stride", stride), ("pad", pad)) if value is not None}
        positional = (blob, name, channels_in, channels_out, kernel)
        return self._call("Conv", "conv", *positional, weight_init=(fill, {}), no_bias=int(not bias), **window)

    def spatial_bn(self, blob: Any, name: str, channels: int, *, momentum: Optional[float] = 0.9) -> Any:
        arguments = {} if momentum is None else {"momentum": momentum}
        test = int(self.is_test)
        return self._call("SpatialBN", "spatial_bn", blob, name, channels, epsilon=1e-3, is_test=test, **arguments)

    def relu(self, blob: Any) -> Any:
        return self._call("Relu", "relu", blob, blob)

    def sum(self, blobs: Sequence[Any], name: str) -> Any:
        return self._call("Sum", "sum", list(blobs), name)

    def pool(
        self, kind: str, blob: Any, name: str, kernels: Triple, strides: Triple, pads: Optional[Triple] = None
    ) -> Any:
        arguments = {} if pads is None else {"pads": both_sides(pads)}
        helper = {"MaxPool": "max_pool", "AveragePool": "average_pool"}[kind]
        return self._call(kind, helper, blob, name, kernels=list(kernels), strides=list(strides), **arguments)

    def max_pool_2d(self, blob: Any, name: str, kernels: tuple[int, int]) -> Any:
        return self._call("MaxPool", "max_pool", blob, name, kernels=list(kernels), stride=1)

    def concat(self, blobs: Sequence[Any], name: str) -> Any:
        return self._call("Concat", "concat", list(blobs), name, axis=1)

    def dropout(self, blob: Any, name: str) -> Any:
        return self._call("Dropout", "dropout", blob, name, is_test=int(self.is_test))

    def fc(
        self, blob: Any, name: str, dim_in: int, dim_out: int, fill: str = "XavierFill", **fill_arguments: Value
    ) -> Any:
        return self._call("FC", "fc", blob, name, dim_in, dim_out, weight_init=(fill, fill_arguments))

    def softmax(self, blob: Any, name: str) -> Any:
        return self._call("Softmax", "softmax", blob, name)

    def elementwise_linear(self, blob: Any, name: str, dim: int) -> Any:
        return _brew().elementwise_linear(self.model, blob, name, dim)

    def param(self, name: str, shape: Sequence[int], fill: str, role: str, **arguments: Value) -> Any:
        raise NotImplementedError("the model's own helpers make the parameters")

    def _call(self, method: str, helper: str, *positional: Any, **arguments: Any) -> Any:
        """Call the model's own method, or, where a ModelHelper has none, the helper of brew that it would call."""
        own = getattr(type(self.model), method, None)
        if own is not None:
            return own(self.model, *positional, **arguments)
        return getattr(_brew(), helper)(self.model, *positional, **arguments)


def _brew() -> Any:
    from caffe2.python import brew

    return brew
