"""Operators on one code at a time: add, multiply, functions, softmax."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcc.isa import OutputStage, Rounding
from imcc.isa.instructions import Add, Fill, Lut, Mul, Softmax

from ...ir.ops.quantized import QAdd, QMul, QSoftmax, QUnary
from ...schedule.task import Task
from ..emitter import Emitter, emits, output_stage
from ..scale_words import add_words, mul_words
from ..view import memory_order, stream, walkable


@emits(QAdd)
def emit_add(emitter: Emitter, task: Task) -> None:
    """Add two tensors of codes."""
    op = task.node.op
    assert isinstance(op, QAdd)
    _emit_binary(emitter, task, Add, add_words(op, task.node))


@emits(QMul)
def emit_mul(emitter: Emitter, task: Task) -> None:
    """Multiply two tensors of codes."""
    op = task.node.op
    assert isinstance(op, QMul)
    _emit_binary(emitter, task, Mul, mul_words(op, task.node))


def _emit_binary(
    emitter: Emitter, task: Task, instruction: type[Add | Mul], words: NDArray[np.uint32]
) -> None:
    shape = task.node.result.type.shape
    order = memory_order(len(shape))
    op, core = task.node.op, task.core
    assert isinstance(op, (QAdd, QMul))
    a, b = (emitter.operand(task, i).broadcast(shape) for i in (0, 1))
    params = emitter.parameter(task, "params", core, words)
    target = emitter.prepare(task.node.result, core)
    code = emitter.core(core)
    code.stage(output_stage(op.requant))
    for views in walkable(order, target, a, b):
        walks = (*(view.stream(order) for view in views), params)
        code.emit(instruction(*(code.stream(walk) for walk in walks)))


@emits(QUnary)
def emit_unary(emitter: Emitter, task: Task) -> None:
    """Look codes up in the function's table."""
    op, quant = task.node.op, task.node.operands[0].type.quant
    assert isinstance(op, QUnary)
    assert quant is not None
    core = task.core
    order = memory_order(task.node.result.type.rank)
    table = emitter.parameter(task, "table", core, op.table(quant))
    source = emitter.operand(task, 0)
    target = emitter.prepare(task.node.result, core)
    code = emitter.core(core)
    for to, at in walkable(order, target, source):
        code.emit(
            Lut(code.stream(to.stream(order)), code.stream(at.stream(order)), code.stream(table))
        )


@emits(QSoftmax)
def emit_softmax(emitter: Emitter, task: Task) -> None:
    """Normalise along the softmax axis, which the streams walk fastest, as an axis of its own."""
    op, quant = task.node.op, task.node.operands[0].type.quant
    assert isinstance(op, QSoftmax)
    assert quant is not None
    core, shape = task.core, task.node.result.type.shape
    code, output = emitter.core(core), op.output
    others = [axis for axis in range(1, len(shape)) if axis != op.axis]
    source, target = emitter.operand(task, 0), emitter.prepare(task.node.result, core)
    if shape[op.axis] == 1:  # a stream has no axis of one element for the rows
        one = int(op.requant.clip(np.asarray(op.steps), output.zero_point[0]))
        code.operate(Fill, [target.stream([*others, op.axis])], one)
        return
    table = emitter.parameter(task, "table", core, op.table(quant))
    to, at = (
        code.stream(stream(v.space, v.element, v.base, v.axes(others), v.axes([op.axis])))
        for v in (target, source)
    )
    code.stage(OutputStage(output.zero_point[0], output.low, output.high, Rounding.FLOAT24))
    code.emit(Softmax(to, at, code.stream(table), op.steps))
