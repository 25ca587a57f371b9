"""What one input window costs on the arrays of a matrix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..matrix import Matrix, Tile
from ..target import Target

_Read = tuple[int, int, int, int]  # copy, array, first matrix row, first row of cells


@dataclass(frozen=True)
class ProductCost:
    """Counts for one window, all input steps together, and the time of a round.

    The copies of a matrix take a window each at the same time, which is a round: `nanoseconds` on
    the arrays for `copies` windows, each in `row_blocks` that a core starts `start_ns` apart.
    `array_steps` are the reads of arrays, `row_steps` the rows
    driven, `shift_adds` the column sums added digitally, `conversions` those of them that came
    through a converter, all as the first copy has them. `macs` counts weights on cells, each once
    whatever its slices; zeros between the groups of a grouped convolution, and beside the kernels
    of parallel windows, count where they have cells.
    """

    nanoseconds: float
    copies: int
    row_blocks: int
    start_ns: float
    array_steps: int
    row_steps: int
    shift_adds: int
    conversions: int
    macs: int

    def time(self, windows: int) -> float:
        """Nanoseconds from the first start to the end of so many windows.

        A round begins when the arrays are free and all starts of the round before are made; the
        last one ends a window after its last start.
        """
        if not windows:
            return 0.0
        rounds = -(-windows // self.copies)
        left = windows - (rounds - 1) * self.copies
        between = max(self.nanoseconds, self.start_time(self.copies))
        return (rounds - 1) * between + self.start_time(left) - self._last_start + self.nanoseconds

    def start_time(self, windows: int) -> float:
        """Nanoseconds for the starts of so many windows."""
        return windows * self.row_blocks * self.start_ns

    def waits_for_starts(self, windows: int) -> bool:
        """Whether the starts of so many windows take longer than the arrays."""
        return self.start_time(windows) > -(-windows // self.copies) * self.nanoseconds

    @property
    def _last_start(self) -> float:
        return self.start_ns if self.row_blocks else 0.0


@dataclass(frozen=True)
class _ReadCost:
    """One read of one array: rows driven, column sums and those that take a converter."""

    array: int
    rows: int
    sums: int
    conversions: int


def product_cost(matrix: Matrix, target: Target) -> ProductCost:
    """Count one window of a matrix on a target."""
    reads = {read: _read(matrix, read, tiles) for read, tiles in _reads(matrix).items()}
    times: dict[int, float] = {}
    for cost in reads.values():
        times[cost.array] = times.get(cost.array, 0.0) + _nanoseconds(cost, target)
    steps, first = matrix.steps, [cost for (copy, *_), cost in reads.items() if copy == 0]
    return ProductCost(
        nanoseconds=steps * max(times.values(), default=0.0),
        copies=matrix.copies,
        row_blocks=len({k for copy, _, k, _ in reads if copy == 0}),
        start_ns=target.timing.t_start_ns,
        array_steps=steps * len(first),
        row_steps=steps * sum(read.rows for read in first),
        shift_adds=steps * sum(read.sums for read in first),
        conversions=steps * sum(read.conversions for read in first),
        macs=_weights(matrix),
    )


def _reads(matrix: Matrix) -> dict[_Read, list[Tile]]:
    """Group tiles by the reads that they take part in.

    With `subtract_analog` a negative tile is driven together with its positive one, wherever it
    lies in the array. Copies have different inputs and share no read.
    """
    rows = {_weight(t): t.row for t in matrix.tiles if not t.negative and matrix.subtract_analog}
    reads: dict[_Read, list[Tile]] = {}
    for tile in matrix.tiles:
        row = rows.get(_weight(tile), tile.row)
        reads.setdefault((tile.copy, tile.array, tile.k, row), []).append(tile)
    return reads


def _weight(tile: Tile) -> tuple[int, int, int, int, int]:
    return tile.copy, tile.array, tile.k, tile.n, tile.slice


def _read(matrix: Matrix, read: _Read, tiles: Iterable[Tile]) -> _ReadCost:
    driven: dict[int, int] = {}
    summed: dict[tuple[int, int, bool], Tile] = {}
    for tile in tiles:
        driven[tile.row] = max(driven.get(tile.row, 0), tile.rows)
        summed[tile.n, tile.slice, tile.negative and not matrix.subtract_analog] = tile
    converted = sum(tile.cols for tile in summed.values() if matrix.adcs[tile.slice].bits)
    sums = sum(tile.cols for tile in summed.values())
    return _ReadCost(read[1], sum(driven.values()), sums, converted)


def _nanoseconds(read: _ReadCost, target: Target) -> float:
    rounds = -(-read.conversions // target.adc.per_array)
    return max(target.timing.t_step_ns, rounds * target.timing.t_adc_ns)


def _weights(matrix: Matrix) -> int:
    """Weights that lie on cells; a block-diagonal matrix leaves others out."""
    return sum(
        tile.rows * tile.cols
        for tile in matrix.tiles
        if tile.copy == 0 and tile.slice == 0 and not tile.negative
    )
