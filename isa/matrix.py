"""Matrix handles: how a weight matrix lies on crossbar arrays, and how its product is formed.

For a K x N matrix W and a u8 input vector x, cut into steps ``x = sum_p x_p * 2^(d*p)`` of
d = `step_bits` bits, and row blocks given by the tiles:

    a[p, t] = sum over rows k of tile t of x_p[k] * level_t[k, n]         (analog, exact integer)
    q[p, t] = adc(a[p, t])     or   adc(a[p, pos] - a[p, neg])            (see `subtract_analog`)
    y[n]    = sum over p, t of q[p, t] * coefficient[slice of t] * 2^(d*p)
              + center * (sum of x[k] over the rows k that column n has cells in)

with ``adc(a) = clip(floor((a - low + step // 2) / step), 0, 2^bits - 1) * step + low``.

W is block-diagonal: diagonal block i holds rows [i*r, (i+1)*r) and columns [i*c, (i+1)*c), r =
`block_rows` and c = `block_cols`, the last block as much of them as there is. Tiles lie inside
diagonal blocks and cover them. A row has no cells in the columns of another block and contributes
nothing to them. An ordinary matrix is one block.

A matrix may lie on the arrays several times, in `copies`. The windows of one `mvm` are dealt to
the copies in turn: window w is computed by copy w mod `copies`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


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


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of cells: slice `slice` of weights [k, k+rows) x [n, n+cols) in copy `copy`.

    The cells start at (`row`, `col`) of array `array`. Tiles with the same `k` form a row
    block, which is driven together; all diagonal blocks are cut in the same row blocks, the last
    one as far as it goes. A `negative` tile is subtracted from the positive tile of the same k, n
    and slice. Every copy has the same tiles at other places.
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
    copy: int = 0


@dataclass(frozen=True)
class Matrix:
    """A K x N weight matrix on the arrays of one core.

    `adcs` has one converter a slice. `center` is added to every weight digitally (offset
    encoding). With `subtract_analog` a positive and a negative tile share one conversion.
    `bound` is the largest magnitude an accumulator can take for any u8 input of `input_bits`
    bits; it must be below 2^31. `block_rows` and `block_cols` are the extents of a diagonal block;
    0 stands for all rows, and all columns.
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
    block_rows: int = 0
    block_cols: int = 0
    copies: int = 1

    @property
    def steps(self) -> int:
        """Input steps of one product."""
        return -(-self.input_bits // self.step_bits)

    @cached_property
    def stack(self) -> tuple[int, int, int]:
        """Number, rows and columns of the diagonal blocks, the last one taken as a full one."""
        rows, cols = self.block_rows or self.rows, self.block_cols or self.cols
        return -(-self.rows // rows), rows, cols
