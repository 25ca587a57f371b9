"""Cycles of a convolution on one array, by the way its kernel is unfolded on the cells.

A cycle is one read of one array. A *parallel window* of H x W pixels is what the rows of the
array hold at a time; it covers ``h * w`` windows of a KH x KW kernel, ``h = H - KH + 1``, and the
kernel is written once for each of them, shifted. Three ways, with R x C cells, a convolution from
I to O channels, and P x Q windows in the image (stride 1; with stride s ``H = KH + (h - 1) * s``):

- *im2col* (Yanai et al., 2016): the parallel window is the kernel,
  ``P * Q * ceil(KH * KW * I / R) * ceil(O / C)`` cycles;
- *SDK*, shift and duplicate kernel (Zhang et al., TCAD 2020): the largest square ``h = w`` that
  takes no more arrays than im2col, ``ceil(P / h) * ceil(Q / h)`` times as many cycles as these
  have arrays;
- *VW-SDK*, variable windows (Rhe et al., DATE 2022, arXiv 2112.11282): any rectangle, with as many
  whole channels as fit, ``i = R // (H * W)`` and ``o = C // (h * w)``:
  ``ceil(P / h) * ceil(Q / w) * ceil(I / i) * ceil(O / o)`` cycles, or im2col where that is less.

The last parallel window of a row or column may be partial and counts as a whole one. Early
revisions of the authors' table floor it, and are lower.

`parallel_windows` are those that programs of this compiler have. Its blocks of rows may end inside
a channel, as those of im2col do, and its columns inside a copy of the kernel:
``P / h * ceil(Q / w) * ceil(H * W * I / R) * ceil(h * w * O / C)`` cycles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Convolution:
    """A convolution over an image that has its padding already."""

    image: tuple[int, int]
    kernel: tuple[int, int]
    inputs: int
    outputs: int
    strides: tuple[int, int] = (1, 1)

    @property
    def windows(self) -> tuple[int, int]:
        """Rows and columns of windows."""
        (high, wide), (down, right) = self.kernel, self.strides
        return (self.image[0] - high) // down + 1, (self.image[1] - wide) // right + 1

    def spans(self, high: _Counts, wide: _Counts) -> tuple[_Counts, _Counts]:
        """Rows and columns of pixels of a parallel window that covers so many windows."""
        (down, right), (kernel_high, kernel_wide) = self.strides, self.kernel
        return kernel_high + (high - 1) * down, kernel_wide + (wide - 1) * right


@dataclass(frozen=True)
class Unfolding:
    """A parallel window of `rows` x `cols` pixels, and what the whole convolution takes.

    `inputs` and `outputs` are the channels in the array at a time; `arrays` is how many fillings
    of the array all channels take, each of them read at every place of the parallel window.
    """

    rows: int
    cols: int
    inputs: int
    outputs: int
    arrays: int
    cycles: int


def im2col(conv: Convolution, rows: int, cols: int) -> Unfolding:
    """One window at a time; a block of rows may end inside a channel."""
    taps = conv.kernel[0] * conv.kernel[1]
    arrays = -(-taps * conv.inputs // rows) * -(-conv.outputs // cols)
    places = conv.windows[0] * conv.windows[1]
    inputs, outputs = min(conv.inputs, -(-rows // taps)), min(conv.outputs, cols)
    return Unfolding(*conv.kernel, inputs, outputs, arrays, places * arrays)


def sdk(conv: Convolution, rows: int, cols: int) -> Unfolding:
    """The best square of windows that takes no more arrays than im2col.

    With several arrays the rows (columns) of all of them count as one array's.
    """
    base = im2col(conv, rows, cols)
    row_blocks = -(-conv.kernel[0] * conv.kernel[1] * conv.inputs // rows)
    col_blocks = base.arrays // row_blocks
    side: _Counts = np.arange(1, min(*conv.windows, rows, cols * col_blocks) + 1)
    high, wide = conv.spans(side, side)
    fits = (high * wide * conv.inputs <= rows * row_blocks) & (
        side * side * conv.outputs <= cols * col_blocks
    )
    best = int(side[fits].max(initial=1))
    places = -(-conv.windows[0] // best) * -(-conv.windows[1] // best)
    return Unfolding(
        int(high[best - 1]),
        int(wide[best - 1]),
        base.inputs,
        base.outputs,
        base.arrays,
        places * base.arrays,
    )


def vw_sdk(conv: Convolution, rows: int, cols: int) -> Unfolding:
    """The rectangle of windows with the fewest cycles; im2col where no rectangle has fewer.

    Of equal ones the lowest, then the narrowest.
    """
    base = im2col(conv, rows, cols)
    high, wide = _sides(conv, rows, cols)
    tall, broad = conv.spans(high, wide)
    inputs = np.minimum(rows // (tall * broad), conv.inputs)
    outputs = np.minimum(cols // (high * wide), conv.outputs)
    fits = (inputs > 0) & (outputs > 0)
    arrays = -(-conv.inputs // np.maximum(inputs, 1)) * -(-conv.outputs // np.maximum(outputs, 1))
    places = -(-conv.windows[0] // high) * -(-conv.windows[1] // wide)
    cycles = np.where(fits, places * arrays, base.cycles)
    row, col = np.unravel_index(int(cycles.argmin()), cycles.shape)
    if cycles[row, col] >= base.cycles:
        return base
    return Unfolding(
        int(tall[row, 0]),
        int(broad[0, col]),
        int(inputs[row, col]),
        int(outputs[row, col]),
        int(arrays[row, col]),
        int(cycles[row, col]),
    )


@dataclass(frozen=True)
class ParallelWindow:
    """So many rows and columns of windows at once, on `arrays` arrays, at `places` places."""

    rows: int
    cols: int
    arrays: int
    places: int

    @property
    def cycles(self) -> int:
        """Reads of one array for the whole convolution."""
        return self.places * self.arrays


def parallel_windows(conv: Convolution, rows: int, cols: int) -> tuple[ParallelWindow, ...]:
    """Those that are worth their arrays; single windows are the first.

    All others have fewer cycles than those before them, on as many arrays or more: with copies of
    its arrays one takes less time, but as many cycles. Of equal ones the lowest, then the narrowest
    is there. The rows of windows are a multiple of those of a parallel window, and so are the
    columns where it has more than one row; in a single row the last one may be partial.
    """
    high, wide = _sides(conv, rows, cols)
    tall, broad = conv.spans(high, wide)
    arrays = -(-tall * broad * conv.inputs // rows) * -(-high * wide * conv.outputs // cols)
    places = -(-conv.windows[0] // high) * -(-conv.windows[1] // wide)
    whole = (conv.windows[0] % high == 0) & ((conv.windows[1] % wide == 0) | (high == 1))
    cycles = np.where(whole, arrays * places, arrays[0, 0] * places[0, 0]).ravel()
    order = np.lexsort((cycles, arrays.ravel()))
    before = np.minimum.accumulate(np.append(cycles[0], cycles[order]))[:-1]
    better = order[cycles[order] < before]
    return tuple(
        ParallelWindow(int(row) + 1, int(col) + 1, int(arrays[row, col]), int(places[row, col]))
        for row, col in zip(*np.unravel_index(np.append(0, better), arrays.shape), strict=True)
    )


def _sides(conv: Convolution, rows: int, cols: int) -> tuple[_Counts, _Counts]:
    """Windows in a column, as a column, and in a row; one kernel fills at least a cell."""
    high, wide = (min(count, rows, cols) for count in conv.windows)
    return np.arange(1, high + 1)[:, None], np.arange(1, wide + 1)[None, :]
