"""The instructions for arrays and matrices: a part of the table."""

from __future__ import annotations

from .fields import (
    ArrayId,
    Axis,
    CellCount,
    CellIndex,
    Flag,
    MatrixId,
    ReadStream,
    WriteStream,
)
from .instruction import Instruction, instruction


@instruction(0x40)
class Write(Instruction):
    """Writes cells of array `array`: `columns` cells a row, from (`row`, `column`).

    `src` (u8, constant global memory) holds whole rows of packed levels, one row behind the
    other: a row takes ``ceil(columns * cell_bits / 8)`` bytes, each byte holds
    ``8 // cell_bits`` levels, the first in the lowest bits.
    """

    array: ArrayId
    src: ReadStream
    row: CellIndex
    column: CellIndex
    columns: CellCount


@instruction(0x41)
class Mvm(Instruction):
    """Multiplies input vectors with matrix `matrix` and writes int32 accumulators.

    The last `inner` axes of `src` (u8) walk one vector of K elements, the axes before them the
    windows. `dst` (i32) holds N accumulators a window, in the same order of windows. Each row
    block of the matrix is driven with input steps of `step_bits` bits; each slice column is
    converted by its ADC; partial sums are shifted and added as the matrix table says. With
    `accumulate` the result is added to what `dst` holds.
    """

    dst: WriteStream
    src: ReadStream
    matrix: MatrixId
    inner: Axis
    accumulate: Flag


@instruction(0x42)
class WriteMatrix(Instruction):
    """Writes all cells of matrix `matrix`, as a `write` for each of its runs would, in order.

    A run is as many tiles as follow each other in the table and lie side by side in one array.
    `src` (u8, constant global memory) holds the levels of one run behind those of the other, with
    no bytes between, each as `write` takes them. Where every copy of the matrix has the runs of
    copy 0 at other places, `src` holds the levels of copy 0, which are read once and written to
    all; otherwise it holds those of all runs. A core has one such instruction under way at a time.
    It programs as many arrays at once as the issue window has instructions, and goes on to as many
    others when all of them are done; the arrays of the matrix are taken until the last is.
    """

    matrix: MatrixId
    src: ReadStream
