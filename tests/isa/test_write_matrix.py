"""Matrices that one instruction writes: which cells take which levels, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.hand_program import hand_program
from support.timed_program import stream
from support.written_whole import spread, written_in_runs, written_whole

from imcc.isa import (
    ElementType,
    Instruction,
    Matrix,
    Program,
    Space,
    ValidationError,
    assemble,
    disassemble,
)
from imcc.isa.container import program_bytes, program_from_bytes
from imcc.isa.instructions import Halt, Lag, Load, Mvm, Phase, Write, WriteMatrix
from imcc.isa.matrix_cells import CellRun, matrix_cells
from imcc.isa.setup import setup_end
from imcc.isa.validator import validate

U8, GLOBAL = ElementType.U8, Space.GLOBAL


def refusal(program: Program) -> str:
    with pytest.raises(ValidationError) as caught:
        validate(program)
    return str(caught.value)


def reversed_copy(matrix: Matrix) -> Matrix:
    """With the tiles of copy 1 the other way round."""
    half = len(matrix.tiles) // 2
    return replace(matrix, tiles=(*matrix.tiles[:half], *reversed(matrix.tiles[half:])))


def test_tiles_side_by_side_are_one_run() -> None:
    (matrix,) = hand_program().matrices
    cells = matrix_cells(matrix, 2)
    assert cells.runs == (CellRun(0, 0, 0, 4, 16, 0, 16),)
    assert (cells.size, cells.count, cells.arrays) == (16, 64, (0,))


def test_copies_take_the_same_levels() -> None:
    cells = matrix_cells(spread(), 2)
    assert cells.runs == (
        CellRun(0, 0, 0, 4, 8, 0, 8),
        CellRun(1, 0, 0, 4, 8, 8, 8),
        CellRun(2, 3, 1, 4, 8, 0, 8),
        CellRun(3, 3, 1, 4, 8, 8, 8),
    )
    assert (cells.size, cells.count, cells.arrays) == (16, 128, (0, 1, 2, 3))


def test_copies_with_other_runs_have_levels_of_their_own() -> None:
    """Tiles the other way round do not adjoin each other."""
    cells = matrix_cells(reversed_copy(spread()), 2)
    assert [run.columns for run in cells.runs] == [8, 8, *[2] * 8]
    assert [run.offset for run in cells.runs] == [0, 8, *range(16, 48, 4)]
    assert cells.size == 16 + 8 * 4


def test_a_run_of_two_copies_is_one() -> None:
    """Copy 1 lies beside copy 0, in the same rows."""
    (matrix,) = hand_program().matrices
    beside = tuple(replace(tile, col=tile.col + 16, copy=1) for tile in matrix.tiles)
    cells = matrix_cells(replace(matrix, tiles=(*matrix.tiles, *beside), copies=2), 2)
    assert cells.runs == (CellRun(0, 0, 0, 4, 32, 0, 32),)


@pytest.mark.parametrize(("at_once", "rows"), [(1, 4 * 4), (2, 2 * 4), (3, 2 * 4), (4, 4), (12, 4)])
def test_arrays_are_written_so_many_at_once(at_once: int, rows: int) -> None:
    assert matrix_cells(spread(), 2).rows_in_turn(at_once) == rows


def test_rows_of_one_array_follow_each_other() -> None:
    cells = matrix_cells(reversed_copy(spread()), 2)
    assert cells.rows_in_turn(4) == 4 * 4


def test_text_and_container() -> None:
    program = written_whole(spread())
    assert str(program.cores[0][2]) == "write.matrix m0, s0"
    assert assemble(disassemble(program)) == program
    assert program_from_bytes(program_bytes(program)) == program


@pytest.mark.parametrize("matrix", [spread(1), spread(), spread(3)])
def test_programs_are_valid_as_with_single_writes(matrix: Matrix) -> None:
    program = written_whole(matrix)
    validate(program)
    validate(written_in_runs(program))


def changed(old: int, *code: Instruction) -> Program:
    """With other instructions for the first `old` of core 0."""
    whole = written_whole(spread())
    return replace(whole, cores={**whole.cores, 0: (*code, *whole.cores[0][old:])})


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (changed(3, *stream(0, GLOBAL, U8, 0, 16), WriteMatrix(1, 0)), "m1 does not exist"),
        (
            changed(3, *stream(0, GLOBAL, U8, 0, 15), WriteMatrix(0, 0)),
            "src has 15 bytes; the cells of the matrix take 16",
        ),
        (
            changed(2, *stream(0, GLOBAL, U8, 0, 4, 4), *stream(0, GLOBAL, U8, 0, 16)[:1]),
            "src has 1 bytes; the cells of the matrix take 16",
        ),
        (changed(1, *stream(0, GLOBAL, U8, 384)), "must lie in the constants"),
        (changed(3), "cells are used before they are written"),
        (
            replace(written_whole(spread()), constants=b"\xff" * 8 + bytes(376)),
            "an accumulator of m0 can reach",
        ),
    ],
)
def test_what_is_refused(program: Program, message: str) -> None:
    assert message in refusal(program)


def test_the_levels_must_follow_each_other() -> None:
    apart = [*stream(0, GLOBAL, U8, 0, 2, 8), *stream(0, GLOBAL, U8, 0, 2, 9)[1:2]]
    program = changed(3, *apart, WriteMatrix(0, 0))
    assert "src must be dense" in refusal(program)
    validate(changed(3, *stream(0, GLOBAL, U8, 0, 2, 8), WriteMatrix(0, 0)))


def test_a_core_writes_its_own_matrices() -> None:
    program = written_whole(spread())
    code = (*stream(0, GLOBAL, U8, 0, 16), WriteMatrix(0, 0), *program.cores[1])
    text = refusal(replace(program, cores={**program.cores, 1: code}))
    assert "matrix m0 is on core 0" in text


def test_levels_must_fit_their_slices() -> None:
    matrix = spread(1)
    narrow = replace(matrix, slices=tuple(replace(one, bits=1) for one in matrix.slices))
    assert "its slice holds 0..1" in refusal(written_whole(narrow))


def test_cells_of_another_matrix_are_written_anew() -> None:
    """A second matrix on the same cells; its product comes behind that of the first."""
    program = written_whole(spread())
    two = replace(program, matrices=(*program.matrices, *program.matrices))
    code = two.cores[0]
    behind = next(i for i, one in enumerate(code) if isinstance(one, Mvm)) + 1
    anew = replace(
        two,
        cores={
            **two.cores,
            0: (*code[:behind], WriteMatrix(1, 0), Mvm(3, 2, 1, 1, 0), *code[behind:]),
        },
    )
    validate(anew)
    kept = (*code[:behind], Mvm(3, 2, 1, 1, 0), *code[behind:])
    text = refusal(replace(two, cores={**two.cores, 0: kept}))
    assert "shares cells of array a0 with matrix m0" in text


def test_it_is_setup_unless_one_of_its_arrays_is_written_again() -> None:
    matrices = (spread(),)
    whole = (*stream(0, GLOBAL, U8, 0, 16), WriteMatrix(0, 0))
    assert setup_end((*whole, Load(1, 2), Halt()), matrices) == 3
    assert setup_end((*whole, Load(1, 2), Write(4, 0, 0, 0, 8), Halt()), matrices) == 3
    assert setup_end((*whole, Load(1, 2), Write(3, 0, 0, 0, 8), Halt()), matrices) == 0
    again = (*stream(0, GLOBAL, U8, 0, 8), Write(2, 0, 3, 1, 8), *whole, Load(1, 2))
    assert setup_end((*again, WriteMatrix(0, 0), Halt()), matrices) == 0


def test_where_it_may_lie() -> None:
    program = written_whole(spread())
    late = (*program.cores[0][:-1], WriteMatrix(0, 0), Halt())
    phase = replace(program, cores={**program.cores, 0: (Phase(), *late)})
    assert "cells are written in the first phase only" in refusal(phase)
    lag = replace(program, cores={**program.cores, 0: (Lag(1), *late)})
    assert "with lags cells are written at the beginning only" in refusal(lag)
