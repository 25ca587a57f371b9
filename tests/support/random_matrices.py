"""Random matrix handles on one core, programmed with random levels, of every encoding."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from imcc.isa import Adc, Matrix, Slice, Tile, load_target
from imcc.runtime.crossbar import Crossbars


def random_matrix(seed: int) -> tuple[Matrix, Crossbars]:
    """A matrix with slices, row blocks, signs, a center and converters drawn from `seed`."""
    rng = np.random.default_rng(seed)
    rows, cols = int(rng.integers(1, 40)), int(rng.integers(1, 9))
    cell_bits, count = int(rng.choice([1, 2, 4])), int(rng.integers(1, 4))
    signs = rng.choice([-1, 1], count)
    slices = tuple(
        Slice(cell_bits, int(sign) << (cell_bits * index)) for index, sign in enumerate(signs)
    )
    signed, analog = bool(rng.integers(2)), bool(rng.integers(2))
    adcs = tuple(_random_adc(rng, signed and analog) for _ in slices)
    tiles: list[Tile] = []
    crossbars = Crossbars(load_target("isaac"))
    for k, height in _row_blocks(rng, rows):
        for index in range(count):
            for negative in (False, True)[: 1 + signed]:
                tile = Tile(len(tiles), 3, 5, k, height, 0, cols, index, negative)
                levels = rng.integers(0, 1 << cell_bits, (height, cols))
                crossbars.write(0, tile.array, tile.row, tile.col, levels.astype(np.uint8))
                tiles.append(tile)
    input_bits = int(rng.integers(1, 9))
    step_bits = int(rng.integers(1, input_bits + 1))
    center = int(rng.choice([0, -8, 3]))
    matrix = Matrix(
        0, rows, cols, input_bits, step_bits, slices, adcs, tuple(tiles), center, analog, 1 << 30
    )
    return matrix, crossbars


def effective_weights(matrix: Matrix, crossbars: Crossbars) -> NDArray[np.int64]:
    """The integer weights that the cells stand for, [K, N]."""
    weights = np.full((matrix.rows, matrix.cols), matrix.center, np.int64)
    for tile in matrix.tiles:
        sign = -1 if tile.negative else 1
        part = crossbars.tile(0, tile).astype(np.int64) * matrix.slices[tile.slice].coefficient
        weights[tile.k : tile.k + tile.rows, tile.n : tile.n + tile.cols] += sign * part
    return weights


def _random_adc(rng: np.random.Generator, signed: bool) -> Adc:
    """Exact, wide enough for anything, clipping, or rounding."""
    bits = int(rng.choice([0, 16, 4, 6]))
    step = int(rng.choice([1, 1, 2, 3, 8])) if bits in (4, 6) else 1
    low = -(1 << bits >> 1) * step if signed else 0
    return Adc(bits, low, step)


def _row_blocks(rng: np.random.Generator, rows: int) -> list[tuple[int, int]]:
    cuts = sorted({0, *(int(c) for c in rng.integers(0, rows, 2)), rows})
    return [(start, stop - start) for start, stop in pairwise(cuts)]
