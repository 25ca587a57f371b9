"""What one input window costs on the arrays of a matrix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from imcc.isa.matrix import Matrix, Tile
from imcc.isa.target import Target

from ..crossbar import step_count

_Read = tuple[int, int, int]  # array, first matrix row, first row of cells


@dataclass(frozen=True)
class ProductCost:
    """Counts for one window, all input steps together.

    `nanoseconds` is the time on the arrays, `array_steps` the reads of arrays, `row_steps` the
    rows driven, `shift_adds` the column sums added digitally, `conversions` those of them that
    came through a converter. `macs` counts weights on cells, each once whatever its slices; zeros
    between the groups of a grouped convolution count where they have cells.
    """

    nanoseconds: float
    array_steps: int
    row_steps: int
    shift_adds: int
    conversions: int
    macs: int


@dataclass(frozen=True)
class _ReadCost:
    """One read of one array: rows driven, column sums and those that take a converter."""

    array: int
    rows: int
    sums: int
    conversions: int


def product_cost(matrix: Matrix, target: Target) -> ProductCost:
    """Count one window of a matrix on a target."""
    reads = tuple(_read(matrix, read, tiles) for read, tiles in _reads(matrix).items())
    times: dict[int, float] = {}
    for read in reads:
        times[read.array] = times.get(read.array, 0.0) + _nanoseconds(read, target)
    steps = step_count(matrix)
    return ProductCost(
        nanoseconds=steps * max(times.values(), default=0.0),
        array_steps=steps * len(reads),
        row_steps=steps * sum(read.rows for read in reads),
        shift_adds=steps * sum(read.sums for read in reads),
        conversions=steps * sum(read.conversions for read in reads),
        macs=_weights(matrix),
    )


def _reads(matrix: Matrix) -> dict[_Read, list[Tile]]:
    """Group tiles by the reads that they take part in.

    With `subtract_analog` a negative tile is driven together with its positive one, wherever it
    lies in the array.
    """
    rows = {_weight(t): t.row for t in matrix.tiles if not t.negative and matrix.subtract_analog}
    reads: dict[_Read, list[Tile]] = {}
    for tile in matrix.tiles:
        row = rows.get(_weight(tile), tile.row)
        reads.setdefault((tile.array, tile.k, row), []).append(tile)
    return reads


def _weight(tile: Tile) -> tuple[int, int, int, int]:
    return tile.array, tile.k, tile.n, tile.slice


def _read(matrix: Matrix, read: _Read, tiles: Iterable[Tile]) -> _ReadCost:
    driven: dict[int, int] = {}
    summed: dict[tuple[int, int, bool], Tile] = {}
    for tile in tiles:
        driven[tile.row] = max(driven.get(tile.row, 0), tile.rows)
        summed[tile.n, tile.slice, tile.negative and not matrix.subtract_analog] = tile
    converted = sum(tile.cols for tile in summed.values() if matrix.adcs[tile.slice].bits)
    sums = sum(tile.cols for tile in summed.values())
    return _ReadCost(read[0], sum(driven.values()), sums, converted)


def _nanoseconds(read: _ReadCost, target: Target) -> float:
    rounds = -(-read.conversions // target.adc.per_array)
    return max(target.timing.t_step_ns, rounds * target.timing.t_adc_ns)


def _weights(matrix: Matrix) -> int:
    """Weights that lie on cells; a block-diagonal matrix leaves others out."""
    held = np.zeros((matrix.rows, matrix.cols), np.bool_)
    for tile in matrix.tiles:
        held[tile.k : tile.k + tile.rows, tile.n : tile.n + tile.cols] = True
    return int(held.sum())
