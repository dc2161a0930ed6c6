"""Rows 13 to 15 of cuda_check.py: the Triton kernels, and clips that travel as uint8."""

from __future__ import annotations

import time
from typing import Any, Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vmz.engines.registry import open_engine
from vmz.engines.torch_engine.transfer import Sender
from vmz.models.registry import build

Figures = dict[str, Any]
LAYERS = ((64, 8, 56, 1), (256, 8, 14, 1), (128, 8, 56, 2))  # channels, frames, side and stride of depth-wise layers


def milliseconds(call: Callable[[], Any], rounds: int = 20) -> float:
    """The median of a call's time on the GPU, after it has been tuned and compiled."""
    for _ in range(3):
        call()
    times = []
    for _ in range(rounds):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return sorted(times)[rounds // 2]


def copy_bandwidth(megabytes: int = 1024) -> float:
    """Bytes a second that a copy on the device reads and writes together: the machine's own roofline."""
    source = torch.empty(megabytes << 18, dtype=torch.float32, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.numel() * 4 / milliseconds(lambda: target.copy_(source)) * 1e3


def away(found: Tensor, expected: Tensor) -> float:
    return float((found.detach().double() - expected).norm() / expected.norm())


def check_kernels(device: str, figures: Figures) -> None:
    """Against float64; on a GPU also against PyTorch's own and the compiler's, as shares of the copy bandwidth."""
    kernels = _kernels()
    torch.manual_seed(0)
    shape, channels = ((2, 66, 4, 15, 15), 66) if device == "cuda" else ((1, 5, 2, 4, 5), 5)
    for stride in ((1, 1, 1), (2, 2, 2), (1, 2, 2)):
        x = torch.randn(shape, device=device, requires_grad=True)
        weight = torch.randn(channels, 1, 3, 3, 3, device=device, requires_grad=True)
        y = kernels.depthwise_conv3d(x, weight, stride)
        wide = [one.detach().double().requires_grad_() for one in (x, weight)]
        expected = F.conv3d(wide[0], wide[1], None, stride, 1, groups=channels)
        dy = torch.randn_like(y)
        found = [y, *torch.autograd.grad(y, (x, weight), dy)]
        wanted = [expected, *torch.autograd.grad(expected, wide, dy.double())]
        worst = max(away(one, other) for one, other in zip(found, wanted))
        figures[f"depth-wise, stride {stride}: L2 to float64 of the result and both gradients"] = worst
        assert worst < 1e-5, f"stride {stride}: {worst:.2g} from float64"
    x, weight = torch.randn(shape, device=device), torch.randn(40, channels, 1, 1, 1, device=device)
    worst = away(kernels.pointwise_conv3d(x, weight), F.conv3d(x.double(), weight.double()))
    figures["pointwise: L2 to float64"] = worst
    assert worst < 1e-5, f"pointwise: {worst:.2g} from float64; TF32 would be about 1e-3"
    if device == "cuda":
        _measure_depthwise(kernels.depthwise_conv3d, figures)


def _kernels() -> Any:
    from scripts._cuda_checks import Skipped
    from vmz.engines.torch_engine import kernels

    try:
        import triton

        interpreted = bool(triton.knobs.runtime.interpret)
    except ImportError as error:
        raise Skipped("triton is not installed") from error
    if not torch.cuda.is_available() and not interpreted:
        raise Skipped("without a GPU the kernels run in Triton's interpreter alone: set TRITON_INTERPRET=1")
    return kernels


def _measure_depthwise(depthwise: Any, figures: Figures) -> None:
    figures["copy, GB/s"] = bandwidth = copy_bandwidth() / 1e9
    compiled = torch.compile(F.conv3d, mode="max-autotune-no-cudagraphs")
    for dtype in (torch.float32, torch.bfloat16):
        for channels, frames, side, step in LAYERS:
            x = torch.randn(16, channels, frames, side, side, device="cuda", dtype=dtype)
            x = x.contiguous(memory_format=torch.channels_last_3d).requires_grad_()
            weight = torch.randn(channels, 1, 3, 3, 3, device="cuda", dtype=dtype, requires_grad=True)
            stride = (1, step, step)
            y = depthwise(x, weight, stride)
            dy, moved = torch.randn_like(y), (x.numel() + y.numel()) * x.element_size()
            named = f"{str(dtype)[6:]} {channels}x{frames}x{side}x{side} /{step}"
            ways = {
                "kernel": lambda x=x, w=weight, s=stride: depthwise(x, w, s),
                "PyTorch": lambda x=x, w=weight, s=stride, c=channels: F.conv3d(x, w, None, s, 1, 1, c),
                "compiled": lambda x=x, w=weight, s=stride, c=channels: compiled(x, w, None, s, 1, 1, c),
            }
            for way, call in ways.items():
                with torch.no_grad():
                    spent = milliseconds(call)
                figures[f"{named}, {way}: share of copy bandwidth"] = moved / spent / 1e6 / bandwidth
                if way == "compiled":
                    continue
                out = call()
                back = milliseconds(lambda out=out, x=x, w=weight, d=dy: torch.autograd.grad(out, (x, w), d, True), 5)
                # read dy twice and x, write dx
                figures[f"{named}, {way}, backward: share"] = 2 * moved / back / 1e6 / bandwidth


def check_uint8(device: str, figures: Figures) -> None:
    """Clips as uint8 and normalised behind the copy, against the reader's floats: the same bits, and the time."""
    from vmz.video.normalisation import normalise

    random, size = np.random.RandomState(0), (8, 32, 224, 224, 3) if device == "cuda" else (2, 4, 20, 20, 3)
    pixels = random.randint(0, 256, size).astype(np.uint8)
    floats = np.empty((size[0], 3, *size[1:4]), np.float32)
    for clip, planes in zip(pixels, floats):
        for number, frame in enumerate(clip):
            normalise(frame, planes[:, number])
    for channels_last in (False, True):
        sender = Sender(torch.device(device), channels_last)
        if not sender.is_aside:
            from vmz.engines.torch_engine.video_input import normalised_clips

            found = normalised_clips(torch.from_numpy(pixels), channels_last)
        else:
            found = sender.receive(sender.send({"data": pixels}))["data"]
        assert np.array_equal(found.cpu().numpy(), floats), "the device's floats are not the reader's"
    figures["bits"] = "the same"
    if device != "cuda":
        return
    for kind, array in (("float32", floats), ("uint8", pixels)):
        sender = Sender(torch.device(device))
        for round_ in range(12):
            if round_ == 2:
                torch.cuda.synchronize()
                started = time.perf_counter()
            sender.receive(sender.send({"data": array}))
        torch.cuda.synchronize()
        figures[f"ms a clip, {kind} through pinned slots"] = (time.perf_counter() - started) / 10 / size[0] * 1e3


def check_evaluation_with_kernels(device: str, figures: Figures) -> None:
    from scripts._cuda_checks import clips, config

    _kernels()
    if device != "cuda":
        from scripts._cuda_checks import Skipped

        raise Skipped("a whole network takes minutes in the interpreter; tests/engines/torch_engine/graph has a block")
    for name, depth in (("ir-csn", 152), ("ip-csn", 152)):
        model, scores = build(config(name, depth, device), is_test=True), {}
        for kernels in (0, 1):
            with open_engine("pytorch", device, channels_last=1, kernels=kernels) as engine:
                engine.load(model.param_init_net, model.net, seed=1, keep=["softmax"])
                for blob, array in clips(16).items():
                    engine.feed(blob, array)

                def once(engine: Any = engine) -> None:
                    engine.run()

                figures[f"{name}-{depth}, ms of 16 clips, --kernels={kernels}"] = milliseconds(once, 7)
                scores[kernels] = engine.fetch("softmax")
        figures[f"{name}-{depth}, softmax apart"] = apart = float(np.abs(scores[0] - scores[1]).max())
        assert apart < 1e-5, f"{name}-{depth}: softmax differs by {apart:.2g}"


def kernel_checks(kind: Any) -> tuple[Any, ...]:
    return (
        kind(13, "kernels against float64, and as a share of the copy bandwidth", check_kernels),
        kind(14, "clips as uint8 are the reader's floats", check_uint8),
        kind(15, "evaluation with --kernels", check_evaluation_with_kernels),
    )
