"""Reductions over axes: the largest code, or a sum and its output stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from imcc.isa import ElementType, Space, StreamState
from imcc.isa.instructions import STREAM_AXES, Max, Requant, Sum

from ...ir.ops.quantized_reduce import QReduceMax, QReduceSum
from ...schedule.task import Task
from ..emitter import Emitter, emits, local_vector, output_stage
from ..scale_words import scale_words
from ..view import View, compact, stream


@emits(QReduceMax)
def emit_reduce_max(emitter: Emitter, task: Task) -> None:
    """Take the largest code over the reduced axes."""
    op = task.node.op
    assert isinstance(op, QReduceMax)
    code = emitter.core(task.core)
    for target, source, inner in walks(emitter, task, op.axes):
        code.emit(Max(code.stream(target), code.stream(source), inner))


@emits(QReduceSum)
def emit_reduce_sum(emitter: Emitter, task: Task) -> None:
    """Sum into accumulators, then scale."""
    op, core = task.node.op, task.core
    assert isinstance(op, QReduceSum)
    types = [operand.type for operand in task.node.operands]
    word = scale_words(np.asarray([op.scale(types)], np.float32), op.requant)
    emitter.parameter(task, "bias", core, np.asarray([op.bias(types)], np.int32))
    emitter.parameter(task, "scale", core, word)
    code = emitter.core(core)
    code.stage(output_stage(op.requant))
    for target, source, inner in walks(emitter, task, op.axes):
        acc = local_vector(ElementType.I32, task.address("acc", core), target.count)
        bias, scale = (
            stream(Space.LOCAL, element, task.address(name, core), [(target.count, 0)])
            for name, element in (("bias", ElementType.I32), ("scale", ElementType.U32))
        )
        code.emit(Sum(code.stream(acc), code.stream(source), inner))
        streams = (target, acc, bias, scale)
        code.emit(Requant(*(code.stream(operand) for operand in streams)))


def walks(
    emitter: Emitter, task: Task, axes: Sequence[int]
) -> Iterator[tuple[StreamState, StreamState, int]]:
    """Streams of results and of operands, and how many inner axes the latter has."""
    source = emitter.operand(task, 0)
    target = opened(emitter.prepare(task.node.result, task.core), source.shape, axes)
    kept = [axis for axis in range(1, len(source.shape)) if axis not in axes]
    outer = sorted(kept, key=lambda axis: -target.strides[axis])
    for to, at in _walkable(outer, axes, target, source):
        inner = at.axes(axes)
        walk = stream(at.space, at.element, at.base, at.axes(outer), inner)
        yield to.stream(outer), walk, len(compact(inner))


def opened(target: View, shape: Sequence[int], axes: Sequence[int]) -> View:
    """The result with an axis of extent 1 for each reduced axis, also where these have vanished."""
    if len(target.shape) == len(shape):
        return target
    strides = list(target.strides)
    for axis in sorted(axes):
        strides.insert(axis, 0)
    extents = tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))
    return View(target.space, target.element, target.base, extents, tuple(strides))


def _walkable(
    outer: Sequence[int], inner: Sequence[int], target: View, source: View
) -> Iterator[tuple[View, View]]:
    """Parts of results and operands that six axes can walk; axes that are kept are taken apart."""
    walked = len(compact(source.axes(outer))) + len(compact(source.axes(inner)))
    apart = [axis for axis in outer if source.shape[axis] > 1]
    if walked <= STREAM_AXES or not apart:
        yield target, source
        return
    shortest = min(apart, key=lambda axis: source.shape[axis])
    for index in range(source.shape[shortest]):
        parts = (view.narrow(shortest, index, 1) for view in (target, source))
        yield from _walkable(outer, inner, *parts)
