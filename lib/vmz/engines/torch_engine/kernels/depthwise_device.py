"""Triton kernels of the depth-wise 3x3x3 convolution, padding 1. Clips are (N, T, H, W, C) in memory.

All march along W: a program has `ROWS` rows of H by `CHANNELS` channels and goes from column to column. A column's nine
loads (three frames by three rows) serve the three outputs beside it: nine loads an output, not 27, of which the caches
serve all but one. The 27 weights of a channel stay in registers. With STAGES > 1 the next columns are fetched meanwhile
(cp.async): one column alone is too little in flight for the bandwidth of a large GPU.

An output is the sum of the same terms in the same order whatever the blocks are, so tuning changes no bit of it. The
stride is 1 or 2 along each axis. Offsets within one clip are 32 bit, those of a clip 64 bit.
"""
# ruff: noqa: RUF005  (Triton knows no unpacking)
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,assignment"

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _weights(weight, channel, C, ACC: tl.constexpr):
    """The 27 weights of each channel, tap by tap: weight is (27, C)."""
    found = ()
    for tap in tl.static_range(27):
        found = found + (tl.load(weight + tap * C + channel, mask=channel < C, other=0.0).to(ACC)[None, :],)
    return found


@triton.jit
def _column(plane, at, channel, weights, T, H, W, C, frames, rows, ACC: tl.constexpr):
    """The nine values of column `at` against the weights of the taps 0, 1 and 2 of W: three sums, each ROWS x CHANNELS.

    frames, rows: for each tap of T and H, its frame and its rows, and whether they are there.
    """
    first, second, third = 0.0, 0.0, 0.0
    for dt in tl.static_range(3):
        for dh in tl.static_range(3):
            there = frames[2 * dt + 1] & (at >= 0) & (at < W)
            mask = there & rows[2 * dh + 1][:, None] & (channel < C)[None, :]
            place = ((frames[2 * dt] * H + rows[2 * dh]) * W + at) * C
            value = tl.load(plane + place[:, None] + channel[None, :], mask=mask, other=0.0).to(ACC)
            first += value * weights[9 * dt + 3 * dh]
            second += value * weights[9 * dt + 3 * dh + 1]
            third += value * weights[9 * dt + 3 * dh + 2]
    return first, second, third


@triton.jit
def _sources(at, size, STRIDE: tl.constexpr):
    """Where the taps 0, 1 and 2 of outputs `at` read, and whether that is inside `size`."""
    found = ()
    for tap in tl.static_range(3):
        place = at * STRIDE + tap - 1
        found = found + (place, (place >= 0) & (place < size))
    return found


@triton.jit
def _targets(at, size, STRIDE: tl.constexpr):
    """Which outputs, of `size`, read inputs `at` by the taps 0, 1 and 2, and whether there is one."""
    found = ()
    for tap in tl.static_range(3):
        place = at + 1 - tap
        found = found + (place // STRIDE, (place >= 0) & (place % STRIDE == 0) & (place // STRIDE < size))
    return found


@triton.jit
def _block(frames, HEIGHT, WIDTH, C, ROWS: tl.constexpr, CHANNELS: tl.constexpr, LENGTH: tl.constexpr):
    """This program's clip, frame, rows, first column and channels; the channels of a place are neighbours in time."""
    left = tl.program_id(0)
    blocks = tl.cdiv(C, CHANNELS)
    channel = (left % blocks) * CHANNELS + tl.arange(0, CHANNELS)
    left = left // blocks
    blocks = tl.cdiv(WIDTH, LENGTH)
    column = (left % blocks) * LENGTH
    left = left // blocks
    blocks = tl.cdiv(HEIGHT, ROWS)
    row = (left % blocks) * ROWS + tl.arange(0, ROWS)
    left = left // blocks
    return (left // frames).to(tl.int64), left % frames, row, column, channel


@triton.jit
def _store(plane, value, frame, row, column, is_wanted, channel, HEIGHT, WIDTH, C):
    mask = is_wanted & (row < HEIGHT)[:, None] & (channel < C)[None, :]
    place = ((frame * HEIGHT + row) * WIDTH + column) * C
    tl.store(plane + place[:, None] + channel[None, :], value.to(plane.dtype.element_ty), mask=mask)


@triton.jit
def _finished(value, offset, RELU: tl.constexpr):
    value += offset
    if RELU:
        value = tl.where(value > 0, value, tl.where(value != value, value, 0.0))  # not-a-number stays what it is
    return value


@triton.jit
def forward(
    x, weight, shift, y, T, H, W, C, TO, HO, WO,
    ST: tl.constexpr, SH: tl.constexpr, SW: tl.constexpr, HAS_SHIFT: tl.constexpr, RELU: tl.constexpr,
    ACC: tl.constexpr, ROWS: tl.constexpr, CHANNELS: tl.constexpr, LENGTH: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """y (N, TO, HO, WO, C) of x (N, T, H, W, C). One program: ROWS x LENGTH outputs of CHANNELS channels."""
    clip, frame, row, begin, channel = _block(TO, HO, WO, C, ROWS, CHANNELS, LENGTH)
    weights = _weights(weight, channel, C, ACC)
    offset = tl.zeros((1, CHANNELS), ACC)
    if HAS_SHIFT:
        offset = tl.load(shift + channel, mask=channel < C, other=0.0).to(ACC)[None, :]
    source = x + clip * T * H * W * C
    target = y + clip * TO * HO * WO * C
    frames, rows = _sources(frame, T, ST), _sources(row, H, SH)
    end = tl.minimum(begin + LENGTH, WO)
    if SW == 1:  # output `at` is column at - 1 by tap 0, at by tap 1, at + 1 by tap 2
        before, second, third = _column(source, begin - 1, channel, weights, T, H, W, C, frames, rows, ACC)
        here, second, third = _column(source, begin, channel, weights, T, H, W, C, frames, rows, ACC)
        before += second
        for at in tl.range(begin, end, num_stages=STAGES):
            first, second, third = _column(source, at + 1, channel, weights, T, H, W, C, frames, rows, ACC)
            value = _finished(before + third, offset, RELU)
            _store(target, value, frame, row, at, at < end, channel, HO, WO, C)
            before = here + second
            here = first
    else:
        before, second, third = _column(source, 2 * begin - 1, channel, weights, T, H, W, C, frames, rows, ACC)
        for at in tl.range(begin, end, num_stages=STAGES):
            first, middle, third = _column(source, 2 * at, channel, weights, T, H, W, C, frames, rows, ACC)
            first, second, third = _column(source, 2 * at + 1, channel, weights, T, H, W, C, frames, rows, ACC)
            value = _finished(before + middle + third, offset, RELU)
            _store(target, value, frame, row, at, at < end, channel, HO, WO, C)
            before = first


@triton.jit
def input_gradient(
    dy, weight, dx, T, H, W, C, TO, HO, WO,
    ST: tl.constexpr, SH: tl.constexpr, SW: tl.constexpr, ACC: tl.constexpr,
    ROWS: tl.constexpr, CHANNELS: tl.constexpr, LENGTH: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """dx (N, T, H, W, C) of dy (N, TO, HO, WO, C). One program: ROWS x LENGTH inputs of CHANNELS channels.

    LENGTH is even: with stride 2 column j of dy goes to the columns 2j - 1, 2j and 2j + 1 of dx.
    """
    clip, frame, row, begin, channel = _block(T, H, W, C, ROWS, CHANNELS, LENGTH)
    weights = _weights(weight, channel, C, ACC)
    source = dy + clip * TO * HO * WO * C
    target = dx + clip * T * H * W * C
    frames, rows = _targets(frame, TO, ST), _targets(row, HO, SH)
    end = tl.minimum(begin + LENGTH, W)
    if SW == 1:  # input `at` is column at + 1 by tap 0, at by tap 1, at - 1 by tap 2
        first, second, before = _column(source, begin - 1, channel, weights, TO, HO, WO, C, frames, rows, ACC)
        first, second, here = _column(source, begin, channel, weights, TO, HO, WO, C, frames, rows, ACC)
        before += second
        for at in tl.range(begin, end, num_stages=STAGES):
            first, second, third = _column(source, at + 1, channel, weights, TO, HO, WO, C, frames, rows, ACC)
            _store(target, before + first, frame, row, at, at < end, channel, H, W, C)
            before = here + second
            here = third
    else:
        half = begin // 2
        first, second, before = _column(source, half, channel, weights, TO, HO, WO, C, frames, rows, ACC)
        _store(target, second, frame, row, begin, begin < end, channel, H, W, C)
        for at in tl.range(half + 1, half + LENGTH // 2 + 1, num_stages=STAGES):
            first, second, third = _column(source, at, channel, weights, TO, HO, WO, C, frames, rows, ACC)
            _store(target, before + first, frame, row, 2 * at - 1, 2 * at - 1 < end, channel, H, W, C)
            _store(target, second, frame, row, 2 * at, 2 * at < end, channel, H, W, C)
            before = third


@triton.jit
def _gradient_column(plane, at, frame, row, channel, HO, WO, C, ACC: tl.constexpr):
    """Column `at` of the output's gradient, 0 outside."""
    mask = (at >= 0) & (at < WO) & (row < HO)[:, None] & (channel < C)[None, :]
    place = ((frame * HO + row) * WO + at) * C
    return tl.load(plane + place[:, None] + channel[None, :], mask=mask, other=0.0).to(ACC)


@triton.jit
def _add_products(sums, plane, at, channel, T, H, W, C, frames, rows, ACC: tl.constexpr, zero, one, two,
                  TAPS: tl.constexpr):  # fmt: skip
    """The 27 sums with the products of input column `at`: zero, one, two are the output columns that read it by each
    tap of W; TAPS says which of them to add, 0: all, 1: tap 1 alone, 2: taps 0 and 2."""
    found = ()
    for dt in tl.static_range(3):
        for dh in tl.static_range(3):
            mask = frames[2 * dt + 1] & (at < W) & rows[2 * dh + 1][:, None] & (channel < C)[None, :]
            place = ((frames[2 * dt] * H + rows[2 * dh]) * W + at) * C
            value = tl.load(plane + place[:, None] + channel[None, :], mask=mask, other=0.0).to(ACC)
            first, second, third = sums[9 * dt + 3 * dh], sums[9 * dt + 3 * dh + 1], sums[9 * dt + 3 * dh + 2]
            if TAPS != 1:
                first += value * zero
                third += value * two
            if TAPS != 2:
                second += value * one
            found = found + (first, second, third)
    return found


@triton.jit
def weight_gradient(
    x, dy, parts, N, T, H, W, C, TO, HO, WO, SHARES,
    ST: tl.constexpr, SH: tl.constexpr, SW: tl.constexpr, ACC: tl.constexpr,
    ROWS: tl.constexpr, CHANNELS: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """parts (SHARES, 28, C): the gradient of the 27 weights and of the shift, of the rows of each share.

    A share has every SHARES-th block of ROWS output rows. The second reduction, over the shares, is the caller's: no
    atomics, so the same shapes give the same bits.
    """
    blocks = tl.cdiv(C, CHANNELS)
    share = tl.program_id(0) // blocks
    channel = (tl.program_id(0) % blocks) * CHANNELS + tl.arange(0, CHANNELS)
    sums = ()
    for _ in tl.static_range(27):
        sums = sums + (tl.zeros((ROWS, CHANNELS), ACC),)
    total = tl.zeros((ROWS, CHANNELS), ACC)
    heights = tl.cdiv(HO, ROWS)
    for block in range(share, N * TO * heights, SHARES):
        row = (block % heights) * ROWS + tl.arange(0, ROWS)
        frame = (block // heights) % TO
        clip = (block // heights // TO).to(tl.int64)
        source = x + clip * T * H * W * C
        plane = dy + clip * TO * HO * WO * C
        frames, rows = _sources(frame, T, ST), _sources(row, H, SH)
        here = _gradient_column(plane, 0, frame, row, channel, HO, WO, C, ACC)
        for at in tl.range(0, WO, num_stages=STAGES):
            after = _gradient_column(plane, at + 1, frame, row, channel, HO, WO, C, ACC)
            total += here
            if SW == 1:  # `before` is loaded again: what lives for two steps cannot be fetched ahead
                before = _gradient_column(plane, at - 1, frame, row, channel, HO, WO, C, ACC)
                sums = _add_products(
                    sums, source, at, channel, T, H, W, C, frames, rows, ACC, after, here, before, 0
                )  # fmt: skip
            else:
                sums = _add_products(
                    sums, source, 2 * at, channel, T, H, W, C, frames, rows, ACC, after, here, here, 1
                )  # fmt: skip
                sums = _add_products(
                    sums, source, 2 * at + 1, channel, T, H, W, C, frames, rows, ACC, after, here, here, 2
                )  # fmt: skip
            here = after
    place = parts + share.to(tl.int64) * 28 * C + channel
    for tap in tl.static_range(27):
        tl.store(place + tap * C, tl.sum(sums[tap], axis=0), mask=channel < C)
    tl.store(place + 27 * C, tl.sum(total, axis=0), mask=channel < C)
