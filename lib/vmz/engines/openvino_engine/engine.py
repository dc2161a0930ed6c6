"""OpenVINO as an engine: a workspace as the PyTorch engine's, whose imported net OpenVINO compiles and runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from vmz.engines.openvino_engine.compiled_net import CompiledNet, import_openvino
from vmz.engines.precisions import FP32
from vmz.engines.torch_engine.engine import TorchEngine, depends_on_time
from vmz.engines.torch_engine.graph.op import read_ops
from vmz.errors import UsageError


class OpenVinoEngine(TorchEngine):
    """Reads, feeds and fetches as the PyTorch engine does; OpenVINO computes what is fetched.

    precision: "fp32" or "bf16" (OpenVINO's: convolutions and what lies between them in bf16, scores in float32).
    Raises UsageError where OpenVINO is not installed, for another device than the CPU, and for a net with is_test=0.
    """

    def __init__(self, device: str = "cpu", precision: str = FP32) -> None:
        import_openvino()
        if device not in ("cpu", "auto"):
            raise UsageError(f"--engine=openvino computes on the CPU, not on {device}; use --device=cpu")
        super().__init__("cpu")
        self.precision = precision  # the checks of PyTorch's own bf16 do not hold here

    def load(self, init_net: Any, net: Any, *arguments: Any, **named: Any) -> None:
        if any(depends_on_time(op) for op in read_ops(net)):
            raise UsageError("--engine=openvino runs nets that test; this one trains: use --engine=pytorch or caffe2")
        super().load(init_net, net, *arguments, **named)

    def _prepared(self, inputs: Sequence[Tensor]) -> Any:
        return CompiledNet(self._imported, inputs, self.precision)

    def _function(self, module: CompiledNet) -> Any:
        return module.forward
