"""Normalization: exact statistics of rows on the vector unit, then the output stage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imcc.isa import ElementType, Space
from imcc.isa.instructions import Norm, Requant

from ...ir.op import Array
from ...ir.ops.quantized_normalize import QNormalize
from ...schedule.scratch import row_axis, rows_of
from ...schedule.task import Task
from ..emitter import Emitter, emits, local_vector, output_stage
from ..scale_words import scale_words
from ..view import View, compact, stream
from .product import Band, bands


@dataclass(frozen=True)
class _Rows:
    """Views of one shape: codes, results, and the parameters of the output stage."""

    source: View
    target: View
    bias: View
    scale: View

    def band(self, axis: int | None, band: Band) -> _Rows:
        """The first band; without an axis there is only one."""
        if axis is None:
            return self
        views = (self.source, self.target, self.bias, self.scale)
        return _Rows(*(view.narrow(axis, band.start, band.rows) for view in views))


@emits(QNormalize)
def emit_normalize(emitter: Emitter, task: Task) -> None:
    """Write the normalized values of a band of rows, and requantize them."""
    op, node, core = task.node.op, task.node, task.core
    assert isinstance(op, QNormalize)
    x, bias, scale = node.operands
    assert x.type.quant is not None
    epsilon = op.epsilon_word(x.type)
    words = [x.type.quant.zero_point[0], epsilon & 0xFFFFFFFF, epsilon >> 32]
    emitter.parameter(task, "params", core, np.asarray(words, np.uint32))
    constants = emitter.graph.constants
    factors = scale_words(constants[scale.name], op.requant).reshape(scale.type.shape)
    rows = _Rows(
        emitter.operand(task, 0),
        emitter.prepare(node.result, core),
        _parameter(emitter, task, 1, ElementType.I32, constants[bias.name]),
        _parameter(emitter, task, 2, ElementType.U32, factors),
    )
    for band in bands(rows_of(node), task.band):
        _emit_band(emitter, task, band, rows)


def _parameter(
    emitter: Emitter, task: Task, index: int, element: ElementType, words: Array
) -> View:
    """A parameter in local memory, repeated to the shape of the result."""
    address = task.address(f"operand{index}", task.core)
    emitter.parameter(task, f"operand{index}", task.core, words)
    strides = tuple(element.size * step for step in _row_major(words.shape))
    view = View(Space.LOCAL, element, address, words.shape, strides)
    return view.broadcast(task.node.result.type.shape)


def _row_major(shape: tuple[int, ...]) -> list[int]:
    return [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]


def _emit_band(emitter: Emitter, task: Task, band: Band, rows: _Rows) -> None:
    op, core, axis = task.node.op, task.core, row_axis(task.node)
    assert isinstance(op, QNormalize)
    part, code = rows.band(axis, band), emitter.core(core)
    outer = [i for i in range(1, len(part.source.shape)) if i not in op.axes]
    inner = part.source.axes(op.axes)
    source = stream(
        part.source.space,
        part.source.element,
        part.source.base,
        part.source.axes(outer),
        inner,
    )
    order = (*outer, *op.axes)
    acc = code.stream(local_vector(ElementType.I32, task.address("acc", core), source.count))
    params = code.stream(local_vector(ElementType.U32, task.address("params", core), 3))
    register = code.stream(source)
    views = (part.target, part.bias, part.scale)
    target, bias, scale = (code.stream(view.stream(order)) for view in views)
    moving = {register: part.source, target: part.target, bias: part.bias, scale: part.scale}
    steps = {
        index: 0 if axis is None else band.rows * view.strides[axis]
        for index, view in moving.items()
    }
    code.stage(output_stage(op.requant))
    with code.loop(band.count, steps):
        code.emit(Norm(acc, register, params, len(compact(inner)), int(op.center)))
        code.emit(Requant(target, acc, bias, scale))
