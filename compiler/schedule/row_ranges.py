"""Which part of its operands an operation needs for a part of its result.

An operation on a run of rows is a smaller operation of the same kind: the same operator with
other padding at the edges, on operands that have fewer rows. Rows are indices of one axis, along
which results do not depend on each other but for windows that reach over neighbouring rows. What
can be cut in rows along the first axis of a map can mostly be cut in strips of columns as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TypeVar

from ..ir.graph import Node, Value
from ..ir.op import Op
from ..ir.ops.indexing import Gather
from ..ir.ops.parallel_windows import QParallelConv
from ..ir.ops.pooling import MaxPool
from ..ir.ops.quantized import QAdd, QConcat, QConv, QMatMul, QMul, QSoftmax, QUnary
from ..ir.ops.quantized_divide import QDiv
from ..ir.ops.quantized_dot import QDot
from ..ir.ops.quantized_normalize import QNormalize
from ..ir.ops.quantized_pooling import QAveragePool
from ..ir.ops.quantized_reduce import QReduceMax, QReduceSum
from ..ir.ops.quantized_select import QMaximum, QMinimum, QSelect
from ..ir.ops.rows import Span
from ..ir.ops.shape import Expand, Pad, Reshape, Slice, Transpose
from ..ir.ops.tiled import Tiled
from .parts import COLUMNS
from .window import product_of, window_of, windows_along

Need = Mapping[int, Span]
"""What is needed of an operand along some axes; along the others all is."""


@dataclass(frozen=True)
class Part:
    """An operation on some rows: its operator, and what it needs of each operand."""

    op: Op
    needs: tuple[Need, ...]


Axes = Sequence[int | None]  # along which axis the rows of each operand are made


@dataclass(frozen=True)
class RowRule:
    """How an operator is cut in rows.

    ``axis(node, axes)`` is the axis of the result, None where it is made as a whole;
    ``part(node, axis, span)`` is the operation on the rows of `span`, which begins and ends at
    multiples of ``grain(node, axis)``, or at the end of the result. ``strips(node)`` says whether
    it can be cut along the columns of a map too.
    """

    axis: Callable[[Node, Axes], int | None]
    part: Callable[[Node, int, Span], Part]
    grain: Callable[[Node, int], int]
    strips: Callable[[Node], bool]


RULES: dict[type[Op], RowRule] = {}

_P = TypeVar("_P", bound=Callable[[Node, int, Span], Part])


def row_axis(node: Node, axes: Axes) -> int | None:
    """The axis along which the rows of a node's result are made, if it can be cut in rows."""
    rule = RULES.get(type(product_of(node.op)))
    if rule is None:
        return None
    axis = rule.axis(node, axes)
    return axis if axis is not None and node.result.type.shape[axis] > 1 else None


def part_of(node: Node, box: Mapping[int, Span]) -> Part:
    """The operation on the part of its result that has the span of `box` along each of its axes."""
    rule, op = RULES[type(product_of(node.op))], node.op
    needs: list[dict[int, Span]] = [{} for _ in node.operands]
    for axis, span in box.items():
        part = rule.part(replace(node, op=op), axis, span)
        op = part.op
        for need, more in zip(needs, part.needs, strict=True):
            need.update(more)
    return Part(op, tuple(needs))


def has_strips(node: Node, axis: int) -> bool:
    """Whether a node that is cut in rows along `axis` can be cut in strips of columns too."""
    rule = RULES[type(product_of(node.op))]
    return axis + 1 == COLUMNS == node.result.type.rank - 1 and rule.strips(node)


def _single(node: Node, axis: int) -> int:
    return 1


def _never(node: Node) -> bool:
    return False


def _always(node: Node) -> bool:
    return True


def _cut(
    axis: Callable[[Node, Axes], int | None],
    *ops: type[Op],
    grain: Callable[[Node, int], int] = _single,
    strips: Callable[[Node], bool] = _never,
) -> Callable[[_P], _P]:
    def register(part: _P) -> _P:
        for op in ops:
            RULES[op] = RowRule(axis, part, grain, strips)
        return part

    return register


def _spatial(node: Node, axes: Axes) -> int | None:
    """The first spatial axis of windows that never lie in the padding alone."""
    return 2 if _meets_input(node, 0) else None


def _meets_input(node: Node, spatial: int) -> bool:
    """Whether every window has elements of the input along a spatial axis."""
    window, op = window_of(node), product_of(node.op)
    assert window is not None
    if isinstance(op, QAveragePool) and op.ceil:
        return False  # what sticks out counts neither as element nor as padding
    span = (window.kernel[spatial] - 1) * window.dilations[spatial] + 1
    after = _pads(op)[len(window.kernel) + spatial]
    return window.before[spatial] < span and after < span


def _columns_meet_input(node: Node) -> bool:
    return _meets_input(node, 1)


def _pads(op: Op) -> tuple[int, ...]:
    assert isinstance(op, QConv | MaxPool | QAveragePool)
    return op.pads


@_cut(_spatial, QParallelConv, grain=windows_along, strips=_columns_meet_input)
@_cut(_spatial, QConv, MaxPool, QAveragePool, strips=_columns_meet_input)
def _windows(node: Node, axis: int, span: Span) -> Part:
    """The rows under the windows; padding stays where windows reach over the edge."""
    window, op, spatial = window_of(node), product_of(node.op), axis - 2
    assert window is not None
    extent, stride = node.operands[0].type.shape[axis], window.strides[spatial]
    reach = (window.kernel[spatial] - 1) * window.dilations[spatial] + 1
    first = span[0] * stride - window.before[spatial]
    last = (span[1] - 1) * stride + reach - window.before[spatial]
    start, stop = max(first, 0), min(last, extent)
    pads = list(_pads(op))
    pads[spatial], pads[len(window.kernel) + spatial] = start - first, last - stop
    assert isinstance(op, QConv | MaxPool | QAveragePool)
    smaller: Op = replace(op, pads=tuple(pads))
    if isinstance(node.op, Tiled):
        assert isinstance(smaller, QConv)
        smaller = Tiled(smaller, node.op.plan)
    others: list[Need] = [{} for _ in node.operands[1:]]
    return Part(smaller, ({axis: (start, stop)}, *others))


def _tokens(node: Node, axes: Axes) -> int | None:
    return 1 if node.result.type.rank > 2 else None


@_cut(_tokens, QMatMul)
def _product(node: Node, axis: int, span: Span) -> Part:
    return Part(node.op, ({axis: span}, {}, {}))


def _aligned(node: Node, axes: Axes) -> int | None:
    """The axis of the first operand that is made in rows and has all of them."""
    rank = node.result.type.rank
    for operand, axis in zip(node.operands, axes, strict=True):
        if axis is None:
            continue
        aligned = axis + rank - operand.type.rank
        if aligned > 0 and operand.type.shape[axis] == node.result.type.shape[aligned]:
            return aligned
    return None


def _same_rows(node: Node, operand: Value, axis: int, span: Span) -> Need:
    """Rows of an operand that broadcasts to the result; all where it repeats along the rows."""
    own = axis - node.result.type.rank + operand.type.rank
    if own < 0 or operand.type.shape[own] == 1:
        return {}
    return {own: span}


@_cut(_aligned, QAdd, QMul, QDiv, QUnary, QMaximum, QMinimum, QSelect, strips=_always)
def _elementwise(node: Node, axis: int, span: Span) -> Part:
    needs = tuple(_same_rows(node, operand, axis, span) for operand in node.operands)
    return Part(node.op, needs)


def _not_joined(node: Node, axes: Axes) -> int | None:
    assert isinstance(node.op, QConcat)
    axis = _aligned(node, axes)
    return None if axis == node.op.axis else axis


def _columns_not_joined(node: Node) -> bool:
    assert isinstance(node.op, QConcat)
    return node.op.axis != COLUMNS


@_cut(_not_joined, QConcat, strips=_columns_not_joined)
def _joined(node: Node, axis: int, span: Span) -> Part:
    return Part(node.op, tuple({axis: span} for _ in node.operands))


def _not_normalized(node: Node, axes: Axes) -> int | None:
    axis, op = _aligned(node, [axes[0], *(None for _ in axes[1:])]), node.op
    taken = (op.axis,) if isinstance(op, QSoftmax) else getattr(op, "axes", ())
    return None if axis in taken else axis


@_cut(_not_normalized, QSoftmax, QNormalize)
def _rowwise(node: Node, axis: int, span: Span) -> Part:
    needs = tuple(_same_rows(node, operand, axis, span) for operand in node.operands)
    return Part(node.op, needs)


def _kept(node: Node, axes: Axes) -> int | None:
    """The axis of a reduction's result; axes before it may be gone."""
    op, axis = node.op, axes[0]
    assert isinstance(op, QReduceMax | QReduceSum)
    if axis is None or axis in op.axes:
        return None
    return axis if op.keep else axis - sum(a < axis for a in op.axes)


@_cut(_kept, QReduceMax, QReduceSum)
def _reduced(node: Node, axis: int, span: Span) -> Part:
    op = node.op
    assert isinstance(op, QReduceMax | QReduceSum)
    rank = node.operands[0].type.rank
    left = list(range(rank)) if op.keep else [a for a in range(rank) if a not in op.axes]
    return Part(op, ({left[axis]: span},))


def _permuted(node: Node, axes: Axes) -> int | None:
    assert isinstance(node.op, Transpose)
    return None if axes[0] is None else node.op.perm.index(axes[0])


@_cut(_permuted, Transpose)
def _transposed(node: Node, axis: int, span: Span) -> Part:
    assert isinstance(node.op, Transpose)
    return Part(node.op, ({node.op.perm[axis]: span},))


def _rows_of_a(node: Node, axes: Axes) -> int | None:
    return node.result.type.rank - 2


@_cut(_rows_of_a, QDot)
def _dot(node: Node, axis: int, span: Span) -> Part:
    return Part(node.op, ({axis: span}, {}))


def _same_place(shape: Sequence[int], axis: int, other: Sequence[int]) -> int | None:
    """The axis of another shape of the same elements that has as many before it as `axis` has.

    Of several it is the last, which is the only one that can have an extent above 1.
    """
    before = prod(shape[:axis])
    found = [i for i in range(1, len(other)) if prod(other[:i]) == before]
    return found[-1] if found else None


def _regrouped(node: Node, axes: Axes) -> int | None:
    """The axis that has the rows, or several of its indices a row, or one for several rows."""
    axis = axes[0]
    if axis is None:
        return None
    old, new = node.operands[0].type.shape, node.result.type.shape
    place = _same_place(old, axis, new)
    if place is None:
        return None
    return place if max(old[axis], new[place]) % min(old[axis], new[place]) == 0 else None


def _indices_of_a_row(node: Node, axis: int) -> int:
    old, new = node.operands[0].type.shape, node.result.type.shape
    place = _same_place(new, axis, old)
    assert place is not None
    return max(1, new[axis] // old[place])


@_cut(_regrouped, Reshape, grain=_indices_of_a_row)
def _reshaped(node: Node, axis: int, span: Span) -> Part:
    old, new = node.operands[0].type.shape, node.result.type.shape
    place = _same_place(new, axis, old)
    assert place is not None
    start, stop = (edge * old[place] // new[axis] for edge in span)
    shape = (*new[:axis], span[1] - span[0], *new[axis + 1 :])
    return Part(Reshape(shape), ({place: (start, stop)},))


def _not_repeated(node: Node, axes: Axes) -> int | None:
    axis = _aligned(node, axes)
    return None if axis is None or node.operands[0].type.rank != node.result.type.rank else axis


@_cut(_not_repeated, Expand)
def _expanded(node: Node, axis: int, span: Span) -> Part:
    shape = node.result.type.shape
    part = Expand((*shape[:axis], span[1] - span[0], *shape[axis + 1 :]))
    return Part(part, ({axis: span},))


def _forward(node: Node, axes: Axes) -> int | None:
    assert isinstance(node.op, Slice)
    axis = axes[0]
    return axis if axis is not None and node.op.steps[axis] > 0 else None


@_cut(_forward, Slice)
def _sliced(node: Node, axis: int, span: Span) -> Part:
    op = node.op
    assert isinstance(op, Slice)
    step = op.steps[axis]
    start, stop = (op.starts[axis] + edge * step for edge in (span[0], span[1] - 1))
    starts, ends = list(op.starts), list(op.ends)
    starts[axis], ends[axis] = 0, stop + 1 - start
    part = replace(op, starts=tuple(starts), ends=tuple(ends))
    return Part(part, ({axis: (start, stop + 1)},))


def _untouched(node: Node, axes: Axes) -> int | None:
    """The axis itself, if the operator takes all of it as it is."""
    axis, op = axes[0], node.op
    if axis is None:
        return None
    match op:
        case Pad():
            kept = not op.pads_begin[axis] and not op.pads_end[axis]
        case _:
            kept = isinstance(op, Gather) and op.axis != axis
    return axis if kept else None


@_cut(_untouched, Pad, Gather)
def _other_axes(node: Node, axis: int, span: Span) -> Part:
    return Part(node.op, ({axis: span}, *({} for _ in node.operands[1:])))
