"""Operators that move, join or choose elements, and those that broadcast."""

from __future__ import annotations

from dataclasses import replace

from ...ir import Node, Value
from ...ir.ops.binary import Binary
from ...ir.ops.embedding import Embedding
from ...ir.ops.indexing import Gather, GatherElements, GatherNd, ScatterElements
from ...ir.ops.logic import Where
from ...ir.ops.shape import Concat, Expand, Reshape, Transpose
from .apart import stays_apart
from .carrier import Carrier
from .registry import batches
from .shifts import kinds

Results = tuple[Value, ...] | None


@batches(Reshape)
def reshape(carrier: Carrier, node: Node) -> Results:
    """From any form to a kept one if it has extent 1 first, else to one under the new axis."""
    (x,) = node.operands
    shape = node.result.type.shape
    target = shape if shape[:1] == (1,) else (1, *shape)
    return carrier.add(Reshape(target), [carrier.as_is(x)], node)


@batches(*kinds(Binary), Where)
def broadcast(carrier: Carrier, node: Node) -> Results:
    """Computed operands get the rank of the result, so that their batch axes meet.

    One of lower rank takes its new axis as the batch, and 1s behind it.
    """
    result = node.result.type
    full = [v for v in carrier.computed(node) if v.type.rank == result.rank]
    kept = carrier.can_keep(node.result) and (not full or any(map(carrier.is_kept, full)))
    rank = result.rank + (not kept)
    operands = [aligned(carrier, operand, rank) for operand in node.operands]
    return carrier.add(node.op, operands, node)


def aligned(carrier: Carrier, value: Value, rank: int) -> Value:
    """A computed value with 1s before its axes up to a rank; constants stay as they are."""
    if carrier.is_constant(value):
        return carrier.as_is(value)
    return carrier.shaped(value, lifted(value.type.shape, rank))


def lifted(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """The shape with 1s before it up to a rank."""
    return (1,) * (rank - len(shape)) + shape


@batches(Concat)
def concat(carrier: Carrier, node: Node) -> Results:
    """Constants are carried like computed values."""
    assert isinstance(node.op, Concat)
    if stays_apart(carrier, node):
        return carrier.add(node.op, carrier.all_kept(node), node)
    operands = [carrier.shaped(o, (1, *o.type.shape)) for o in node.operands]
    return carrier.add(Concat(node.op.axis + 1), operands, node)


@batches(Expand)
def expand(carrier: Carrier, node: Node) -> Results:
    """The operand gets the rank of the result first."""
    (x,) = node.operands
    shape = node.result.type.shape
    lower = x.type.rank < len(shape)
    kept = shape[:1] == (1,) and (lower or carrier.is_kept(x))
    target = shape if kept else (1, *shape)
    return carrier.add(Expand(target), [aligned(carrier, x, len(target))], node)


@batches(Embedding)
def embedding(carrier: Carrier, node: Node) -> Results:
    """Rows of a constant table, whatever axes the indices have."""
    table, indices = node.operands
    if not carrier.is_constant(table):
        return None
    return carrier.add(node.op, [carrier.as_is(table), carrier.as_is(indices)], node)


@batches(Gather)
def gather(carrier: Carrier, node: Node) -> Results:
    """By constant indices, from a constant table, or both computed."""
    assert isinstance(node.op, Gather)
    x, indices = node.operands
    if carrier.is_constant(indices):
        return _gather_from(carrier, node, node.op.axis)
    if carrier.is_constant(x):
        return _gather_rows(carrier, node, node.op.axis)
    axis = node.op.axis
    shape = (1, *x.type.shape[:axis], 1, *indices.type.shape, *x.type.shape[axis + 1 :])
    operands = [carrier.under(x), carrier.under(indices)]
    found = carrier.step(Gather(axis + 1), operands, node, "gathered")
    assert found.type.shape == shape
    return carrier.add(Reshape((1, *node.result.type.shape)), [found], node)


def _gather_from(carrier: Carrier, node: Node, axis: int) -> Results:
    x, indices = node.operands
    if axis > 0 and carrier.is_kept(x):
        return carrier.add(node.op, [carrier.kept(x), carrier.as_is(indices)], node)
    return carrier.add(Gather(axis + 1), [carrier.under(x), carrier.as_is(indices)], node)


def _gather_rows(carrier: Carrier, node: Node, axis: int) -> Results:
    """The axis that is counted comes first in the table, and where it was in the result."""
    table, indices = node.operands
    chosen = carrier.as_is(indices)
    if axis == 0:
        return carrier.add(Gather(0), [carrier.as_is(table), chosen], node)
    array = carrier.array(table)
    order = [axis, *(a for a in range(array.ndim) if a != axis)]
    turned = carrier.builder.constant(array.transpose(order), f"{table.name}/turned")
    rows = carrier.step(Gather(0), [turned, carrier.under(indices)], node, "rows")
    places = list(range(1, 1 + indices.type.rank))
    others = range(1 + indices.type.rank, rows.type.rank)
    perm = (0, *others[:axis], *places, *others[axis:])
    return carrier.add(Transpose(perm), [rows], node)


@batches(GatherElements, ScatterElements)
def by_element(carrier: Carrier, node: Node) -> Results:
    """All operands count the same axes; constant indices belong to each sample."""
    assert isinstance(node.op, GatherElements | ScatterElements)
    operands = [carrier.shaped(o, (1, *o.type.shape)) for o in node.operands]
    return carrier.add(replace(node.op, axis=node.op.axis + 1), operands, node)


@batches(GatherNd)
def by_coordinates(carrier: Carrier, node: Node) -> Results:
    """The new axis is one more that x and indices share."""
    assert isinstance(node.op, GatherNd)
    operands = [carrier.shaped(o, (1, *o.type.shape)) for o in node.operands]
    return carrier.add(GatherNd(node.op.shared + 1), operands, node)
