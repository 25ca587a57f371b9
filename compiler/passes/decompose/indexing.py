"""Elements by constant index: slices where the places are in a row, else one gathering.

Which element of x stands at a place of the result is found by evaluating the operator on the
numbers of the elements. Neighbours that stay together are gathered as one row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...ir import Array, Node, Value
from ...ir.ops.indexing import (
    Gather,
    GatherElements,
    GatherNd,
    Merge,
    ReverseSequence,
    ScatterElements,
    ScatterNd,
    Triangle,
)
from ...ir.ops.logic import Where
from ...ir.ops.shape import Concat
from .registry import decomposes
from .steps import Steps

_Places = NDArray[np.int64]


@decomposes(Gather)
def gather(steps: Steps, node: Node) -> Value | None:
    """Indices in a row are a slice; of several axes or of none they become one axis."""
    assert isinstance(node.op, Gather)
    x, indices = steps.operands
    array, axis = steps.array(indices), node.op.axis
    if array is None or steps.array(x) is not None:
        return None
    extent = x.type.shape[axis]
    places = np.where(array < 0, array + extent, array).reshape(-1).astype(np.int64)
    shape = node.results[0].type.shape
    if places.size and (places.min() < 0 or places.max() >= extent):
        return None
    run = _run(places)
    if run is not None:
        return steps.reshape(steps.slice(x, axis, *run), shape)
    if array.ndim == 1:
        return None
    flat = steps.add(Gather(axis), x, steps.constant(places, "indices"))
    return steps.reshape(flat, shape)


def _run(places: _Places) -> tuple[int, int, int] | None:
    """Start, end and step of places that are equally far from each other."""
    if not places.size:
        return None
    if places.size == 1:
        return int(places[0]), int(places[0]) + 1, 1
    differences = np.diff(places)
    step = int(differences[0])
    if step == 0 or np.any(differences != step):
        return None
    return int(places[0]), int(places[-1]) + (1 if step > 0 else -1), step


@decomposes(GatherElements, GatherNd, ReverseSequence)
def gather_by_place(steps: Steps, node: Node) -> Value | None:
    """Indices or lengths must be constant."""
    x, indices = steps.operands
    array = steps.array(indices)
    if array is None or steps.array(x) is not None:
        return None
    places = _evaluated(node, _numbers(x, 0), array)
    return _gathered(steps, x, places)


@decomposes(ScatterElements, ScatterNd)
def scatter_by_place(steps: Steps, node: Node) -> Value | None:
    """Elements of x and of the updates are gathered in the new order."""
    assert isinstance(node.op, ScatterElements | ScatterNd)
    x, indices, updates = steps.operands
    array = steps.array(indices)
    if array is None or node.op.merge is not Merge.NONE:
        return None
    places = _evaluated(node, _numbers(x, 0), array, _numbers(updates, x.type.size))
    flat = [steps.reshape(value, (1, value.type.size)) for value in (x, updates)]
    return _gathered(steps, steps.concat(flat, 1), places)


@decomposes(Triangle)
def triangle(steps: Steps, node: Node) -> Value:
    """A choice between x and zero by a constant mask."""
    (x,) = steps.operands
    ones = np.ones((1,) * (x.type.rank - 2) + x.type.shape[-2:], bool)
    mask = _evaluated(node, ones)
    zero = steps.like(x, np.zeros((1,) * x.type.rank), "zero")
    return steps.add(Where(), steps.constant(mask, "mask"), x, zero)


def _numbers(x: Value, first: int) -> _Places:
    return np.arange(first, first + x.type.size, dtype=np.int64).reshape(x.type.shape)


def _evaluated(node: Node, *inputs: Array) -> Array:
    """The result of the operator on these arrays."""
    types = [operand.type for operand in node.operands]
    return np.asarray(node.op.evaluate(list(inputs), types)[0])


def _gathered(steps: Steps, x: Value, places: Array) -> Value:
    """The elements of x, counted in row-major order, at these places."""
    block = _block(places, x.type.size)
    rows = places.reshape(-1, block)[:, 0] // block
    flat = steps.reshape(x, (1, x.type.size // block, block))
    run = _run(rows)
    if run is not None:
        return steps.reshape(steps.slice(flat, 1, *run), places.shape)
    found = steps.add(Gather(1), flat, steps.constant(rows, "rows"))
    return steps.reshape(found, places.shape)


def _block(places: Array, size: int) -> int:
    """The longest row of neighbours of which all places consist, at multiples of its length.

    `size` is the number of elements that are gathered from, which is a multiple too.
    """
    block = 1
    for extent in reversed(places.shape):
        longer = block * extent
        rows = places.reshape(-1, longer) if longer else places
        together = longer and np.array_equal(rows, rows[:, :1] + np.arange(longer))
        if not together or size % longer or np.any(rows[:, 0] % longer):
            break
        block = longer
    return block


@decomposes(Concat)
def without_empty(steps: Steps, node: Node) -> Value | None:
    """Operands without elements add nothing."""
    assert isinstance(node.op, Concat)
    full = [value for value in steps.operands if value.type.shape[node.op.axis]]
    if not full or len(full) == len(steps.operands):
        return None
    return steps.concat(full, node.op.axis)
