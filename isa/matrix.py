"""Matrix handles: how a weight matrix lies on crossbar arrays, and how its product is formed.

For a K x N matrix W and a u8 input vector x, cut into steps ``x = sum_p x_p * 2^(d*p)`` of
d = `step_bits` bits, and row blocks given by the tiles:

    a[p, t] = sum over rows k of tile t of x_p[k] * level_t[k, n]         (analog, exact integer)
    q[p, t] = adc(a[p, t])     or   adc(a[p, pos] - a[p, neg])            (see `subtract_analog`)
    y[n]    = sum over p, t of q[p, t] * coefficient[slice of t] * 2^(d*p) + center * sum_k x[k]

with ``adc(a) = clip(floor((a - low + step // 2) / step), 0, 2^bits - 1) * step + low``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Slice:
    """One bit slice: cells hold `bits` bits, one level is worth `coefficient` in the weight."""

    bits: int
    coefficient: int


@dataclass(frozen=True)
class Adc:
    """A converter: 2^bits codes, the first at `low`, `step` apart (all in units of one level)."""

    bits: int
    low: int
    step: int


@dataclass(frozen=True)
class Tile:
    """A rectangle of cells: slice `slice` of weights [k, k+rows) x [n, n+cols).

    The cells start at (`row`, `col`) of array `array`. Tiles with the same `k` form a row
    block. A `negative` tile is subtracted from the positive tile of the same k, n and slice.
    """

    array: int
    row: int
    col: int
    k: int
    rows: int
    n: int
    cols: int
    slice: int
    negative: bool = False


@dataclass(frozen=True)
class Matrix:
    """A K x N weight matrix on the arrays of one core.

    `adcs` has one converter a slice. `center` is added to every weight digitally (offset
    encoding). With `subtract_analog` a positive and a negative tile share one conversion.
    `bound` is the largest magnitude an accumulator can take for any u8 input of `input_bits`
    bits; it must be below 2^31.
    """

    core: int
    rows: int
    cols: int
    input_bits: int
    step_bits: int
    slices: tuple[Slice, ...]
    adcs: tuple[Adc, ...]
    tiles: tuple[Tile, ...]
    center: int
    subtract_analog: bool
    bound: int
