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

from imcc.isa.matrix import Matrix, Tile

from ...mapping.adc import convert
from ...mapping.encoding import Levels, Weights, levels
from ...mapping.plan import MatrixPlan, Region, Shard
from ..op import Array, Op, Stage, op
from ..sketch import thinned
from ..types import TensorType
from .quantized import QConv, QMatMul
from .windows import Windows

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
            scale = scale.reshape(-1, *([1] * (acc.ndim - 2)))
        return (self.product.requant.apply(acc, scale),)

    def accumulators(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> Array:
        """The int32 accumulators, shaped like the result, with bias and input zero point."""
        x, w = inputs[:2]
        quant = types[0].quant
        zero = 0 if quant is None else quant.zero_point[0]
        bias = inputs[2] if len(inputs) == 3 else 0
        total = (self._fold(w, zero) << self.product.shift) + bias
        parts = [(s, levels(s.matrix, shard_weights(self.product, w, s))) for s in self.plan.shards]
        chunks = [
            self._chunk(chunk, types[1], zero, parts, total) for chunk in self._chunks(x, types[1])
        ]
        return np.concatenate(chunks)

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
        parts: Sequence[tuple[Shard, tuple[Levels, ...]]],
        total: NDArray[np.int64],
    ) -> Array:
        if isinstance(self.product, QMatMul):
            gathered, shape = x.reshape(1, -1, x.shape[-1]).transpose(0, 2, 1), x.shape[:-1]
        else:
            gathered, shape = _gather(self.product, x, weight, zero)
        sums = np.repeat(total[:, np.newaxis].astype(np.float64), gathered.shape[-1], axis=1)
        for shard, cells in parts:
            vectors = gathered[:, shard.c0 : shard.c1].reshape(shard.matrix.rows, -1)
            products = crossbar_product(shard.matrix, cells, vectors)
            sums[shard.n0 : shard.n1] += products * (1 << self.product.shift)
        result = sums.astype(np.int32).reshape(len(total), *shape)
        return np.moveaxis(result, 0, -1 if isinstance(self.product, QMatMul) else 1)


def shard_weights(product: Product, weight: Weights, region: Region) -> Weights:
    """The weight matrix [K, N] of a region of a product.

    Rows are (kernel taps, input channel), the channel fastest. Weights between channels and
    outputs of different groups are zero.
    """
    if isinstance(product, QMatMul):
        return weight[region.c0 : region.c1, region.n0 : region.n1]
    outputs, per_group = weight.shape[:2]
    kernels = weight.reshape(outputs, per_group, -1)
    if product.group == 1:
        # A sketch changes along no output: one column stands for all of them.
        shown = thinned(kernels[region.n0 : region.n1, region.c0 : region.c1])
        columns = np.ascontiguousarray(shown.transpose(2, 1, 0)).reshape(-1, len(shown))
        return np.broadcast_to(columns, (len(columns), region.n1 - region.n0))
    n = np.arange(region.n0, region.n1)
    group = n // (outputs // product.group)
    c = np.arange(region.c0, region.c1)[:, np.newaxis] - group * per_group
    inside = (c >= 0) & (c < per_group)
    chosen = kernels[n, np.where(inside, c, 0)] * inside[..., np.newaxis].astype(np.int8)
    return np.ascontiguousarray(chosen.transpose(2, 0, 1)).reshape(-1, len(n))


def _gather(
    product: QConv, x: Array, weight: TensorType, zero: int
) -> tuple[Array, tuple[int, ...]]:
    """Codes under each kernel tap, [taps, C, B * windows], and the shape (B, *output)."""
    windows = Windows(weight.shape[2:], product.strides, product.pads, product.dilations)
    output = windows.output(x.shape[2:])
    padded = windows.padded(x, zero)
    gathered = np.empty((prod(windows.kernel), x.shape[1], len(x), prod(output)), np.uint8)
    for columns, view in zip(gathered, windows.taps(padded, output), strict=True):
        columns[...] = view.swapaxes(0, 1).reshape(columns.shape)
    return gathered.reshape(*gathered.shape[:2], -1), (len(x), *output)


def crossbar_product(
    matrix: Matrix, cells: Sequence[Levels], vectors: NDArray[np.uint8]
) -> NDArray[np.float64]:
    """Accumulators [N, M] of a matrix for input vectors [K, M]: integers held in float64.

    `cells` are the levels of the matrix's tiles, in their order.
    """
    result = np.zeros((matrix.cols, vectors.shape[1]))
    result += matrix.center * vectors.sum(axis=0, dtype=np.int64)
    for k in sorted({tile.k for tile in matrix.tiles}):
        block = [(t, c) for t, c in zip(matrix.tiles, cells, strict=True) if t.k == k]
        tiles = [tile for tile, _ in block]
        stacked = np.concatenate([part for _, part in block], axis=1)
        driven = vectors[k : k + tiles[0].rows]
        width = max(1, _SUMS // stacked.shape[1])
        for start in range(0, vectors.shape[1], width):
            span = slice(start, start + width)
            _add_block(matrix, tiles, stacked, driven[:, span], result[:, span])
    return result


def _add_block(
    matrix: Matrix,
    tiles: Sequence[Tile],
    stacked: Levels,
    driven: NDArray[np.uint8],
    result: NDArray[np.float64],
) -> None:
    """Drive one row block with every input step and add what its converters give."""
    mask = (1 << matrix.step_bits) - 1
    exact = _exact_type(matrix, stacked)
    columns = np.ascontiguousarray(stacked.T).astype(exact)
    total = np.zeros(result.shape, exact)
    for shift in range(0, matrix.input_bits, matrix.step_bits):
        sums = columns @ ((driven >> shift) & mask).astype(exact)
        for tile, value in _conversions(matrix, tiles, sums):
            worth = matrix.slices[tile.slice].coefficient * (-1 if tile.negative else 1)
            codes = convert(value, matrix.adcs[tile.slice])
            total[tile.n : tile.n + tile.cols] += float(worth << shift) * codes
    result += total


def _exact_type(matrix: Matrix, stacked: Levels) -> type[np.floating]:
    """The narrowest float type that is exact for sums, conversions, shifts and additions.

    A converted sum differs from the sum by less than a step.
    """
    largest = int(stacked.sum(axis=0, dtype=np.int64).max(initial=0))
    largest += max(adc.step for adc in matrix.adcs)
    signs = 2 if any(tile.negative for tile in matrix.tiles) else 1
    worth = signs * sum(abs(piece.coefficient) for piece in matrix.slices)
    reach = worth * largest * ((1 << matrix.input_bits) - 1)
    reach += max(abs(adc.low) for adc in matrix.adcs)
    powers = all(adc.step & (adc.step - 1) == 0 for adc in matrix.adcs)
    return np.float32 if reach < _FLOAT32 and powers else np.float64


def _conversions(
    matrix: Matrix, tiles: Sequence[Tile], sums: NDArray[np.floating]
) -> Iterator[tuple[Tile, NDArray[np.floating]]]:
    """Each conversion of a row block: the tile that it counts for, and the sums converted."""
    edges = np.cumsum([0, *(tile.cols for tile in tiles)])
    parts = [sums[low:high] for low, high in pairwise(edges)]
    if not matrix.subtract_analog:
        yield from zip(tiles, parts, strict=True)
        return
    negative = {(t.n, t.slice): part for t, part in zip(tiles, parts, strict=True) if t.negative}
    for tile, part in zip(tiles, parts, strict=True):
        if not tile.negative:
            yield tile, part - negative[tile.n, tile.slice]
