"""Triton kernel of the 1x1x1 convolution with its epilogue: a product of matrices over channels-last clips."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def forward(
    x, weight, scale, shift, residual, y, M, C, K, T, H, W, TO, HO, WO,
    ST: tl.constexpr, SH: tl.constexpr, SW: tl.constexpr, HAS_SCALE: tl.constexpr, HAS_SHIFT: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr, RELU: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_K: tl.constexpr, BLOCK_C: tl.constexpr, GROUP: tl.constexpr, STAGES: tl.constexpr,
    UPCAST: tl.constexpr,
):  # fmt: skip
    """y (M, K) of x (N, T, H, W, C) and weight (K, C), where M = N TO HO WO. One program: BLOCK_M x BLOCK_K of y.

    GROUP blocks of positions share their weights and their values in the L2 cache.
    """
    across, down = tl.cdiv(K, BLOCK_K), tl.cdiv(M, BLOCK_M)
    group = tl.program_id(0) // (GROUP * across)
    height = tl.minimum(down - group * GROUP, GROUP)
    within = tl.program_id(0) % (GROUP * across)
    position = ((group * GROUP + within % height) * BLOCK_M).to(tl.int64) + tl.arange(0, BLOCK_M)
    output = (within // height) * BLOCK_K + tl.arange(0, BLOCK_K)
    place = position
    if (ST != 1) or (SH != 1) or (SW != 1):
        left = position // WO
        frame = left // HO
        place = ((frame // TO * T + frame % TO * ST) * H + left % HO * SH) * W + position % WO * SW
    channel = tl.arange(0, BLOCK_C)
    sums = tl.zeros((BLOCK_M, BLOCK_K), tl.float32)
    for begin in tl.range(0, C, BLOCK_C, num_stages=STAGES):
        here = begin + channel
        values = tl.load(
            x + place[:, None] * C + here[None, :], mask=(position < M)[:, None] & (here < C)[None, :], other=0.0
        )
        weights = tl.load(
            weight + output[None, :] * C + here[:, None], mask=(output < K)[None, :] & (here < C)[:, None], other=0.0
        )
        if UPCAST:  # the interpreter multiplies no bfloat16; the products are the same, exact in float32
            values, weights = values.to(tl.float32), weights.to(tl.float32)
        sums = tl.dot(values, weights, sums, input_precision="ieee")
    if HAS_SCALE:
        sums *= tl.load(scale + output, mask=output < K, other=0.0).to(tl.float32)[None, :]
    if HAS_SHIFT:
        sums += tl.load(shift + output, mask=output < K, other=0.0).to(tl.float32)[None, :]
    mask = (position < M)[:, None] & (output < K)[None, :]
    target = position[:, None] * K + output[None, :]
    if HAS_RESIDUAL:
        sums += tl.load(residual + target, mask=mask, other=0.0).to(tl.float32)
    if RELU:
        sums = tl.where(sums > 0, sums, tl.where(sums != sums, sums, 0.0))  # not-a-number stays what it is
    tl.store(y + target, sums.to(y.dtype.element_ty), mask=mask)
