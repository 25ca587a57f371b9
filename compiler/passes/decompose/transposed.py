"""Transposed convolution as convolution.

With stride s an output position ``q = s * t + f`` meets the kernel elements ``f, f + s, ...`` only.
So one convolution without stride computes the outputs of all phases f as channels of their own,
from sub-kernels of ``ceil(k / s)`` elements, and the phases are woven into each other afterwards.
With dilation zeros are put between the elements of x instead.
"""

from __future__ import annotations

from math import prod

import numpy as np

from ...ir import Array, Node, Value
from ...ir.ops.dilate import Dilate
from ...ir.ops.linear import Conv
from ...ir.ops.shape import Pad, Slice
from ...ir.ops.transposed import ConvTranspose
from .registry import decomposes
from .steps import Steps, is_f32

_WOVEN_AXES = 2  # with three the phases would make a tensor of eight axes


@decomposes(ConvTranspose)
def conv_transpose(steps: Steps, node: Node) -> Value | None:
    """Weights and bias must be constant."""
    assert isinstance(node.op, ConvTranspose)
    x, w, *biases = steps.operands
    weights = steps.array(w)
    if weights is None or any(steps.array(b) is None for b in biases) or not is_f32(x):
        return None
    op, spatial = node.op, weights.ndim - 2
    if max(op.strides) > 1 and max(op.dilations) == 1 and spatial <= _WOVEN_AXES:
        return _by_phases(steps, op, weights)
    return _by_dilation(steps, op, weights)


def _by_dilation(steps: Steps, op: ConvTranspose, weights: Array) -> Value:
    """Zeros between the elements, then padding or cutting, then a convolution."""
    x, _, *biases = steps.operands
    rank = len(op.strides)
    reach = [(k - 1) * d for k, d in zip(weights.shape[2:], op.dilations, strict=True)]
    begin = [r - pad for r, pad in zip(reach, op.pads[:rank], strict=True)]
    ends = zip(reach, op.pads[rank:], op.output_padding, strict=True)
    end = [r - pad + extra for r, pad, extra in ends]
    spread = steps.add(Dilate(op.strides), x) if max(op.strides) > 1 else x
    whole = _padded(steps, spread, begin, end)
    conv = Conv((1,) * rank, (0,) * 2 * rank, op.dilations, op.group)
    flipped = steps.constant(_turned(weights, op.group), "weights")
    return steps.add(conv, whole, flipped, *biases)


def _by_phases(steps: Steps, op: ConvTranspose, weights: Array) -> Value:
    """One convolution to channels for each phase, then the phases become positions."""
    x, _, *biases = steps.operands
    kernel, rank = weights.shape[2:], len(op.strides)
    sizes = [  # of the sub-kernels; what output padding adds at the end meets no element
        -(-(k + extra) // s)
        for k, extra, s in zip(kernel, op.output_padding, op.strides, strict=True)
    ]
    phases = prod(op.strides)
    channels = weights.shape[1] * op.group
    split = _phase_weights(weights, op, sizes)
    reach = tuple(size - 1 for size in sizes)
    conv = Conv((1,) * rank, reach + reach, (1,) * rank, op.group)
    operands = [x, steps.constant(_turned(split, op.group), "weights")]
    for bias in biases:
        repeated = np.repeat(steps.builder.array(bias), phases)
        operands.append(steps.constant(repeated, "bias"))
    y = steps.add(conv, *operands)
    positions = y.type.shape[2:]
    apart = steps.reshape(y, (x.type.shape[0], channels, *op.strides, *positions))
    order = [axis for i in range(rank) for axis in (2 + rank + i, 2 + i)]
    woven = steps.transpose(apart, (0, 1, *order))
    extents = [p * s for p, s in zip(positions, op.strides, strict=True)]
    image = steps.reshape(woven, (x.type.shape[0], channels, *extents))
    wanted = op.infer([value.type for value in steps.operands])[0].shape[2:]
    begin = [-pad for pad in op.pads[:rank]]
    end = [w + p - e for w, p, e in zip(wanted, op.pads[:rank], extents, strict=True)]
    return _padded(steps, image, begin, end)


def _phase_weights(weights: Array, op: ConvTranspose, sizes: list[int]) -> Array:
    """Weights ``[C, M/group * phases, *sizes]``: the elements of each phase as a kernel."""
    rank = len(sizes)
    missing = [
        (0, size * s - k) for size, s, k in zip(sizes, op.strides, weights.shape[2:], strict=True)
    ]
    padded = np.pad(weights, [(0, 0), (0, 0), *missing])
    split = [e for size, s in zip(sizes, op.strides, strict=True) for e in (size, s)]
    apart = padded.reshape(*weights.shape[:2], *split)
    order = (*(3 + 2 * i for i in range(rank)), *(2 + 2 * i for i in range(rank)))
    return np.asarray(apart.transpose(0, 1, *order).reshape(len(weights), -1, *sizes))


def _turned(weights: Array, group: int) -> Array:
    """Weights ``[C, M/group, ...]`` as those of a convolution, ``[M, C/group, ...]`` flipped."""
    grouped = weights.reshape(group, -1, *weights.shape[1:]).swapaxes(1, 2)
    flipped = np.flip(grouped, tuple(range(3, grouped.ndim)))
    return np.ascontiguousarray(flipped.reshape(-1, *grouped.shape[2:]))


def _padded(steps: Steps, x: Value, begin: list[int], end: list[int]) -> Value:
    """Zeros around the spatial axes; negative amounts cut off."""
    shape = x.type.shape
    starts = (0, 0, *(max(-b, 0) for b in begin))
    ends = (*shape[:2], *(e - max(-a, 0) for e, a in zip(shape[2:], end, strict=True)))
    if starts != (0,) * len(shape) or ends != shape:
        x = steps.add(Slice(starts, ends, (1,) * len(shape)), x)
    before, after = (tuple(max(p, 0) for p in pads) for pads in (begin, end))
    if not any(before) and not any(after):
        return x
    return steps.add(Pad((0, 0, *before), (0, 0, *after)), x)
