"""Resampling: elements are repeated or chosen, or weighted by a constant matrix along each axis."""

from __future__ import annotations

import numpy as np

from ...ir import Node, Value
from ...ir.ops.indexing import Gather
from ...ir.ops.linear import MatMul
from ...ir.ops.resize import Interpolation, Resize
from .registry import decomposes
from .steps import Steps, is_f32


@decomposes(Resize)
def resize(steps: Steps, node: Node) -> Value | None:
    """Axis by axis, but for repetition, which is one step for all axes."""
    assert isinstance(node.op, Resize)
    (x,), op = steps.operands, node.op
    if any(op.outside_input(entry, x.type.shape[entry.axis]).any() for entry in op.axes):
        return None
    if op.interpolation is Interpolation.NEAREST:
        return _repeated(steps, x, op) or _chosen(steps, x, op)
    return _weighted(steps, x, op) if is_f32(x) and x.type.rank > 1 else None


def _repeated(steps: Steps, x: Value, op: Resize) -> Value | None:
    """Every element several times in a row: an axis behind each axis, broadcast."""
    times = [1] * x.type.rank
    for entry in op.axes:
        extent = x.type.shape[entry.axis]
        count, rest = divmod(entry.extent, extent)
        if rest or not np.array_equal(
            op.nearest(entry, extent), np.repeat(np.arange(extent), count)
        ):
            return None
        times[entry.axis] = count
    spread, whole = [], []
    for extent, count in zip(x.type.shape, times, strict=True):
        spread += [extent] if count == 1 else [extent, 1]
        whole += [extent] if count == 1 else [extent, count]
    y = steps.expand(steps.reshape(x, spread), whole)
    extents = zip(x.type.shape, times, strict=True)
    return steps.reshape(y, [extent * count for extent, count in extents])


def _chosen(steps: Steps, x: Value, op: Resize) -> Value:
    """Elements by index along each axis."""
    for entry in op.axes:
        indices = op.nearest(entry, x.type.shape[entry.axis])
        x = steps.add(Gather(entry.axis), x, steps.constant(indices, "indices"))
    return x


def _weighted(steps: Steps, x: Value, op: Resize) -> Value:
    """A matrix product along each axis."""
    for entry in op.axes:
        matrix = op.weights(entry, x.type.shape[entry.axis]).T.astype(np.float32)
        turned = steps.to_last(x, entry.axis)
        product = steps.add(MatMul(), turned, steps.constant(matrix, "weights"))
        x = steps.from_last(product, entry.axis)
    return x
