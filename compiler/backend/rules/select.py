"""Extremes of two tensors of codes and choice between them, in sums and products of codes.

The output stage saturates, which makes these exact: ``max(a - b, 0)`` is a sum whose results are
clipped below. Scales are 1 and -1 in every datapath.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcc.isa import OutputStage, Rounding, StreamState
from imcc.isa.instructions import Add, Mul

from ...ir.op import Array
from ...ir.ops.quantized_select import QMaximum, QMinimum, QSelect
from ...ir.types import TensorType
from ...schedule.layout import plain_layout
from ...schedule.task import Task
from ..emitter import Emitter, emits, layout_view
from ..view import View, memory_order, walkable

_PLUS, _MINUS = 1, 1 | 1 << 31  # scale words of 1 and -1
_SUM, _DIFFERENCE = (_PLUS, _PLUS, 0), (_PLUS, _MINUS, 0)
_HIGHEST = 255


@emits(QMaximum)
def emit_maximum(emitter: Emitter, task: Task) -> None:
    """``max(a - b, 0) + b``."""
    _emit_extreme(emitter, task, largest=True)


@emits(QMinimum)
def emit_minimum(emitter: Emitter, task: Task) -> None:
    """``a - max(a - b, 0)``."""
    _emit_extreme(emitter, task, largest=False)


def _emit_extreme(emitter: Emitter, task: Task, *, largest: bool) -> None:
    shape = task.node.result.type.shape
    a, b = (emitter.operand(task, index).broadcast(shape) for index in (0, 1))
    target = emitter.prepare(task.node.result, task.core)
    writer = _Writer(emitter, task)
    difference, total = writer.words(0, _DIFFERENCE), writer.words(1, _SUM)
    for to, x, y in walkable(memory_order(len(shape)), target, a, b):
        writer.add(to, x, y, difference)
        if largest:
            writer.add(to, to, y, total)
        else:
            writer.add(to, x, to, difference)


@emits(QSelect)
def emit_select(emitter: Emitter, task: Task) -> None:
    """``mask * a + (1 - mask) * b``, one product where a or b is a number."""
    _, a, b = task.node.operands
    numbers = [_number(emitter.graph.constant(value)) for value in (a, b)]
    if numbers[1] is not None:
        _emit_beside(emitter, task, 1, numbers[1])
    elif numbers[0] is not None:
        _emit_beside(emitter, task, 2, numbers[0])
    else:
        _emit_choice(emitter, task)


def _number(array: Array | None) -> int | None:
    return None if array is None or array.size != 1 else int(array.reshape(()))


def _emit_beside(emitter: Emitter, task: Task, index: int, number: int) -> None:
    """Operand `index` where it is chosen, else `number`: ``chosen * (x - number) + number``."""
    shape = task.node.result.type.shape
    mask, x = (emitter.operand(task, i).broadcast(shape) for i in (0, index))
    target = emitter.prepare(task.node.result, task.core)
    writer = _Writer(emitter, task)
    words = writer.words(0, (_PLUS, 0, number) if index == 1 else (_MINUS, 1, number))
    for to, m, y in walkable(memory_order(len(shape)), target, mask, x):
        writer.multiply(to, m, y, words, number)


def _emit_choice(emitter: Emitter, task: Task) -> None:
    shape = task.node.result.type.shape
    mask, a, b = (emitter.operand(task, index).broadcast(shape) for index in (0, 1, 2))
    target = emitter.prepare(task.node.result, task.core)
    writer = _Writer(emitter, task)
    other = _plain(task.node.result.type, target, task.address("other", task.core))
    words = [writer.words(i, w) for i, w in enumerate(((_PLUS, 0, 0), (_MINUS, 1, 0), _SUM))]
    order = memory_order(len(shape))
    for to, rest, m, x, y in walkable(order, target, other, mask, a, b):
        writer.multiply(to, m, x, words[0], 0)
        writer.multiply(rest, m, y, words[1], 0)
        writer.add(to, to, rest, words[2])


def _plain(type_: TensorType, like: View, address: int) -> View:
    """Working memory for a tensor of this type."""
    return layout_view(plain_layout(like.element, type_.shape), address)


class _Writer:
    """Writes sums and products whose results are codes without a scale."""

    def __init__(self, emitter: Emitter, task: Task) -> None:
        self._emitter = emitter
        self._task = task
        self._code = emitter.core(task.core)
        self._order = memory_order(task.node.result.type.rank)

    def words(self, index: int, values: tuple[int, int, int]) -> StreamState:
        """Parameters of an instruction, loaded."""
        array: NDArray[np.uint32] = np.asarray(values, np.uint32)
        return self._emitter.parameter(self._task, f"params{index}", self._task.core, array)

    def add(self, target: View, a: View, b: View, words: StreamState) -> None:
        """A sum, clipped to codes."""
        self._code.stage(OutputStage(0, 0, _HIGHEST, Rounding.FLOAT24))
        self._emit(Add, target, a, b, words)

    def multiply(self, target: View, a: View, b: View, words: StreamState, zero: int) -> None:
        """A product, with the zero point of the result."""
        self._code.stage(OutputStage(zero, 0, _HIGHEST, Rounding.FLOAT24))
        self._emit(Mul, target, a, b, words)

    def _emit(
        self, instruction: type[Add | Mul], target: View, a: View, b: View, words: StreamState
    ) -> None:
        streams = (*(view.stream(self._order) for view in (target, a, b)), words)
        self._code.emit(instruction(*(self._code.stream(stream) for stream in streams)))
