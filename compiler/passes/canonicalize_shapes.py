"""Canonical form of operators that move elements, and of padding before windows."""

from __future__ import annotations

from dataclasses import replace

from ..ir import Node, Value
from ..ir.ops.linear import Conv
from ..ir.ops.pooling import AveragePool, MaxPool
from ..ir.ops.shape import Concat, Pad, Reshape, Transpose
from .rewrite import Rewriter


def merge_reshapes(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """Reshape(Reshape(x)) becomes one; one that changes nothing vanishes."""
    assert isinstance(node.op, Reshape)
    (x,) = operands
    if node.op.shape == x.type.shape:
        return x
    before = builder.producer_of(x, Reshape)
    if before is None:
        return None
    source = before.operands[0]
    if node.op.shape == source.type.shape:
        return source
    return builder.replace(node, node.op, source, fused=(before,))


def merge_transposes(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """Transpose(Transpose(x)) becomes one; one that changes nothing vanishes."""
    assert isinstance(node.op, Transpose)
    (x,) = operands
    perm = node.op.perm
    if perm == tuple(range(len(perm))):
        return x
    before = builder.producer_of(x, Transpose)
    if before is None or not isinstance(before.op, Transpose):
        return None
    merged = tuple(before.op.perm[axis] for axis in perm)
    if merged == tuple(range(len(perm))):
        return before.operands[0]
    return builder.replace(node, Transpose(merged), before.operands[0], fused=(before,))


def transpose_to_reshape(
    builder: Rewriter, node: Node, operands: tuple[Value, ...]
) -> Value | None:
    """A Transpose that only moves axes of extent 1 leaves the elements in order: a Reshape."""
    assert isinstance(node.op, Transpose)
    shape = operands[0].type.shape
    moved = [axis for axis in node.op.perm if shape[axis] > 1]
    if moved != sorted(moved):
        return None
    return builder.replace(node, Reshape(node.result.type.shape), *operands)


def single_concat(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """Concat of one operand vanishes."""
    assert isinstance(node.op, Concat)
    return operands[0] if len(operands) == 1 else None


def pad_into_conv(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """Conv(Pad(x) with zeros on spatial axes) pads by itself."""
    assert isinstance(node.op, Conv)
    pad = _spatial_pad(builder, operands[0], 0.0)
    if pad is None:
        return None
    op = replace(node.op, pads=_sum(node.op.pads, pad))
    return builder.replace(node, op, pad.operands[0], *operands[1:], fused=(pad,))


def pad_into_average(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """AveragePool(Pad(x) with zeros) pads and counts by itself.

    Not where it has padding that it does not count, or rounds up.
    """
    assert isinstance(node.op, AveragePool)
    pad = _spatial_pad(builder, operands[0], 0.0)
    if pad is None or node.op.ceil or (any(node.op.pads) and not node.op.count_include_pad):
        return None
    op = replace(node.op, pads=_sum(node.op.pads, pad), count_include_pad=True)
    return builder.replace(node, op, pad.operands[0], fused=(pad,))


def pad_into_maximum(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """MaxPool(Pad(x) with minus infinity) pads by itself, unless it rounds up."""
    assert isinstance(node.op, MaxPool)
    pad = _spatial_pad(builder, operands[0], float("-inf"))
    if pad is None or node.op.ceil:
        return None
    op = replace(node.op, pads=_sum(node.op.pads, pad))
    return builder.replace(node, op, pad.operands[0], fused=(pad,))


def _spatial_pad(builder: Rewriter, value: Value, constant: float) -> Node | None:
    """The Pad that makes `value`, if it pads spatial axes only and with this constant."""
    pad = builder.producer_of(value, Pad)
    if pad is None or not isinstance(pad.op, Pad) or pad.op.value != constant:
        return None
    pads = (*pad.op.pads_begin, *pad.op.pads_end)
    outside = any(pad.op.pads_begin[:2]) or any(pad.op.pads_end[:2])
    return None if outside or min(pads, default=0) < 0 else pad


def _sum(pads: tuple[int, ...], pad: Node) -> tuple[int, ...]:
    assert isinstance(pad.op, Pad)
    added = (*pad.op.pads_begin[2:], *pad.op.pads_end[2:])
    return tuple(own + more for own, more in zip(pads, added, strict=True))
