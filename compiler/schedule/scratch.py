"""Working memory that a task needs beside its tensors, by operator.

Accumulators are needed for a band of output rows at a time, so a task asks for a fixed part and
a part for each row of the band; the allocator then makes the band as high as memory allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ..ir.graph import Graph, Node
from ..ir.ops.embedding import QEmbedding
from ..ir.ops.indexing import Gather
from ..ir.ops.pooling import MaxPool
from ..ir.ops.quantized import (
    QAdd,
    QConcat,
    QConv,
    QMatMul,
    QMul,
    QSoftmax,
    QUnary,
)
from ..ir.ops.quantized_divide import QDiv
from ..ir.ops.quantized_dot import QDot
from ..ir.ops.quantized_normalize import QNormalize
from ..ir.ops.quantized_pooling import QAveragePool, QGlobalAveragePool
from ..ir.ops.quantized_reduce import QReduceSum
from ..ir.ops.quantized_select import QExtreme, QSelect
from ..ir.ops.tiled import Tiled
from .window import product_of, window_of

ALIGNMENT = 64
WORD = 4
TABLE_BYTES = 256
# Operators whose constants are not copied to local memory as a whole.
_FROM_GLOBAL = (QConv, QMatMul, QEmbedding, Gather)


@dataclass(frozen=True)
class Request:
    """`fixed` bytes and `per_row` bytes for each row of the band, on one core."""

    name: str
    core: int
    fixed: int
    per_row: int = 0

    def size(self, band: int) -> int:
        """Bytes for a band of this many rows, rounded up to the alignment."""
        needed = self.fixed + self.per_row * band
        return -(-needed // ALIGNMENT) * ALIGNMENT


def row_axis(node: Node) -> int | None:
    """The axis of the result that bands are cut along; None where there is only one row."""
    rank = node.results[0].type.rank
    match product_of(node.op):
        case QConv() | QAveragePool() | MaxPool():
            return 2
        case QMatMul() if rank > 2:
            return 1
        case QDot():
            return rank - 2
        case QNormalize(axes):
            return _longest_axis(node.result.type.shape, axes)
        case QDiv():
            return _longest_axis(node.result.type.shape, ())
    return None


def _longest_axis(shape: tuple[int, ...], normalized: tuple[int, ...]) -> int | None:
    """The longest axis along which rows are independent."""
    free = [axis for axis in range(1, len(shape)) if axis not in normalized]
    return max(free, key=lambda axis: shape[axis], default=None)


def rows_of(node: Node) -> int:
    """Number of rows that bands are cut from."""
    axis = row_axis(node)
    return 1 if axis is None else node.result.type.shape[axis]


def most_rows(node: Node) -> int:
    """The most rows that a band can have.

    A stream of six axes walks rows, columns, kernel rows, kernel columns and channels; with a
    third spatial axis and its kernel axis there is no axis left for rows.
    """
    window = window_of(node)
    return 1 if window is not None and len(window.kernel) > 2 else rows_of(node)


def windows_per_row(node: Node) -> int:
    """Input vectors of a product, or outputs a channel of a pooling, in one row."""
    shape = node.result.type.shape
    match product_of(node.op):
        case QMatMul():
            return prod(shape[2:-1])
        case _:
            return prod(shape[3:])


def requests(graph: Graph, node: Node, core: int) -> tuple[Request, ...]:
    """What `node` needs on each core that it runs on; `core` is where its result lies."""
    constants = tuple(
        Request(f"operand{i}", core, operand.type.size * operand.type.dtype.numpy.itemsize)
        for i, operand in enumerate(node.operands)
        if not isinstance(product_of(node.op), _FROM_GLOBAL) and graph.constant(operand) is not None
    )
    return constants + _own_requests(graph, node, core)


def _own_requests(graph: Graph, node: Node, core: int) -> tuple[Request, ...]:
    match node.op:
        case Tiled():
            return _tiled_requests(node, node.op)
        case QConv() | QMatMul():  # before tiling: what one core would need for all of it
            outputs = _channels(node)
            return (
                Request("bias", core, outputs * WORD),
                Request("scale", core, outputs * WORD),
                Request("acc", core, 0, windows_per_row(node) * outputs * WORD),
            )
        case QAdd() | QMul():
            return (Request("params", core, 3 * WORD),)
        case QUnary() | QSoftmax() | QConcat():
            return _table_requests(node, core)
        case QDot() | QDiv():
            words = (Request("params", core, 2 * WORD), Request("requant", core, 2 * WORD))
            return (*words, _accumulators(node, core))
        case QNormalize():
            return (Request("params", core, 3 * WORD), _accumulators(node, core))
        case QReduceSum():
            return _reduction_requests(node, core)
        case QExtreme() | QSelect():
            return _choice_requests(graph, node, core)
        case QGlobalAveragePool() | QAveragePool():
            return _pooling_requests(node, core)
    return ()


def _table_requests(node: Node, core: int) -> tuple[Request, ...]:
    if isinstance(node.op, QConcat):
        return tuple(Request(f"table{i}", core, TABLE_BYTES) for i in range(len(node.operands)))
    words = WORD if isinstance(node.op, QSoftmax) else 1
    return (Request("table", core, TABLE_BYTES * words),)


def _accumulators(node: Node, core: int) -> Request:
    """One word for each element of a band of the result."""
    return Request("acc", core, 0, node.result.type.size // rows_of(node) * WORD)


def _channels(node: Node) -> int:
    shape = node.result.type.shape
    return shape[-1] if isinstance(product_of(node.op), QMatMul) else shape[1]


def _pooling_requests(node: Node, core: int) -> tuple[Request, ...]:
    op, shape = node.op, node.result.type.shape
    uniform = not isinstance(op, QAveragePool) or op.is_uniform([node.operands[0].type])
    return (
        Request("bias", core, WORD),
        Request("scale", core, WORD if uniform else prod(shape[2:]) * WORD),
        Request("acc", core, 0, windows_per_row(node) * shape[1] * WORD),
    )


def _reduction_requests(node: Node, core: int) -> tuple[Request, ...]:
    return (
        Request("bias", core, WORD),
        Request("scale", core, WORD),
        Request("acc", core, node.result.type.size * WORD),
    )


def _choice_requests(graph: Graph, node: Node, core: int) -> tuple[Request, ...]:
    """Room for what is not chosen from operand 1, unless operand 1 or 2 is a number."""
    params = tuple(Request(f"params{i}", core, 3 * WORD) for i in range(3))
    if isinstance(node.op, QExtreme):
        return params[:2]
    arrays = [graph.constant(value) for value in node.operands[1:]]
    if any(array is not None and array.size == 1 for array in arrays):
        return params
    return (*params, Request("other", core, node.result.type.size))


def _tiled_requests(node: Node, op: Tiled) -> tuple[Request, ...]:
    asked: list[Request] = []
    windows = windows_per_row(node)
    for (n0, n1), shards in op.plan.blocks():
        outputs = n1 - n0
        reducer = shards[0].core
        asked.append(Request(f"bias{n0}", reducer, outputs * WORD))
        asked.append(Request(f"scale{n0}", reducer, outputs * WORD))
        for core in dict.fromkeys(shard.core for shard in shards):
            asked.append(Request(f"acc{n0}", core, 0, windows * outputs * WORD))
        if any(shard.core != reducer for shard in shards):
            asked.append(Request(f"partial{n0}", reducer, 0, windows * outputs * WORD))
        if reducer != op.plan.home:
            asked.append(Request(f"codes{n0}", reducer, 0, windows * outputs))
    return tuple(asked)
