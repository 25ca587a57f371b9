"""Operators that only move codes: reshape, transpose, slice, pad, gather, concatenate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from imcc.isa.instructions import Fill, Lut

from ...ir.ops.dilate import Dilate
from ...ir.ops.indexing import Gather
from ...ir.ops.quantized import QConcat
from ...ir.ops.shape import Expand, Pad, Reshape, Slice, Transpose
from ...ir.requant import quantize
from ...schedule.task import Task
from ..emitter import Emitter, emits
from ..index_blocks import index_blocks
from ..view import View, logical_order, memory_order, walkable


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
    _fill(emitter, task.core, target, int(quantize(np.asarray(op.value, np.float32), quant)))
    for axis, (begin, end) in enumerate(zip(op.pads_begin, op.pads_end, strict=True)):
        count = source.shape[axis] + min(begin, 0) + min(end, 0)
        source = source.narrow(axis, max(-begin, 0), count)
        target = target.narrow(axis, max(begin, 0), count)
    _copy(emitter, task.core, target, source)


@emits(Dilate)
def emit_dilate(emitter: Emitter, task: Task) -> None:
    """Fill the result with zeros, then copy the operand into it with steps."""
    op, quant = task.node.op, task.node.result.type.quant
    assert isinstance(op, Dilate)
    assert quant is not None
    source = emitter.operand(task, 0)
    target = emitter.prepare(task.node.result, task.core)
    _fill(emitter, task.core, target, quant.zero_point[0])
    for axis, step in enumerate(op.strides, 2):
        target = target.narrow(axis, 0, source.shape[axis], step)
    _copy(emitter, task.core, target, source)


@emits(Expand)
def emit_expand(emitter: Emitter, task: Task) -> None:
    """Copy elements again and again: strides of 0."""
    source = emitter.operand(task, 0)
    _copy_all(emitter, task, source.broadcast(task.node.result.type.shape))


@emits(Gather)
def emit_gather(emitter: Emitter, task: Task) -> None:
    """A copy for each regular block of indices along an axis."""
    op, node = task.node.op, task.node
    assert isinstance(op, Gather)
    axis, positions = op.axis, emitter.graph.constants[node.operands[1].name]
    source = emitter.operand(task, 0)
    target = emitter.prepare(node.result, task.core)
    order = _unfolded(memory_order(len(target.shape)), axis)
    start = 0
    for block in index_blocks(positions.tolist()):
        to = target.narrow(axis, start, 1)
        to = to.unfold(axis, (block.outer, block.inner), (block.inner, 1))
        at = source.narrow(axis, block.first, 1)
        at = at.unfold(axis, (block.outer, block.outer_step), (block.inner, block.inner_step))
        start += block.outer * block.inner
        _copy(emitter, task.core, to, at, order)


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
            _copy(emitter, task.core, part, source)
            continue
        loaded = emitter.parameter(task, f"table{index}", task.core, table)
        for to, at in walkable(order, part, source):
            streams = (to.stream(order), at.stream(order), loaded)
            code.emit(Lut(*(code.stream(stream) for stream in streams)))


def _copy_all(emitter: Emitter, task: Task, source: View) -> None:
    _copy(emitter, task.core, emitter.prepare(task.node.result, task.core), source)


def _copy(
    emitter: Emitter, core: int, target: View, source: View, order: Sequence[int] = ()
) -> None:
    """Copy between views of one shape, in the memory order of the target by default."""
    order = order or memory_order(len(target.shape))
    for to, at in walkable(order, target, source):
        emitter.copy(core, to.stream(order), at.stream(order))


def _fill(emitter: Emitter, core: int, target: View, value: int) -> None:
    order, code = memory_order(len(target.shape)), emitter.core(core)
    for (part,) in walkable(order, target):
        code.operate(Fill, [part.stream(order)], value)


def _unfolded(order: Sequence[int], axis: int) -> tuple[int, ...]:
    """An order of axes where `axis` has become two."""
    both = {axis: (axis, axis + 1)}
    return tuple(new for a in order for new in both.get(a, (a + (a > axis),)))
