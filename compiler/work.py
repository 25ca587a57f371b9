"""What it takes to evaluate operators: how many operations, and how much memory at once.

Both are counted from types, before anything is computed, so that a small file cannot keep a
computer busy: constants are folded, and networks calibrated, within limits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import singledispatch
from math import prod

from .errors import expect_within
from .ir.graph import Graph, Value
from .ir.op import Op
from .ir.ops.attention import Attention
from .ir.ops.einsum import Einsum, Equation
from .ir.ops.integer_products import ConvInteger, MatMulInteger, QLinearConv, QLinearMatMul
from .ir.ops.linear import Conv, MatMul, MatrixProduct
from .ir.ops.pooling import AveragePool, LpPool, MaxPool, MaxPoolIndices
from .ir.ops.recurrent import Recurrent
from .ir.ops.sampling import DeformConv
from .ir.ops.transposed import ConvTranspose
from .ir.types import TensorType

_STEP = 10_000  # operations that one step of a loop in Python costs


@singledispatch
def work(op: Op, operands: Sequence[TensorType], results: Sequence[TensorType]) -> int:
    """Elementary operations that an evaluation takes; for most operators one an element."""
    return sum(type_.size for type_ in (*operands, *results))


@work.register(Conv)
@work.register(ConvInteger)
@work.register(DeformConv)
def _(op: Op, operands: Sequence[TensorType], results: Sequence[TensorType]) -> int:
    return _windowed(operands[1].shape[2:], results[0].size * prod(operands[1].shape[1:]))


@work.register
def _(op: QLinearConv, operands: Sequence[TensorType], results: Sequence[TensorType]) -> int:
    return _windowed(operands[3].shape[2:], results[0].size * prod(operands[3].shape[1:]))


@work.register
def _(op: ConvTranspose, operands: Sequence[TensorType], results: Sequence[TensorType]) -> int:
    return _windowed(operands[1].shape[2:], operands[0].size * prod(operands[1].shape[1:]))


@work.register(MaxPool)
@work.register(MaxPoolIndices)
@work.register(AveragePool)
@work.register(LpPool)
def _(
    op: MaxPool | MaxPoolIndices | AveragePool | LpPool,
    operands: Sequence[TensorType],
    results: Sequence[TensorType],
) -> int:
    return _windowed(op.kernel, results[0].size * prod(op.kernel))


@work.register(MatMul)
@work.register(MatrixProduct)
@work.register(MatMulInteger)
@work.register(QLinearMatMul)
def _(op: Op, operands: Sequence[TensorType], results: Sequence[TensorType]) -> int:
    return results[0].size * operands[0].shape[-1]


@work.register
def _(op: Einsum, operands: Sequence[TensorType], results: Sequence[TensorType]) -> int:
    equation, extents = Equation.parse(op.equation), dict[str, int]()
    for index, type_ in enumerate(operands):
        for name, extent in zip(equation.expanded(index, type_.rank), type_.shape, strict=True):
            extents[name] = max(extent, extents.get(name, 1))
    return prod(extents.values())


@work.register
def _(op: Recurrent, operands: Sequence[TensorType], results: Sequence[TensorType]) -> int:
    x, weights, recurrent = operands[:3]
    return x.shape[0] * x.shape[1] * (weights.size + recurrent.size + _STEP)


@work.register
def _(op: Attention, operands: Sequence[TensorType], results: Sequence[TensorType]) -> int:
    q, k = operands[:2]
    return 2 * q.size * k.shape[-2] * max(1, op.key_heads)


def operations(graph: Graph) -> int:
    """Elementary operations that an evaluation of a graph takes for one sample."""
    return sum(
        work(node.op, [v.type for v in node.operands], [v.type for v in node.results])
        for node in graph.nodes
    )


def _windowed(kernel: Sequence[int], products: int) -> int:
    """Operations of what goes over the elements of a kernel, one after the other."""
    return products + _STEP * prod(kernel)


@singledispatch
def workspace(op: Op, operands: Sequence[TensorType]) -> int:
    """Bytes that an evaluation takes beside operands and results; 0 where they are few."""
    return 0


@workspace.register(MaxPool)
@workspace.register(MaxPoolIndices)
@workspace.register(AveragePool)
@workspace.register(LpPool)
def _(op: MaxPool | MaxPoolIndices | AveragePool | LpPool, operands: Sequence[TensorType]) -> int:
    return _padded(operands[0], op.pads)


@workspace.register(Conv)
@workspace.register(ConvInteger)
@workspace.register(DeformConv)
def _(op: Conv | ConvInteger | DeformConv, operands: Sequence[TensorType]) -> int:
    return _padded(operands[0], op.pads)


def _padded(x: TensorType, pads: Sequence[int]) -> int:
    """Bytes of an input with its padding; 0 where it has none and stays as it is."""
    if not any(pads):
        return 0
    spatial, half = x.shape[2:], len(pads) // 2
    extents = [n + a + b for n, a, b in zip(spatial, pads[:half], pads[half:], strict=True)]
    return prod((*x.shape[:2], *extents)) * x.dtype.numpy.itemsize


def live_bytes(graph: Graph) -> tuple[int, str]:
    """The most bytes of computed values that live at once, for one sample, and at which node."""
    uses = Counter(value.name for node in graph.nodes for value in node.operands)
    uses.update(value.name for value in graph.outputs)
    live = sum(map(_bytes, graph.inputs))
    most, where = live, "the inputs"
    for node in graph.nodes:
        live += sum(map(_bytes, node.results))
        found = live + workspace(node.op, [operand.type for operand in node.operands])
        most, where = max((most, where), (found, f"'{node.label}'"), key=lambda pair: pair[0])
        uses.subtract(operand.name for operand in node.operands)
        ended = {v.name: v for v in (*node.operands, *node.results) if not uses[v.name]}
        live -= sum(_bytes(v) for v in ended.values() if graph.constant(v) is None)
    return most, where


def expect_live(graph: Graph) -> None:
    """Raise `LimitError` where computing one sample takes more memory than is allowed."""
    most, where = live_bytes(graph)
    mib = -(-most >> 20)
    text = f"the activations of one sample take {mib:,} MiB at {where}"
    expect_within(mib, "activations_mib", text)


def _bytes(value: Value) -> int:
    return value.type.size * value.type.dtype.numpy.itemsize
