"""Matrix products as crossbars compute them: slices, input steps, row blocks and converters.

This is the plain form of the semantics in `imcc.isa.matrix`, vectorised over windows: for each
row block one exact product of an input step with all slices, then conversion, shift and add.
It is the compiler's own witness for what the machine computes, and shares no code with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import NDArray

from imcc.isa.matrix import Matrix
from imcc.isa.planes import Planes, row_edges

from ...mapping.adc import convert
from ...mapping.encoding import BlockWeights, Levels, Weights, block_planes, code_of
from ...mapping.plan import MatrixPlan, Region, Shard
from ..op import Array, Op, Stage, op
from ..sketch import thinned
from ..types import TensorType
from .quantized import QConv, QMatMul

_SUMS = 1 << 20  # column sums held at once: 4 MiB
_COLUMNS = 1 << 25  # input codes gathered at once: 32 MiB
_FLOAT32 = 1 << 24  # integers below are exact in float32

Product = QConv | QMatMul


@op("tiled", Stage.TILED)
class Tiled(Op):
    """A quantized product with the plan of its crossbars; operands are those of the product."""

    product: QConv | QMatMul
    plan: MatrixPlan

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type that the product has."""
        return self.product.infer(operands)

    def outputs(self, types: Sequence[TensorType]) -> int:
        """Number of output channels."""
        return types[1].shape[0 if isinstance(self.product, QConv) else 1]

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Crossbar products of all shards, then the product's own output stage."""
        acc = self.accumulators(inputs, types)
        scale = self.product.accumulator_scale(types)
        if isinstance(self.product, QConv):
            codes = self.product.requant.apply(acc, scale.reshape(-1, *([1] * (acc.ndim - 2))))
            return (self.product.in_place(codes, types),)
        return (self.product.requant.apply(acc, scale),)

    def accumulators(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> Array:
        """The int32 accumulators, with bias and input zero point.

        They are shaped like the result; those of parallel windows as these come.
        """
        x, w = inputs[:2]
        quant = types[0].quant
        zero = 0 if quant is None else quant.zero_point[0]
        bias = inputs[2] if len(inputs) == 3 else 0
        total = (self._fold(w, zero) << self.product.shift) + bias
        parts = [(s, self._planes(s, w)) for s in self.plan.shards]
        chunks = [
            self._chunk(chunk, types[1], zero, parts, total) for chunk in self._chunks(x, types[1])
        ]
        return np.concatenate(chunks)

    def _planes(self, shard: Shard, w: Weights) -> Planes:
        return block_planes(code_of(shard.matrix), shard_weights(self.product, w, shard))

    def _fold(self, w: Weights, zero: int) -> NDArray[np.int64]:
        """What the zero point of the input adds to every accumulator: padding is zero point."""
        axes = tuple(range(1, w.ndim)) if isinstance(self.product, QConv) else (0,)
        return np.asarray(-zero * w.sum(axis=axes, dtype=np.int64))

    def _chunks(self, x: Array, weight: TensorType) -> Iterator[Array]:
        taps = prod(weight.shape[2:]) if isinstance(self.product, QConv) else 1
        samples = max(1, _COLUMNS // max(1, x[0].size * taps))
        return (x[start : start + samples] for start in range(0, len(x), samples))

    def _chunk(
        self,
        x: Array,
        weight: TensorType,
        zero: int,
        parts: Sequence[tuple[Shard, Planes]],
        total: NDArray[np.int64],
    ) -> Array:
        if isinstance(self.product, QMatMul):
            gathered, shape = x.reshape(1, -1, x.shape[-1]).transpose(0, 2, 1), x.shape[:-1]
        else:
            gathered, shape = _gather(self.product, x, weight, zero)
        sums = np.repeat(total[:, np.newaxis].astype(np.float64), gathered.shape[-1], axis=1)
        for shard, cells in parts:
            vectors = gathered[:, shard.c0 : shard.c1]
            if _has_groups(self.product):
                vectors = vectors.swapaxes(0, 1)
            vectors = vectors.reshape(shard.matrix.rows, -1)
            products = crossbar_product(shard.matrix, cells, vectors)
            sums[shard.n0 : shard.n1] += products * (1 << self.product.shift)
        result = sums.astype(np.int32).reshape(len(total), *shape)
        return np.moveaxis(result, 0, -1 if isinstance(self.product, QMatMul) else 1)


def shard_weights(product: Product, weight: Weights, region: Region) -> BlockWeights:
    """The weight matrix of a region of a product.

    Rows are (kernel taps, input channel), the channel fastest. In a grouped convolution they are
    (input channel, kernel taps), the channel slowest, so that the rows of a run of groups follow
    each other; the weights between different groups of one run are zero.
    """
    if isinstance(product, QMatMul):
        return BlockWeights.dense(weight[region.c0 : region.c1, region.n0 : region.n1])
    outputs, per_group = weight.shape[:2]
    kernels = weight.reshape(outputs, per_group, -1)
    if _has_groups(product):
        return _grouped_weights(kernels, outputs // product.group, region)
    # A sketch changes along no output: one column stands for all of them.
    shown = thinned(kernels[region.n0 : region.n1, region.c0 : region.c1])
    columns = np.ascontiguousarray(shown.transpose(2, 1, 0)).reshape(-1, len(shown))
    return BlockWeights.dense(np.broadcast_to(columns, (len(columns), region.n1 - region.n0)))


def _has_groups(product: Product) -> bool:
    return isinstance(product, QConv) and product.group > 1


def _grouped_weights(kernels: Weights, group_outputs: int, region: Region) -> BlockWeights:
    """Runs of groups, or a part of one group, of kernels [outputs, channels of a group, taps]."""
    outputs, per_group, taps = region.n1 - region.n0, kernels.shape[1], kernels.shape[2]
    rows = (region.c1 - region.c0) * taps
    if outputs % group_outputs or (region.c1 - region.c0) * group_outputs != outputs * per_group:
        first = region.c0 - region.n0 // group_outputs * per_group
        part = kernels[region.n0 : region.n1, first : first + region.c1 - region.c0]
        return BlockWeights.dense(part.transpose(1, 2, 0).reshape(rows, outputs))
    run = region.block_cols // group_outputs
    count = -(-outputs // region.block_cols)
    repeated = kernels.strides[0] == 0  # a sketch: all groups are equal
    blocks = np.zeros(
        (1 if repeated else count, run, per_group, taps, run, group_outputs), kernels.dtype
    )
    own = kernels[region.n0 : region.n0 + blocks.shape[0] * region.block_cols][:outputs]
    own = own.reshape(-1, group_outputs, per_group, taps).transpose(0, 2, 3, 1)
    for index in range(run):
        groups = own[index::run]
        blocks[: len(groups), index, :, :, index] = groups
    flat = blocks.reshape(len(blocks), run * per_group * taps, region.block_cols)
    return BlockWeights(np.broadcast_to(flat, (count, *flat.shape[1:])), rows, outputs)


def _gather(
    product: QConv, x: Array, weight: TensorType, zero: int
) -> tuple[Array, tuple[int, ...]]:
    """Codes under each kernel tap, [taps, C, B * windows], and the shape (B, *output)."""
    windows = product.windows(weight, x.shape[2:])
    output = windows.output(x.shape[2:])
    padded = windows.padded(x, zero)
    gathered = np.empty((prod(windows.kernel), x.shape[1], len(x), prod(output)), np.uint8)
    for columns, view in zip(gathered, windows.taps(padded, output), strict=True):
        columns[...] = view.swapaxes(0, 1).reshape(columns.shape)
    return gathered.reshape(*gathered.shape[:2], -1), (len(x), *output)


def crossbar_product(
    matrix: Matrix, cells: Planes, vectors: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Accumulators [N, M] of a matrix for input vectors [K, M]: integers held in float64."""
    blocks, rows, cols = matrix.stack
    stack = np.zeros((blocks, rows, vectors.shape[1]), np.uint8)
    stack.reshape(blocks * rows, -1)[: matrix.rows] = vectors
    result = np.zeros((blocks, cols, vectors.shape[1]))
    result += matrix.center * stack.sum(axis=1, dtype=np.int64, keepdims=True)
    signs = [plane for plane in (cells.positive, cells.negative) if plane is not None]
    width = max(1, _SUMS // (len(signs) * len(matrix.slices) * blocks * cols))
    for k, end in pairwise([*row_edges(matrix), rows]):
        block = np.stack([plane[:, :, k:end] for plane in signs])
        for start in range(0, vectors.shape[1], width):
            span = np.s_[:, :, start : start + width]
            _add_block(matrix, block, stack[:, k:end][span], result[span])
    return result.reshape(blocks * cols, -1)[: matrix.cols]


def _add_block(
    matrix: Matrix,
    block: Levels,
    driven: NDArray[np.uint8],
    result: NDArray[np.float64],
) -> None:
    """Drive one row block with every input step and add what its converters give.

    `block` are levels [sign, slice, diagonal block, rows, columns], `driven` [diagonal block,
    rows, M], `result` [diagonal block, columns, M].
    """
    mask = (1 << matrix.step_bits) - 1
    exact = _exact_type(matrix, block)
    columns = np.ascontiguousarray(block.swapaxes(-1, -2)).astype(exact)
    total = np.zeros(result.shape, exact)
    for shift in range(0, matrix.input_bits, matrix.step_bits):
        sums = columns @ ((driven >> shift) & mask).astype(exact)
        for index, sign, value in _conversions(matrix, sums):
            worth = sign * matrix.slices[index].coefficient
            total += float(worth << shift) * convert(value, matrix.adcs[index])
    result += total


def _exact_type(matrix: Matrix, block: Levels) -> type[np.floating]:
    """The narrowest float type that is exact for sums, conversions, shifts and additions.

    A converted sum differs from the sum by less than a step.
    """
    largest = int(block.sum(axis=-2, dtype=np.int64).max(initial=0))
    largest += max(adc.step for adc in matrix.adcs)
    worth = len(block) * sum(abs(piece.coefficient) for piece in matrix.slices)
    reach = worth * largest * ((1 << matrix.input_bits) - 1)
    reach += max(abs(adc.low) for adc in matrix.adcs)
    powers = all(adc.step & (adc.step - 1) == 0 for adc in matrix.adcs)
    return np.float32 if reach < _FLOAT32 and powers else np.float64


def _conversions(
    matrix: Matrix, sums: NDArray[np.floating]
) -> Iterator[tuple[int, int, NDArray[np.floating]]]:
    """Each conversion of a row block: slice, sign of what is converted, and the sums."""
    if matrix.subtract_analog:
        sums = sums[:1] - sums[1:]
    for sign, parts in zip((1, -1), sums, strict=False):
        for index, value in enumerate(parts):
            yield index, sign, value
