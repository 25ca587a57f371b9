"""Operators that only move codes: reshape, transpose, slice, pad, concatenate."""

from __future__ import annotations

import numpy as np

from imcc.isa.instructions import Fill, Lut

from ...ir.ops.quantized import QConcat
from ...ir.ops.shape import Pad, Reshape, Slice, Transpose
from ...ir.requant import quantize
from ...schedule.task import Task
from ..emitter import Emitter, emits
from ..view import View, logical_order, memory_order


@emits(Reshape)
def emit_reshape(emitter: Emitter, task: Task) -> None:
    """Copy in the order of the ONNX tensor, which both shapes share."""
    source = emitter.operand(task, 0)
    target = emitter.prepare(task.node.result, task.core)
    emitter.copy(
        task.core,
        target.stream(logical_order(len(target.shape))),
        source.stream(logical_order(len(source.shape))),
    )


@emits(Transpose)
def emit_transpose(emitter: Emitter, task: Task) -> None:
    """Copy through permuted strides, in the memory order of the result."""
    op = task.node.op
    assert isinstance(op, Transpose)
    _copy_all(emitter, task, emitter.operand(task, 0).permute(op.perm))


@emits(Slice)
def emit_slice(emitter: Emitter, task: Task) -> None:
    """Copy the selected indices."""
    op = task.node.op
    assert isinstance(op, Slice)
    view = emitter.operand(task, 0)
    shape = task.node.result.type.shape
    for axis, (start, step) in enumerate(zip(op.starts, op.steps, strict=True)):
        view = view.narrow(axis, start, shape[axis], step)
    _copy_all(emitter, task, view)


@emits(Pad)
def emit_pad(emitter: Emitter, task: Task) -> None:
    """Fill the result with the code of the pad value, then copy the operand into it."""
    op, quant = task.node.op, task.node.result.type.quant
    assert isinstance(op, Pad)
    assert quant is not None
    source = emitter.operand(task, 0)
    target = emitter.prepare(task.node.result, task.core)
    order = memory_order(len(target.shape))
    code = emitter.core(task.core)
    fill = quantize(np.asarray(op.value, np.float32), quant)
    code.emit(Fill(code.stream(target.stream(order)), int(fill)))
    for axis, (start, count) in enumerate(zip(op.pads_begin, source.shape, strict=True)):
        target = target.narrow(axis, start, count)
    emitter.copy(task.core, target.stream(order), source.stream(order))


@emits(QConcat)
def emit_concat(emitter: Emitter, task: Task) -> None:
    """Copy each operand to its part, through a table where its scale is another."""
    op = task.node.op
    assert isinstance(op, QConcat)
    tables = op.tables([operand.type for operand in task.node.operands])
    target = emitter.prepare(task.node.result, task.core)
    order = memory_order(len(target.shape))
    code = emitter.core(task.core)
    start = 0
    for index, table in enumerate(tables):
        source = emitter.operand(task, index)
        part = target.narrow(op.axis, start, source.shape[op.axis])
        start += source.shape[op.axis]
        if table is None:
            emitter.copy(task.core, part.stream(order), source.stream(order))
            continue
        loaded = emitter.load(task.core, task.address(f"table{index}", task.core), table)
        code.emit(
            Lut(
                code.stream(part.stream(order)),
                code.stream(source.stream(order)),
                code.stream(loaded),
            )
        )


def _copy_all(emitter: Emitter, task: Task, source: View) -> None:
    target = emitter.prepare(task.node.result, task.core)
    order = memory_order(len(target.shape))
    emitter.copy(task.core, target.stream(order), source.stream(order))
