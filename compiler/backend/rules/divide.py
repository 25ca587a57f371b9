"""Quotients of two tensors: divided on the vector unit, then requantized, band by band."""

from __future__ import annotations

from imcc.isa import ElementType, Space
from imcc.isa.instructions import Divide, Requant

from ...ir.ops.quantized_divide import QDiv
from ...schedule.scratch import WORD, row_axis, rows_of
from ...schedule.task import Task
from ..emitter import Emitter, emits, local_vector, output_stage
from ..view import View, memory_order, stream, walkable
from .dot import load_words
from .product import Band, bands

Views = tuple[View, ...]


@emits(QDiv)
def emit_divide(emitter: Emitter, task: Task) -> None:
    """Write the quotients of a band, requantize them, and go on with the next band."""
    op, node, core = task.node.op, task.node, task.core
    assert isinstance(op, QDiv)
    load_words(emitter, task, op)
    a, b = (emitter.operand(task, index).broadcast(node.result.type.shape) for index in (0, 1))
    views = (emitter.prepare(node.result, core), a, b)
    emitter.core(core).stage(output_stage(op.requant))
    for band in bands(rows_of(node), task.band):
        _emit_band(emitter, task, band, views)


def _emit_band(emitter: Emitter, task: Task, band: Band, views: Views) -> None:
    """The first band of each part of it that streams can walk; loops step to the others."""
    axis = row_axis(task.node)
    order = memory_order(len(views[0].shape))
    moves = [0 if axis is None else band.rows * view.strides[axis] for view in views]
    part = views if axis is None else tuple(v.narrow(axis, band.start, band.rows) for v in views)
    code = emitter.core(task.core)
    for walk in walkable(order, *part):
        target, a, b = (code.stream(view.stream(order)) for view in walk)
        acc, params, bias, scale = _words(emitter, task, walk[0].stream(order).count)
        with code.loop(band.count, dict(zip((target, a, b), moves, strict=True))):
            code.emit(Divide(acc, a, b, params))
            code.emit(Requant(target, acc, bias, scale))


def _words(emitter: Emitter, task: Task, count: int) -> tuple[int, int, int, int]:
    """Registers of the quotients, the zero points, and the output stage's bias and scale."""
    code, core = emitter.core(task.core), task.core
    address, each = task.address("requant", core), [(count, 0)]
    states = (
        local_vector(ElementType.I32, task.address("acc", core), count),
        local_vector(ElementType.I32, task.address("params", core), 2),
        stream(Space.LOCAL, ElementType.I32, address, each),
        stream(Space.LOCAL, ElementType.U32, address + WORD, each),
    )
    acc, params, bias, scale = map(code.stream, states)
    return acc, params, bias, scale
