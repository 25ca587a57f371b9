"""Products of two computed matrices: sums of products on the vector unit, band by band."""

from __future__ import annotations

import numpy as np

from imcc.isa import ElementType, Space
from imcc.isa.instructions import Dot, Requant

from ...ir.ops.quantized_divide import QDiv
from ...ir.ops.quantized_dot import QDot
from ...schedule.scratch import WORD, rows_of
from ...schedule.task import Task
from ..emitter import Emitter, emits, local_vector, output_stage
from ..scale_words import scale_words
from ..view import View, alike, logical_order, stream
from .product import Band, bands


@emits(QDot)
def emit_dot(emitter: Emitter, task: Task) -> None:
    """Write the sums of a band of rows, requantize them, and go on with the next band."""
    op, node, core = task.node.op, task.node, task.core
    assert isinstance(op, QDot)
    load_words(emitter, task, op)
    a, b = (emitter.operand(task, index) for index in (0, 1))
    result = emitter.prepare(node.result, core)
    for band in bands(rows_of(node), task.band):
        _emit_band(emitter, task, band, _factors(a, b, result), result)


def load_words(emitter: Emitter, task: Task, op: QDot | QDiv) -> None:
    """Zero points of both operands; bias of the output stage, which is 0, and its scale."""
    types = [operand.type for operand in task.node.operands]
    zeros = [type_.quant.zero_point[0] for type_ in types if type_.quant is not None]
    scale = scale_words(op.accumulator_scale(types), op.requant)
    words = np.concatenate([np.zeros(1, np.uint32), scale])
    emitter.parameter(task, "params", task.core, np.asarray(zeros, np.int32))
    emitter.parameter(task, "requant", task.core, words)


def _factors(a: View, b: View, result: View) -> tuple[View, View]:
    """The operands over all products: batch axes, rows, columns, and the axis of the sum last."""
    batch, rank = result.shape[1:-2], len(result.shape)
    inner = a.shape[-1]
    shape = (*batch, *result.shape[-2:], inner)
    left, right = (
        view.broadcast((1, *batch, *view.shape[-2:])).strides[1 : rank - 2] for view in (a, b)
    )
    return (
        a._replace(shape=shape, strides=(*left, a.strides[-2], 0, a.strides[-1])),
        b._replace(shape=shape, strides=(*right, 0, b.strides[-1], b.strides[-2])),
    )


def _emit_band(
    emitter: Emitter, task: Task, band: Band, factors: tuple[View, View], result: View
) -> None:
    op, core, rows = task.node.op, task.core, len(result.shape) - 3
    assert isinstance(op, QDot)
    code = emitter.core(core)
    a, b = (view.narrow(rows, band.start, band.rows) for view in factors)
    target = result.narrow(rows + 1, band.start, band.rows)
    left, right, inner = alike(a, b, inner=1)
    codes = target.stream(logical_order(len(target.shape)))
    acc = local_vector(ElementType.I32, task.address("acc", core), codes.count)
    address, each = task.address("requant", core), [(codes.count, 0)]
    bias = code.stream(stream(Space.LOCAL, ElementType.I32, address, each))
    scale = code.stream(stream(Space.LOCAL, ElementType.U32, address + WORD, each))
    params = code.stream(local_vector(ElementType.I32, task.address("params", core), 2))
    registers = [code.stream(state) for state in (codes, acc, left, right)]
    steps = {
        registers[0]: band.rows * target.strides[rows + 1],
        registers[2]: band.rows * a.strides[rows],
    }
    code.stage(output_stage(op.requant))
    with code.loop(band.count, steps):
        code.emit(Dot(registers[1], registers[2], registers[3], params, inner))
        code.emit(Requant(registers[0], registers[1], bias, scale))
