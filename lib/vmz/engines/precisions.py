"""The number formats that a net is computed in, by name. `torch_engine.precision` carries them out.

fp32: float32 throughout. tf32: float32 whose products a GPU rounds to 10 bits. bf16, fp16: convolutions and what lies
between them in 16 bits; weights are kept, and scores given, in float32.
"""

from __future__ import annotations

from vmz.errors import UsageError

FP32 = "fp32"
INFERENCE = (FP32, "tf32", "bf16", "fp16")
TRAINING = (FP32, "bf16", "fp16")


def check_inference(engine: str, precision: str, channels_last: object = None, kernels: object = 0) -> None:
    """Raise UsageError where the engine called `engine` runs no net like this, on any device."""
    if precision not in INFERENCE:
        raise UsageError(f"unknown precision {precision!r}; the precisions are {', '.join(INFERENCE)}")
    if kernels and engine != "pytorch":
        raise UsageError("--kernels=1 needs --engine=pytorch: the kernels are PyTorch's and Triton's")
    if engine == "openvino":
        if precision not in (FP32, "bf16"):
            raise UsageError(f"--precision={precision} needs --engine=pytorch: OpenVINO computes in fp32 or bf16 here")
        if channels_last is not None:
            raise UsageError("--channels_last needs --engine=pytorch: OpenVINO chooses how it stores clips itself")
    if engine != "caffe2":
        return
    if precision != FP32:
        raise UsageError(f"--precision={precision} needs --engine=pytorch: Caffe2 computes in fp32")
    if channels_last:
        raise UsageError("--channels_last=1 needs --engine=pytorch: Caffe2 stores channels first")
