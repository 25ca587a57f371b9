"""Pooling: largest code of a window, or sum of a window and requantization."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcc.isa import ElementType, Space, StreamState
from imcc.isa.instructions import Max, Requant, Sum

from ...ir.ops.pooling import MaxPool
from ...ir.ops.quantized_pooling import QAveragePool, QGlobalAveragePool
from ...schedule.task import Task
from ...schedule.window import window_of
from ..emitter import Emitter, emits, local_vector, output_stage
from ..scale_words import scale_words
from ..view import View, compact, stream
from .product import bands

_WORD = ElementType.I32.size


@dataclass(frozen=True)
class _Pool:
    """Streams of a band of pooling windows: inputs with `inner` axes a window, and results."""

    source: StreamState
    inner: int
    target: StreamState
    rows: int


@emits(MaxPool)
def emit_max_pool(emitter: Emitter, task: Task) -> None:
    """Take the largest code of each window; the halo holds the lowest code."""
    code = emitter.core(task.core)
    for pool in _bands(emitter, task):
        code.emit(Max(code.stream(pool.target), code.stream(pool.source), pool.inner))


@emits(QAveragePool)
def emit_average_pool(emitter: Emitter, task: Task) -> None:
    """Sum each window, and scale by the number of elements that count at its position."""
    op, node = task.node.op, task.node
    assert isinstance(op, QAveragePool)
    types = [operand.type for operand in node.operands]
    assert types[0].quant is not None
    shape, uniform = node.result.type.shape, op.is_uniform(types)
    scales = np.broadcast_to(op.scale(types), shape[2:])
    words = scale_words(scales.ravel()[:1] if uniform else scales, op.requant)
    # The halo holds the zero point, so that every window sums the full kernel.
    taps = int(np.prod(op.kernel))
    bias = np.asarray([-types[0].quant.zero_point[0] * taps], np.int32)
    pools = list(_bands(emitter, task))
    _load_parameters(emitter, task, bias, words)
    for start, pool in zip(_starts(pools), pools, strict=True):
        position = None if uniform else start * int(np.prod(shape[3:]))
        _sum_and_requantize(emitter, task, pool, position, biased=True)


@emits(QGlobalAveragePool)
def emit_global_average_pool(emitter: Emitter, task: Task) -> None:
    """Sum each channel and scale by the number of elements."""
    op, node, core = task.node.op, task.node, task.core
    x = node.operands[0].type
    assert isinstance(op, QGlobalAveragePool)
    assert x.quant is not None
    taps = int(np.prod(x.shape[2:]))
    scales = np.asarray(op.scale([x]), np.float32).reshape(-1)
    bias = np.asarray([-x.quant.zero_point[0] * taps], np.int32)
    view = emitter.operand(task, 0)
    vector = view.axes(range(2, x.rank))
    source = stream(view.space, view.element, view.base, view.axes([1]), vector)
    target = emitter.prepare(node.result, core).stream([1])
    _load_parameters(emitter, task, bias, scale_words(scales, op.requant))
    pool = _Pool(source, len(compact(vector)), target, 1)
    _sum_and_requantize(emitter, task, pool, None, biased=False)


def _bands(emitter: Emitter, task: Task) -> Iterator[_Pool]:
    """The windows of a pooling in bands of rows."""
    node, window = task.node, window_of(task.node)
    assert window is not None
    source = emitter.windowed(task, task.core)
    result = emitter.prepare(node.result, task.core)
    for band in bands(task.rows, task.band):
        for index in range(band.count):
            start = band.start + index * band.rows
            rows = result.narrow(2, start, band.rows)
            yield _windows(source, window.kernel, window.strides, window.dilations, rows, start)


def _windows(
    source: View,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    rows: View,
    start: int,
) -> _Pool:
    spatial = source.strides[2:]
    steps = [step * stride for step, stride in zip(strides, spatial, strict=True)]
    windows = [*zip(rows.shape[2:], steps, strict=True), (source.shape[1], source.strides[1])]
    vector = [
        (count, step * stride)
        for count, step, stride in zip(kernel, dilations, spatial, strict=True)
    ]
    base = source.base + start * steps[0]
    return _Pool(
        stream(source.space, source.element, base, windows, vector),
        len(compact(vector)),
        rows.stream([*range(2, len(rows.shape)), 1]),
        rows.shape[2],
    )


def _starts(pools: list[_Pool]) -> Iterator[int]:
    start = 0
    for pool in pools:
        yield start
        start += pool.rows


def _load_parameters(
    emitter: Emitter, task: Task, bias: NDArray[np.int32], words: NDArray[np.uint32]
) -> None:
    emitter.parameter(task, "bias", task.core, bias)
    emitter.parameter(task, "scale", task.core, words)


def _sum_and_requantize(
    emitter: Emitter, task: Task, pool: _Pool, position: int | None, *, biased: bool
) -> None:
    """Sum windows into accumulators and requantize them.

    Scales start at window `position`; without one there is one scale for all windows.
    """
    op, core = task.node.op, task.core
    assert isinstance(op, (QAveragePool, QGlobalAveragePool))
    channels = task.node.result.type.shape[1]
    windows = pool.target.count // channels
    acc = local_vector(ElementType.I32, task.address("acc", core), pool.target.count)
    bias = stream(
        Space.LOCAL, ElementType.I32, task.address("bias", core), [(pool.target.count, 0)]
    )
    address = task.address("scale", core) + (position or 0) * _WORD
    step = 0 if position is None else _WORD
    scale = stream(Space.LOCAL, ElementType.U32, address, [(windows, step), (channels, 0)])
    code = emitter.core(core)
    code.stage(output_stage(op.requant, biased=biased))
    code.emit(Sum(code.stream(acc), code.stream(pool.source), pool.inner))
    code.emit(
        Requant(code.stream(pool.target), code.stream(acc), code.stream(bias), code.stream(scale))
    )
