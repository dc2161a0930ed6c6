"""Settings of a net that runs forward: the engine, and in which numbers and which order in memory it computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from vmz.engines.engine import Engine
from vmz.engines.precisions import FP32, INFERENCE, check_inference
from vmz.engines.registry import open_engine
from vmz.settings.engine import EngineSettings, device_name
from vmz.settings.kinds import switch
from vmz.settings.setting import setting


@dataclass(frozen=True)
class InferenceSettings(EngineSettings):
    """What runs a net forward, where and in which numbers. UsageError for what the engine cannot do."""

    precision: str = setting(
        FP32,
        "number format in which the network runs; scores are fp32. bf16 is about twice as fast on a CPU with AVX-512 "
        "BF16 or AMX and on recent GPUs; tf32 and fp16 are for GPUs. docs/internals/precision.md has the cost in "
        "accuracy. --engine=caffe2 takes fp32, --engine=openvino fp32 and bf16",
        str,
        INFERENCE,
    )
    channels_last: Optional[int] = setting(
        None,
        "1: store clips and weights with channels last (--engine=pytorch only); by default 1 on the CPU, where the "
        "fastest convolutions need it, and 0 on a GPU",
        switch,
    )

    kernels: int = setting(
        0,
        "1: run depth-wise and 1x1x1 convolutions as our own Triton kernels, on a GPU (--engine=pytorch only); not "
        "measured on a GPU yet, see docs/internals/gpu.md",
        switch,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_inference(self.engine, self.precision, self.channels_last, self.kernels)


def opened_engine(settings: InferenceSettings) -> Engine:
    """The engine that the settings name, on this process's device. Raises UsageError where there is none such."""
    device = device_name(settings)
    return open_engine(settings.engine, device, settings.precision, settings.channels_last, settings.kernels)
