"""The program by hand with its matrix in several arrays and copies, written by one instruction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from imcc.isa import ElementType, Instruction, Matrix, Program, Space, pack_levels
from imcc.isa.cells import unpack_levels
from imcc.isa.instructions import Write, WriteMatrix
from support.hand_program import hand_program
from support.timed_program import stream

U8, GLOBAL = ElementType.U8, Space.GLOBAL
_SETUP = 4  # what the program by hand writes its cells with


def spread(copies: int = 2) -> Matrix:
    """The matrix by hand, each copy with positive tiles in one array and negative in another."""
    (matrix,) = hand_program().matrices
    tiles = tuple(
        replace(
            tile,
            array=2 * copy + tile.negative,
            row=3 * copy,
            col=tile.col + copy - 8 * tile.negative,
            copy=copy,
        )
        for copy in range(copies)
        for tile in matrix.tiles
    )
    return replace(matrix, tiles=tiles, copies=copies)


def written_whole(matrix: Matrix) -> Program:
    """The program with such a matrix, all its cells written by one instruction."""
    program = replace(hand_program(), matrices=(matrix,), origins=())
    size = program.cells[0].size
    code = (*stream(0, GLOBAL, U8, 0, size), WriteMatrix(0, 0))
    return _begun(replace(program, constants=_split(program.constants)), code)


def written_in_runs(program: Program) -> Program:
    """The same, a `write` for each run."""
    return _begun(program, tuple(_writes(program)), 3)


def _writes(program: Program) -> Iterator[Instruction]:
    for run in program.cells[0].runs:
        yield from stream(0, GLOBAL, U8, run.offset, run.size)
        yield Write(run.array, 0, run.row, run.column, run.columns)


def _begun(program: Program, code: tuple[Instruction, ...], old: int = _SETUP) -> Program:
    """The program with other instructions at the beginning of core 0."""
    return replace(program, cores={**program.cores, 0: (*code, *program.cores[0][old:])})


def _split(constants: bytes) -> bytes:
    """The levels of positive cells before those of negative ones."""
    levels = unpack_levels(np.frombuffer(constants[:16], np.uint8).reshape(4, 4), 16, 2)
    halves = [pack_levels(levels[:, half : half + 8], 2).tobytes() for half in (0, 8)]
    return b"".join([*halves, constants[16:]])
