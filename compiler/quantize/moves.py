"""What operators that move values become on codes: copies of codes, with their parameters.

Repetition and padding with copies are gathering with constant indices along one axis after the
other. The smallest code is the largest of the mirrored ones, mirrored back.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..errors import UnsupportedError
from ..ir import Graph, GraphBuilder, Node, Op, Value
from ..ir.ops.cast import Cast
from ..ir.ops.indexing import Gather
from ..ir.ops.quantized_reduce import QReduceMax
from ..ir.ops.reduce import Reduce, Reduction
from ..ir.ops.shape import PadCopies, PadKind, Reshape, Tile
from ..ir.ops.unary import Identity
from .mirror import mirrored

Indices = NDArray[np.int64]


def move(builder: GraphBuilder, graph: Graph, node: Node, codes: Value, name: str) -> Value:
    """The result of a moving `node` of `graph`, from the codes of its first operand."""
    match node.op:
        case Identity() | Cast():
            return codes
        case Reduce():
            return _extreme(builder, node, node.op, codes, name)
        case Gather(axis):
            return _gathered(builder, graph, node, codes, axis, name)
        case Tile() | PadCopies():
            for axis, positions in _repetitions(node.op, codes.type.shape):
                codes = _taken(builder, node, codes, axis, positions, name)
            return codes
    return builder.add(node.op, [codes], name, node.origin)


def padded_positions(kind: PadKind, extent: int, pads: tuple[int, int]) -> Indices:
    """Which elements an axis of this extent has after padding."""
    positions = np.arange(extent)
    if kind is PadKind.REFLECT:
        return np.pad(positions, pads, mode="reflect")
    return np.pad(positions, pads, mode="edge" if kind is PadKind.EDGE else "wrap")


def _repetitions(op: Op, shape: tuple[int, ...]) -> Iterator[tuple[int, Indices]]:
    """For each axis that grows, which elements it has then."""
    if isinstance(op, Tile):
        for axis, count in enumerate(op.repeats):
            if count != 1:
                yield axis, np.tile(np.arange(shape[axis]), count)
    elif isinstance(op, PadCopies):
        for axis, pads in enumerate(zip(op.pads_begin, op.pads_end, strict=True)):
            if any(pads):
                yield axis, padded_positions(op.kind, shape[axis], pads)


def _gathered(
    builder: GraphBuilder, graph: Graph, node: Node, codes: Value, axis: int, name: str
) -> Value:
    """Codes along one axis; indices of another rank than 1 are flattened."""
    indices, extent = graph.constants[node.operands[1].name], codes.type.shape[axis]
    if indices.size and not -extent <= indices.min() <= indices.max() < extent:
        raise UnsupportedError(f"{node.label}: an index is outside of {extent} elements")
    positions = np.where(indices < 0, indices + extent, indices).reshape(-1)
    shape = node.result.type.shape
    if indices.ndim == 1:
        return _taken(builder, node, codes, axis, positions, name)
    flat = _taken(builder, node, codes, axis, positions, f"{name}/flat")
    return builder.add(Reshape(shape), [flat], name, node.origin)


def _taken(
    builder: GraphBuilder, node: Node, codes: Value, axis: int, positions: Indices, name: str
) -> Value:
    indices = builder.constant(positions.astype(np.int64), f"{name}/indices")
    return builder.add(Gather(axis), [codes, indices], name, node.origin)


def _extreme(builder: GraphBuilder, node: Node, op: Reduce, codes: Value, name: str) -> Value:
    largest = QReduceMax(op.axes, op.keep)
    if op.reduction is Reduction.MAX:
        return builder.add(largest, [codes], name, node.origin)
    highest = builder.add(largest, [mirrored(builder, codes)], name, node.origin)
    return mirrored(builder, highest)
