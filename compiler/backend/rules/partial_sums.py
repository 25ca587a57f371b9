"""Sums that are made run by run: of a run, of two of them, and their codes."""

from __future__ import annotations

import numpy as np

from imcc.isa import ElementType, Space
from imcc.isa.instructions import Accumulate, Requant, Sum

from ...ir.ops.partial_sums import AddSums, PartialSum, RequantizeSums
from ...schedule.task import Task
from ..emitter import Emitter, emits, output_stage
from ..scale_words import scale_words
from ..view import memory_order, stream, walkable
from .reduce import opened, walks


@emits(PartialSum)
def emit_partial_sum(emitter: Emitter, task: Task) -> None:
    """Sum the codes of a run."""
    op, code = task.node.op, emitter.core(task.core)
    assert isinstance(op, PartialSum)
    for target, source, inner in walks(emitter, task, op.axes):
        code.emit(Sum(code.stream(target), code.stream(source), inner))


@emits(AddSums)
def emit_add_sums(emitter: Emitter, task: Task) -> None:
    """Add the sums of two runs."""
    order, code = memory_order(task.node.result.type.rank), emitter.core(task.core)
    a, b = (emitter.operand(task, index) for index in (0, 1))
    target = emitter.prepare(task.node.result, task.core)
    for views in walkable(order, target, a, b):
        code.emit(Accumulate(*(code.stream(view.stream(order)) for view in views)))


@emits(RequantizeSums)
def emit_requantize_sums(emitter: Emitter, task: Task) -> None:
    """Scale sums to codes."""
    op, core = task.node.op, task.core
    assert isinstance(op, RequantizeSums)
    sums = emitter.operand(task, 0)
    target = opened(emitter.prepare(task.node.result, core), sums.shape, op.axes)
    emitter.parameter(task, "bias", core, np.asarray([op.bias], np.int32))
    word = scale_words(np.asarray([op.scale], np.float32), op.requant)
    emitter.parameter(task, "scale", core, word)
    order, code = memory_order(len(sums.shape)), emitter.core(core)
    code.stage(output_stage(op.requant, biased=op.biased))
    for to, acc in walkable(order, target, sums):
        count = int(np.prod(acc.shape))
        bias, scale = (
            stream(Space.LOCAL, element, task.address(name, core), [(count, 0)])
            for name, element in (("bias", ElementType.I32), ("scale", ElementType.U32))
        )
        streams = (to.stream(order), acc.stream(order), bias, scale)
        code.emit(Requant(*(code.stream(operand) for operand in streams)))
