"""Builds a pair of NetDefs (param_init_net, net) op by op, with the names and arguments of Caffe2's own helpers.

One `NetBuilder` is one device's copy of a network: every blob is named inside `scope`, every op carries `device`.
Source of the conventions: Caffe2's CNNModelHelper and brew with order NCHW, as the VMZ builders used them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional, Union

from vmz.netdef.blob_names import is_scoped, scoped
from vmz.netdef.protos import CPU, Argument, DeviceOption, NetDef, OperatorDef

Value = Union[int, float, str, bytes, Sequence[int], Sequence[float], Sequence[str]]
Triple = tuple[int, int, int]

WEIGHT, BIAS, COMPUTED = "weight", "bias", "computed"


def make_argument(name: str, value: Value) -> Any:
    """An Argument proto in the field that Caffe2 chooses for the value's type: f, i, s, floats, ints or strings."""
    argument = Argument(name=name)
    if isinstance(value, float):
        argument.f = value
    elif isinstance(value, int):  # bool too: Caffe2 has no boolean argument
        argument.i = int(value)
    elif isinstance(value, (str, bytes)):
        argument.s = value.encode() if isinstance(value, str) else value
    elif all(isinstance(item, int) for item in value):
        argument.ints.extend(int(item) for item in value)  # type: ignore[arg-type]
    elif all(isinstance(item, (int, float)) for item in value):
        argument.floats.extend(float(item) for item in value)
    else:
        argument.strings.extend(item.encode() for item in value)  # type: ignore[union-attr]
    return argument


def get_arguments(message: Any) -> dict[str, Any]:
    """The arguments of an OperatorDef or NetDef as {name: int, float, str or list}; bytes that are text become str."""
    return {argument.name: _value(argument) for argument in message.arg}


def set_arguments(op: Any, **values: Value) -> None:
    """Give an OperatorDef arguments, each in place of one of its name."""
    kept = [argument for argument in op.arg if argument.name not in values]
    del op.arg[:]
    op.arg.extend([*kept, *(make_argument(name, value) for name, value in values.items())])


def _value(argument: Any) -> Any:
    for field in ("f", "i", "s"):
        if argument.HasField(field):
            value = getattr(argument, field)
            return value.decode("utf-8", "surrogateescape") if field == "s" else value
    for field in ("ints", "floats", "strings"):
        values = list(getattr(argument, field))
        if values:
            return [v.decode("utf-8", "surrogateescape") for v in values] if field == "strings" else values
    return []


def device_option(device_type: int = CPU, device_id: int = 0) -> Any:
    """Where an op runs: `device_type` protos.CPU or protos.CUDA; both fields are written, zero or not."""
    return DeviceOption(device_type=device_type, device_id=device_id)


def both_sides(pads: Sequence[int]) -> list[int]:
    """Padding before and after each of three axes: of three numbers, which hold for both, or of all six."""
    return [*pads, *pads] if len(pads) == 3 else list(pads)


def _given(**arguments: Any) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


class NetBuilder:
    """Adds ops to `net` and fills to `init_net`, and remembers which blobs are parameters.

    Blob names given to its methods are short ("conv1"); they are written inside `scope` ("gpu_0/conv1").
    `params` holds (blob, shape) of what is trained, `computed_params` of the running statistics, both in order of
    creation; `weights` and `biases` are the lists that decide weight decay. `workspace_limit`: bytes of scratch memory
    that cuDNN may take, written into the ops as CNNModelHelper does; None writes nothing.
    """

    def __init__(
        self,
        name: str,
        *,
        is_test: bool,
        scope: str = "",
        device: Any = None,
        use_cudnn: bool = True,
        workspace_limit: Optional[int] = None,
        nets: Optional[tuple[Any, Any]] = None,
    ) -> None:
        self.name, self.is_test, self.scope, self.use_cudnn = name, is_test, scope, use_cudnn
        self.device = device
        self._limit: dict[str, Any] = {} if workspace_limit is None else {"ws_nbytes_limit": workspace_limit}
        self.init_net, self.net = nets or (NetDef(name=f"{name}_init"), NetDef(name=name))
        self.params: list[tuple[str, tuple[int, ...]]] = []
        self.computed_params: list[tuple[str, tuple[int, ...]]] = []
        self.weights: list[str] = []
        self.biases: list[str] = []
        self._known = {blob for op in self.net.op for blob in op.output} | set(self.net.external_input)

    # Ops and parameters in general

    def scoped(self, blob: str) -> str:
        """The full name of a blob: inside the scope, unless it already is a full name."""
        return blob if is_scoped(blob) else scoped(blob, self.scope)

    def automatic_name(self, suffix: str) -> str:
        """The name Caffe2 gives to an output nobody named: scope / net name / op type."""
        return scoped(f"{self.name}/{suffix}", self.scope)

    def op(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        *,
        op_name: str = "",
        engine: str = "",
        **arguments: Value,
    ) -> str:
        """Append an op to the net; returns the full name of its first output. Unknown inputs become external inputs."""
        inputs, outputs = [self.scoped(b) for b in inputs], [self.scoped(b) for b in outputs]
        for blob in inputs:
            if blob not in self._known:
                self.net.external_input.append(blob)
                self._known.add(blob)
        self._known.update(outputs)
        self.net.op.append(self._make(kind, inputs, outputs, op_name, engine, arguments))
        return outputs[0]

    def _make(
        self,
        kind: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        op_name: str,
        engine: str,
        arguments: dict[str, Value],
    ) -> Any:
        op = OperatorDef(type=kind, input=inputs, output=outputs)
        op.arg.extend(make_argument(name, value) for name, value in arguments.items())
        if op_name:
            op.name = op_name
        if engine:
            op.engine = engine
        if self.device is not None:
            op.device_option.CopyFrom(self.device)
        return op

    def param(self, name: str, shape: Sequence[int], fill: str, role: str, **arguments: Value) -> str:
        """A parameter, its fill op in the init net; `role` is WEIGHT, BIAS or COMPUTED. Returns its full name."""
        blob, shape = self.scoped(name), tuple(int(side) for side in shape)
        self.init_net.op.append(self._make(fill, [], [blob], "", "", {"shape": list(shape), **arguments}))
        if role == COMPUTED:
            self.computed_params.append((blob, shape))
        else:
            self.params.append((blob, shape))
            (self.weights if role == WEIGHT else self.biases).append(blob)
        return blob

    def _cudnn(self) -> dict[str, Any]:
        """Engine and arguments of the ops which choose cuDNN by their engine field, and only by it."""
        engine = {"engine": "CUDNN"} if self.use_cudnn else {}
        return {**engine, "cudnn_exhaustive_search": 1, **self._limit}

    def _helper_arguments(self) -> dict[str, Any]:
        """What CNNModelHelper passes on to every op that does not look at it."""
        return {"order": "NCHW", "use_cudnn": int(self.use_cudnn), "cudnn_exhaustive_search": 1, **self._limit}

    # The ops of the networks

    def conv(
        self,
        blob: str,
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
    ) -> str:
        """3-D convolution `name` of an N,C,T,H,W blob; `pads` per axis or per side, None leaves the argument out.

        Depth-wise: group = channels, Caffe2's CHANNELWISE_3D engine, no cuDNN.
        """
        groups = channels_in if depthwise else 1
        inputs = [
            blob,
            self.param(f"{name}_w", (channels_out, channels_in // groups, *kernels), fill, WEIGHT, **fill_arguments),
        ]
        if bias:
            inputs.append(self.param(f"{name}_b", (channels_out,), "ConstantFill", BIAS))
        arguments: dict[str, Any] = {"order": "NCHW", "kernels": list(kernels), "strides": list(strides)}
        if pads is not None:
            arguments["pads"] = both_sides(pads)
        if depthwise:
            arguments.update(group=groups, engine="CHANNELWISE_3D")
        elif self.use_cudnn:
            arguments.update(engine="CUDNN", exhaustive_search=1, **self._limit)
        return self.op("Conv", inputs, [name], **arguments)

    def conv_2d(
        self,
        blob: str,
        name: str,
        channels_in: int,
        channels_out: int,
        kernel: int,
        *,
        stride: Optional[int] = None,
        pad: Optional[int] = None,
        bias: bool = False,
        fill: str = "MSRAFill",
    ) -> str:
        """2-D convolution `name` of an N,C,H,W blob, alike on both axes; None leaves an argument to the operator."""
        inputs = [blob, self.param(f"{name}_w", (channels_out, channels_in, kernel, kernel), fill, WEIGHT)]
        if bias:
            inputs.append(self.param(f"{name}_b", (channels_out,), "ConstantFill", BIAS))
        arguments: dict[str, Any] = {"order": "NCHW", "kernel": kernel, **_given(stride=stride, pad=pad)}
        if self.use_cudnn:
            arguments.update(engine="CUDNN", exhaustive_search=1, **self._limit)
        return self.op("Conv", inputs, [name], **arguments)

    def spatial_bn(self, blob: str, name: str, channels: int, *, momentum: Optional[float] = 0.9) -> str:
        """SpatialBN `name`, epsilon 1e-3; `momentum` None leaves the argument to the operator's default (0.9 too)."""
        learnt = [
            self.param(f"{name}_s", (channels,), "ConstantFill", WEIGHT, value=1.0),
            self.param(f"{name}_b", (channels,), "ConstantFill", BIAS, value=0.0),
        ]
        running = [
            self.param(f"{name}_rm", (channels,), "ConstantFill", COMPUTED, value=0.0),
            self.param(f"{name}_riv", (channels,), "ConstantFill", COMPUTED, value=1.0),
        ]
        outputs = [name] if self.is_test else [name, *running, f"{name}_sm", f"{name}_siv"]
        arguments: dict[str, Any] = {"epsilon": 1e-3, "is_test": int(self.is_test), **self._helper_arguments()}
        if momentum is not None:
            arguments["momentum"] = momentum
        return self.op("SpatialBN", [blob, *learnt, *running], outputs, **arguments)

    def relu(self, blob: str) -> str:
        """In place, as everywhere in these networks."""
        return self.op("Relu", [blob], [blob], order="NCHW", **self._cudnn())

    def sum(self, blobs: Sequence[str], name: str) -> str:
        return self.op("Sum", blobs, [name], **self._helper_arguments())

    def pool(
        self, kind: str, blob: str, name: str, kernels: Triple, strides: Triple, pads: Optional[Triple] = None
    ) -> str:
        """`kind` MaxPool or AveragePool."""
        arguments: dict[str, Any] = {"order": "NCHW", "kernels": list(kernels), "strides": list(strides)}
        if pads is not None:
            arguments["pads"] = [*pads, *pads]
        return self.op(kind, [blob], [name], **arguments, **self._cudnn())

    def max_pool_2d(self, blob: str, name: str, kernels: tuple[int, int]) -> str:
        """MaxPool of an N,C,H,W blob, stride 1."""
        return self.op("MaxPool", [blob], [name], order="NCHW", kernels=list(kernels), stride=1, **self._cudnn())

    def concat(self, blobs: Sequence[str], name: str) -> str:
        """`name`: the blobs one after the other along their channels."""
        arguments = {"use_cudnn": int(self.use_cudnn), "cudnn_exhaustive_search": 1, **self._limit}
        return self.op("Concat", blobs, [name, f"_{name}_concat_dims"], axis=1, **arguments)

    def dropout(self, blob: str, name: str) -> str:
        """Half of the values, the operator's default ratio."""
        outputs = [name, f"_{name}_mask"]
        arguments = {"engine": "DEFAULT", **self._cudnn()}
        return self.op("Dropout", [blob], outputs, is_test=int(self.is_test), order="NCHW", **arguments)

    def fc(
        self, blob: str, name: str, dim_in: int, dim_out: int, fill: str = "XavierFill", **fill_arguments: Value
    ) -> str:
        weight = self.param(f"{name}_w", (dim_out, dim_in), fill, WEIGHT, **fill_arguments)
        bias = self.param(f"{name}_b", (dim_out,), "ConstantFill", BIAS)
        return self.op("FC", [blob, weight, bias], [name], **self._helper_arguments())

    def softmax(self, blob: str, name: str) -> str:
        return self.op("Softmax", [blob], [name], order="NCHW", **self._cudnn())

    def elementwise_linear(self, blob: str, name: str, dim: int) -> str:
        """name = blob * w + b, a weight and a bias for each of the last axis' `dim` values."""
        weight = self.param(f"{name}_w", (dim,), "ConstantFill", WEIGHT, value=1.0)
        bias = self.param(f"{name}_b", (dim,), "ConstantFill", BIAS, value=0.0)
        return self.op("ElementwiseLinear", [blob, weight, bias], [name], **self._helper_arguments())
