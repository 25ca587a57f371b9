"""Working memory that a task needs beside its tensors, by operator.

Accumulators are needed for a band of output rows at a time, so a task asks for a fixed part and
a part for each row of the band; the allocator then makes the band as high as memory allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from ..ir.graph import Graph, Node
from ..ir.ops.embedding import QEmbedding
from ..ir.ops.indexing import Gather
from ..ir.ops.parallel_windows import QParallelConv
from ..ir.ops.partial_sums import RequantizeSums
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
from ..ir.ops.rows import Rows
from ..ir.ops.tiled import Tiled
from .window import product_of, window_counts, window_of, windows_at_once

ALIGNMENT = 64
MOST_CHUNKS = 8  # of a row of windows
WORD = 4
TABLE_BYTES = 256
# Operators whose constants are not copied to local memory as a whole.
_FROM_GLOBAL = (QConv, QMatMul, QEmbedding, Gather)


@dataclass(frozen=True)
class Request:
    """`fixed` bytes and `per_row` bytes for each row of the band, on one core.

    A band of one row may have some of its `columns` only, and then takes as much less.
    `content` names constant data: what is asked for under the same name on the same core is the
    same, and stays in memory from its first reader to its last.
    """

    name: str
    core: int
    fixed: int
    per_row: int = 0
    content: str = ""
    columns: int = 1

    def size(self, band: int, columns: int | None = None) -> int:
        """Bytes for a band of this many rows, rounded up to the alignment."""
        needed = self.fixed + self.per_row * band
        if columns is not None:
            needed = self.fixed + self.per_row * columns // self.columns
        return -(-needed // ALIGNMENT) * ALIGNMENT

    def least(self) -> int:
        """Bytes for the smallest band."""
        return self.size(1, least_columns(self.columns))


def least_columns(columns: int) -> int:
    """Windows of a row that a band has at least: shorter ones make long programs."""
    return -(-columns // MOST_CHUNKS)


def columns_of(node: Node) -> int:
    """Windows in a row that a band can have some of; 1 where it takes whole rows."""
    rank = node.results[0].type.rank
    cut = isinstance(node.op, Tiled) and row_axis(node) == 2 and rank == 4
    return window_counts(node)[1] if cut else 1


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
    """Number of rows that bands are cut from; rows of parallel windows count once."""
    if isinstance(node.op, Rows):
        return 1
    axis = row_axis(node)
    if isinstance(product_of(node.op), QParallelConv):
        return window_counts(node)[0]
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
            return prod(window_counts(node)[1:])


def requests(graph: Graph, node: Node, core: int, whole: str) -> tuple[Request, ...]:
    """What `node` needs on each core that it runs on; `core` is where its result lies.

    `whole` is the value of which the result is a part, or the result.
    """
    constants = tuple(
        Request(
            f"operand{i}",
            core,
            operand.type.size * operand.type.dtype.numpy.itemsize,
            content=f"{whole} {operand.name}" if isinstance(node.op, QNormalize) else operand.name,
        )
        for i, operand in enumerate(node.operands)
        if not isinstance(product_of(node.op), _FROM_GLOBAL) and graph.constant(operand) is not None
    )
    return constants + tuple(_own_requests(graph, node, core, whole))


def _own_requests(graph: Graph, node: Node, core: int, whole: str) -> Iterator[Request]:
    match node.op:
        case Tiled():
            yield from _tiled_requests(node, node.op, whole)
        case QConv() | QMatMul():  # before tiling: what one core would need for all of it
            outputs = _channels(node)
            yield Request("bias", core, outputs * WORD)
            yield Request("scale", core, outputs * WORD)
            yield Request("acc", core, 0, windows_per_row(node) * outputs * WORD)
        case QGlobalAveragePool() | QAveragePool():
            yield from _pooling_requests(node, core)
        case _:
            for name, words in _constants(node):
                yield Request(name, core, words * WORD, content=f"{whole} {name}")
            yield from _work(graph, node, core)


def _constants(node: Node) -> Iterator[tuple[str, int]]:
    """Names and words of the parameters of an operator of the vector unit."""
    match node.op:
        case QAdd() | QMul() | QNormalize():
            yield "params", 3
        case QUnary():
            yield "table", TABLE_BYTES // WORD
        case QSoftmax():
            yield "table", TABLE_BYTES
        case QConcat():
            yield from ((f"table{i}", TABLE_BYTES // WORD) for i in range(len(node.operands)))
        case QDot() | QDiv():
            yield from (("params", 2), ("requant", 2))
        case QReduceSum() | RequantizeSums():
            yield from (("bias", 1), ("scale", 1))
        case QExtreme():
            yield from ((f"params{i}", 3) for i in range(2))
        case QSelect():
            yield from ((f"params{i}", 3) for i in range(3))


def _work(graph: Graph, node: Node, core: int) -> Iterator[Request]:
    """Room for what an operator of the vector unit computes on its way."""
    match node.op:
        case QDot() | QDiv() | QNormalize():
            yield _accumulators(node, core)
        case QReduceSum():
            yield Request("acc", core, node.result.type.size * WORD)
        case QSelect() if not _chooses_number(graph, node):
            yield Request("other", core, node.result.type.size)


def _chooses_number(graph: Graph, node: Node) -> bool:
    """Whether operand 1 or 2 of a choice is a number; else what is not chosen needs room."""
    arrays = [graph.constant(value) for value in node.operands[1:]]
    return any(array is not None and array.size == 1 for array in arrays)


def _accumulators(node: Node, core: int) -> Request:
    """One word for each element of a band of the result."""
    return Request("acc", core, 0, node.result.type.size // rows_of(node) * WORD)


def _channels(node: Node) -> int:
    """Outputs of a product for one input vector."""
    return node.operands[1].type.shape[1 if isinstance(product_of(node.op), QMatMul) else 0]


def _pooling_requests(node: Node, core: int) -> tuple[Request, ...]:
    op, shape = node.op, node.result.type.shape
    uniform = not isinstance(op, QAveragePool) or op.is_uniform([node.operands[0].type])
    return (
        Request("bias", core, WORD),
        Request("scale", core, WORD if uniform else prod(shape[2:]) * WORD),
        Request("acc", core, 0, windows_per_row(node) * shape[1] * WORD),
    )


def _tiled_requests(node: Node, op: Tiled, whole: str) -> tuple[Request, ...]:
    asked: list[Request] = []
    windows, columns = windows_per_row(node), columns_of(node)

    def banded(name: str, core: int, per_row: int) -> Request:
        return Request(name, core, 0, per_row, columns=columns)

    for (n0, n1), shards in op.plan.blocks():
        outputs, channels = n1 - n0, (n1 - n0) // prod(windows_at_once(node))
        reducer = shards[0].core
        asked += (
            Request(f"{kind}{n0}", reducer, channels * WORD, content=f"{whole} {kind}{n0}")
            for kind in ("bias", "scale")
        )
        for core in dict.fromkeys(shard.core for shard in shards):
            asked.append(banded(f"acc{n0}", core, windows * outputs * WORD))
        if any(shard.core != reducer for shard in shards):
            asked.append(banded(f"partial{n0}", reducer, windows * outputs * WORD))
        if reducer != op.plan.home:
            asked.append(banded(f"codes{n0}", reducer, windows * outputs))
    return tuple(asked)
