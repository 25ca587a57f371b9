"""Matrix products: drive the arrays band by band, reduce partial sums, requantize.

A product's outputs are cut in blocks; all shards of a block add up to it. The core of the first
shard reduces: the other cores send it their accumulators. It requantizes, and sends the codes
home if home is another core. Every core runs a loop over the same bands, so sends and receives
meet in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from imcc.isa import ElementType, Instruction, Space, StreamState
from imcc.isa.instructions import Accumulate, Mvm, Recv, Requant, Send

from ...ir.graph import Node
from ...ir.ops.parallel_windows import QParallelConv
from ...ir.ops.quantized import QConv, QMatMul
from ...ir.ops.tiled import Tiled
from ...mapping.plan import Shard
from ...schedule.layout import ELEMENTS
from ...schedule.scratch import row_axis, rows_of, windows_per_row
from ...schedule.task import Task
from ...schedule.window import driven_window_of, product_of, window_counts, windows_at_once
from ..emitter import Emitter, emits, local_vector, output_stage
from ..scale_words import scale_words
from ..view import Axis, View, compact, stream


@dataclass(frozen=True)
class Band:
    """`count` bands of `rows` rows of windows each, the first beginning at row `start`.

    A band has all columns of its rows, or `columns` of them from `column` on. Rows and columns
    are those of parallel windows.
    """

    start: int
    rows: int
    count: int
    column: int = 0
    columns: int = 0


@dataclass(frozen=True)
class Block:
    """One output block of a product while its instructions are written."""

    task: Task
    n0: int
    n1: int
    shards: tuple[Shard, ...]

    @property
    def reducer(self) -> int:
        """The core where the block's accumulators meet."""
        return self.shards[0].core

    @property
    def cores(self) -> tuple[int, ...]:
        """All cores that take part, home included."""
        return tuple(dict.fromkeys((*(s.core for s in self.shards), self.task.core)))

    def address(self, name: str, core: int) -> int:
        """Working memory of this block."""
        return self.task.address(f"{name}{self.n0}", core)


@emits(Tiled)
def emit_product(emitter: Emitter, task: Task) -> None:
    """Write a product, block by block."""
    op = task.node.op
    assert isinstance(op, Tiled)
    inputs = {core: emitter.windowed(task, core) for core in op.plan.cores()}
    emitter.prepare(task.node.result, task.core)
    bias, words = emitter.remembered(task.node, _parameters)
    for (n0, n1), shards in op.plan.blocks():
        block = Block(task, n0, n1, shards)
        end = n0 + (n1 - n0) // prod(windows_at_once(task.node))  # all windows have the same
        emitter.parameter(task, f"bias{n0}", block.reducer, bias[n0:end])
        emitter.parameter(task, f"scale{n0}", block.reducer, words[n0:end])
        for band in _bands(task):
            _emit_band(emitter, block, band, inputs)


def _bands(task: Task) -> Iterator[Band]:
    rows = rows_of(task.node)
    if not task.columns:
        yield from bands(rows, task.band)
        return
    columns = window_counts(task.node)[1]
    for column in range(0, columns, task.columns):
        yield Band(0, 1, rows, column, min(task.columns, columns - column))


def bands(rows: int, band: int) -> Iterator[Band]:
    """Full bands as one loop, and what is left as a shorter band."""
    yield Band(0, band, rows // band)
    if rows % band:
        yield Band(rows - rows % band, rows % band, 1)


def _parameters(emitter: Emitter, node: Node) -> tuple[NDArray[np.int32], NDArray[np.uint32]]:
    """Bias with the input zero point folded in, and scale words, for each output channel."""
    op = node.op
    assert isinstance(op, Tiled)
    x, w, b = node.operands
    weights, bias = emitter.graph.constants[w.name], emitter.graph.constants[b.name]
    assert x.type.quant is not None
    axes = 0 if isinstance(op.product, QMatMul) else tuple(range(1, weights.ndim))
    sums = weights.astype(np.int64).sum(axis=axes)
    zeros = (x.type.quant.zero_point[0] * sums) << op.product.shift
    folded = bias.astype(np.int64) - zeros
    types = [operand.type for operand in node.operands]
    scales = np.broadcast_to(op.product.accumulator_scale(types), folded.shape)
    return folded.astype(np.int32), scale_words(scales, op.product.requant)


def _emit_band(emitter: Emitter, block: Block, band: Band, inputs: dict[int, View]) -> None:
    """Write the loop over bands of one block, on every core that takes part."""
    streams = _Streams(emitter, block, band)
    drives = [_drive(streams, index, inputs, block) for index in range(len(block.shards))]
    reduces = _reduce(streams, block)
    finishes = _finish(streams, block)
    with ExitStack() as loops:
        for core in block.cores:
            loops.enter_context(emitter.core(core).loop(band.count, streams.steps[core]))
        for core, instruction in (*drives, *reduces, *finishes):
            emitter.core(core).emit(instruction)


def _drive(
    streams: _Streams, index: int, inputs: dict[int, View], block: Block
) -> tuple[int, Instruction]:
    """The product of one shard, added to what an earlier shard left on the same core."""
    shard = block.shards[index]
    register, inner = streams.source(inputs[shard.core], shard)
    accumulate = int(any(other.core == shard.core for other in block.shards[:index]))
    matrix = streams.emitter.matrix_id(shard.matrix)
    target = streams.accumulators("acc", shard.core)
    return shard.core, Mvm(target, register, matrix, inner, accumulate)


def _reduce(streams: _Streams, block: Block) -> list[tuple[int, Instruction]]:
    """Partial sums of other cores come to the reducer one after another."""
    reducer = block.reducer
    written: list[tuple[int, Instruction]] = []
    for core in dict.fromkeys(shard.core for shard in block.shards):
        if core == reducer:
            continue
        total, partial = (streams.accumulators(name, reducer) for name in ("acc", "partial"))
        written.append((core, Send(streams.accumulators("acc", core), reducer, 0)))
        written.append((reducer, Recv(partial, core, 0)))
        written.append((reducer, Accumulate(total, total, partial)))
    return written


def _finish(streams: _Streams, block: Block) -> list[tuple[int, Instruction]]:
    """Requantize on the reducer, straight into the result if it lies there.

    Sums that count bits of the bias below one are doubled as often before.
    """
    emitter, task, reducer = streams.emitter, block.task, block.reducer
    op = task.node.op
    assert isinstance(op, Tiled)
    emitter.core(reducer).stage(output_stage(op.product.requant))
    total, (bias, scale) = streams.accumulators("acc", reducer), streams.parameters()
    doubled = [(reducer, Accumulate(total, total, total))] * op.product.shift
    kept = streams.kept("acc", reducer)
    if reducer == task.core:
        return [*doubled, (reducer, Requant(streams.result(), kept, bias, scale))]
    codes = streams.codes()
    return [
        *doubled,
        (reducer, Requant(codes, kept, bias, scale)),
        (reducer, Send(codes, task.core, 0)),
        (task.core, Recv(streams.result(), reducer, 0)),
    ]


class _Streams:
    """Stream registers of one band of a block, and how far each moves from band to band."""

    def __init__(self, emitter: Emitter, block: Block, band: Band) -> None:
        self.emitter = emitter
        self.steps: dict[int, dict[int, int]] = {core: {} for core in block.cores}
        self._block = block
        self._band = band
        self._at_once = windows_at_once(block.task.node)
        self._windows = band.rows * (band.columns or windows_per_row(block.task.node))
        self._outputs = (block.n1 - block.n0) // prod(self._at_once)
        self._pixels = band.rows * _pixels_of_row(block.task.node, band)

    def source(self, view: View, shard: Shard) -> tuple[int, int]:
        """Register of the input vectors of a shard, and the number of axes in one vector."""
        node, band = self._block.task.node, self._band
        channels = channel_axis(node)
        view = view.narrow(channels, shard.c0, shard.c1 - shard.c0)
        windows, vector = _geometry(node, view, channels)
        base, row_step = view.base, 0
        if row_axis(node) is not None:
            (_, row_step), *rest = windows
            if band.columns:
                ((_, column_step),) = rest
                rest = [(band.columns, column_step)]
                base += band.column * column_step
            windows = ((band.rows, row_step), *rest)
            base += band.start * row_step
        inner = len(compact(vector))
        state = stream(view.space, view.element, base, windows, vector)
        return self._moving(shard.core, state, band.rows * row_step), inner

    def accumulators(self, name: str, core: int) -> int:
        """Register of the int32 accumulators of a band on a core."""
        address = self._block.address(name, core)
        return self._register(core, local_vector(ElementType.I32, address, self._elements))

    def kept(self, name: str, core: int) -> int:
        """The accumulators without those of windows beyond the edge of the result."""
        rows, word = self._band.rows, ElementType.I32.size
        each, kept = self._elements // rows, self._pixels * self._outputs // rows
        if each == kept:
            return self.accumulators(name, core)
        axes = ((rows, each * word), (kept, word))
        address = self._block.address(name, core)
        return self._register(core, stream(Space.LOCAL, ElementType.I32, address, axes))

    def codes(self) -> int:
        """Register of the reducer's codes on their way home."""
        core, count = self._block.reducer, self._pixels * self._outputs
        element = ELEMENTS[self._block.task.node.result.type.dtype]
        address = self._block.address("codes", core)
        return self._register(core, local_vector(element, address, count))

    def parameters(self) -> tuple[int, int]:
        """Registers of bias and scale words, repeated for every element of the result."""
        core = self._block.reducer
        axes = ((self._pixels, 0), (self._outputs, ElementType.I32.size))
        bias, scale = (self._block.address(name, core) for name in ("bias", "scale"))
        return (
            self._register(core, stream(Space.LOCAL, ElementType.I32, bias, axes)),
            self._register(core, stream(Space.LOCAL, ElementType.U32, scale, axes)),
        )

    def result(self) -> int:
        """Register of the band's part of the result."""
        block, band = self._block, self._band
        node, core = block.task.node, block.task.core
        view = self.emitter.view(node.result, core)
        channels = channel_axis(node)
        view = view.narrow(channels, block.n0, self._outputs)
        rows, step = row_axis(node), 0
        if rows is not None:
            high = self._at_once[0] if self._at_once else 1
            step = band.rows * high * view.strides[rows]
            view = view.narrow(rows, band.start * high, band.rows * high)
        if band.columns:
            columns = self._pixels // self._at_once[0]
            view = view.narrow(3, band.column * self._at_once[1], columns)
        others = [axis for axis in range(1, len(view.shape)) if axis != channels]
        if prod(self._at_once[:-1]) > 1:
            view, others = _by_windows(view, self._at_once)
        return self._moving(core, view.stream([*others, channels]), step)

    @property
    def _elements(self) -> int:
        return self._windows * (self._block.n1 - self._block.n0)

    def _register(self, core: int, state: StreamState) -> int:
        return self.emitter.core(core).stream(state)

    def _moving(self, core: int, state: StreamState, step: int) -> int:
        register = self._register(core, state)
        self.steps[core][register] = step
        return register


def _pixels_of_row(node: Node, band: Band) -> int:
    """Elements of a channel of the result that a row of windows of a band makes."""
    at_once, shape = windows_at_once(node), node.result.type.shape
    windows = band.columns or windows_per_row(node)
    if len(shape) != 4 or not isinstance(product_of(node.op), QParallelConv):
        return windows * prod(at_once)
    return at_once[0] * min(windows * at_once[1], shape[3] - band.column * at_once[1])


def _by_windows(view: View, at_once: Sequence[int]) -> tuple[View, list[int]]:
    """A map with each spatial axis in two, and their order: parallel windows, windows in one."""
    rank = len(at_once)
    for axis in range(rank + 1, 1, -1):
        count, several = view.shape[axis], at_once[axis - 2]
        view = view.unfold(axis, (count // several, several), (several, 1))
    return view, [*range(2, 2 + 2 * rank, 2), *range(3, 2 + 2 * rank, 2)]


def channel_axis(node: Node) -> int:
    """The axis of input and result that a product's channels lie along."""
    return node.result.type.rank - 1 if isinstance(product_of(node.op), QMatMul) else 1


def _geometry(node: Node, view: View, channels: int) -> tuple[tuple[Axis, ...], tuple[Axis, ...]]:
    """Axes over the windows of the input, and axes over one input vector.

    The channel comes last in a vector, but first where there are groups (`shard_weights`).
    """
    window, channel = driven_window_of(node), view.axes([channels])
    if window is None:
        return view.axes(range(1, channels)), channel
    strides = view.strides[2:]
    windows = tuple(
        (count, step * stride)
        for count, step, stride in zip(window_counts(node), window.strides, strides, strict=True)
    )
    taps = tuple(
        (count, step * stride)
        for count, step, stride in zip(window.kernel, window.dilations, strides, strict=True)
    )
    product = product_of(node.op)
    grouped = isinstance(product, QConv) and product.group > 1
    return windows, (*channel, *taps) if grouped else (*taps, *channel)
