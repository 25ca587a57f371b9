"""Operators on one code at a time: add, multiply, functions, softmax."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imcc.isa import OutputStage, Rounding
from imcc.isa.instructions import Add, Lut, Mul, Softmax

from ...ir.ops.quantized import QAdd, QMul, QSoftmax, QUnary
from ...schedule.task import Task
from ..emitter import Emitter, emits, output_stage
from ..scale_words import add_words, mul_words
from ..view import memory_order


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
    a, b = (emitter.operand(task, i).broadcast(shape).stream(order) for i in (0, 1))
    params = emitter.load(core, task.address("params", core), words)
    target = emitter.prepare(task.node.result, core).stream(order)
    code = emitter.core(core)
    code.stage(output_stage(op.requant))
    code.emit(instruction(code.stream(target), code.stream(a), code.stream(b), code.stream(params)))


@emits(QUnary)
def emit_unary(emitter: Emitter, task: Task) -> None:
    """Look codes up in the function's table."""
    op, quant = task.node.op, task.node.operands[0].type.quant
    assert isinstance(op, QUnary)
    assert quant is not None
    core = task.core
    order = memory_order(task.node.result.type.rank)
    table = emitter.load(core, task.address("table", core), op.table(quant))
    source = emitter.operand(task, 0).stream(order)
    target = emitter.prepare(task.node.result, core).stream(order)
    code = emitter.core(core)
    code.emit(Lut(code.stream(target), code.stream(source), code.stream(table)))


@emits(QSoftmax)
def emit_softmax(emitter: Emitter, task: Task) -> None:
    """Normalise along the softmax axis, which the streams walk fastest."""
    op, quant = task.node.op, task.node.operands[0].type.quant
    assert isinstance(op, QSoftmax)
    assert quant is not None
    core, rank = task.core, task.node.result.type.rank
    order = (*(axis for axis in range(1, rank) if axis != op.axis), op.axis)
    table = emitter.load(core, task.address("table", core), op.table(quant))
    source = emitter.operand(task, 0).stream(order)
    target = emitter.prepare(task.node.result, core).stream(order)
    code = emitter.core(core)
    output = op.output
    code.stage(OutputStage(output.zero_point[0], output.low, output.high, Rounding.FLOAT24))
    code.emit(Softmax(code.stream(target), code.stream(source), code.stream(table), op.steps))
