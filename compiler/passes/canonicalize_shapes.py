"""Canonical form of operators that move elements, and of padding before windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from ..ir import Node, Op, Value
from ..ir.ops.linear import Conv
from ..ir.ops.pooling import AveragePool, MaxPool
from ..ir.ops.shape import Concat, Pad, Reshape, Slice, Transpose
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


def slice_before_transpose(
    builder: Rewriter, node: Node, operands: tuple[Value, ...]
) -> Value | None:
    """Slice(Transpose(x)) moves what is left only."""
    assert isinstance(node.op, Slice)
    before = builder.producer_of(operands[0], Transpose)
    if before is None or not isinstance(before.op, Transpose):
        return None
    axes = [before.op.perm.index(axis) for axis in range(len(before.op.perm))]
    bounds = (node.op.starts, node.op.ends, node.op.steps)
    part = Slice(*(tuple(bound[axis] for axis in axes) for bound in bounds))
    return _sliced_first(builder, node, part, before, before.op)


def slice_before_reshape(
    builder: Rewriter, node: Node, operands: tuple[Value, ...]
) -> Value | None:
    """Slice(Reshape(x)) without steps is a part of x in another shape, if it is a Slice of x."""
    assert isinstance(node.op, Slice)
    before = builder.producer_of(operands[0], Reshape)
    if before is None or any(step != 1 for step in node.op.steps):
        return None
    old, new = before.operands[0].type.shape, operands[0].type.shape
    starts, ends = [0] * len(old), list(old)
    for axis, (start, end) in enumerate(zip(node.op.starts, node.op.ends, strict=True)):
        if (start, end) == (0, new[axis]):
            continue
        place = _outermost(old, new, axis)
        if place is None:
            return None
        each = old[place] // new[axis]
        starts[place], ends[place] = start * each, end * each
    part = Slice(tuple(starts), tuple(ends), (1,) * len(old))
    return _sliced_first(builder, node, part, before, Reshape(node.result.type.shape))


def _outermost(old: Sequence[int], new: Sequence[int], axis: int) -> int | None:
    """The axis of the old shape of which an index of the new `axis` is a run, if there is one."""
    outer = prod(new[:axis])
    found = [at for at in range(len(old)) if prod(old[:at]) == outer and old[at] > 1]
    return found[0] if found and old[found[0]] % new[axis] == 0 else None


def _sliced_first(builder: Rewriter, node: Node, part: Slice, before: Node, op: Op) -> Value:
    sliced = builder.add(part, before.operands, node.result.name, node.origin)
    return builder.replace(node, op, sliced, fused=(before,))


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
