"""A matrix written by one instruction is what single writes make of it, and takes its time."""

from __future__ import annotations

from dataclasses import replace
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.timed_program import dense, program, stream
from support.written_whole import spread, written_in_runs, written_whole

from imcc.isa import ElementType, Instruction, Matrix, Space, load_target
from imcc.isa.instructions import Fill, Write, WriteMatrix
from imcc.runtime import Machine, MachineError
from imcc.runtime.timing import Profile, profile
from imcc.runtime.trace import trace

U8, LOCAL, GLOBAL = ElementType.U8, Space.LOCAL, Space.GLOBAL
TINY = load_target("tiny")
ROUND = 8 * 100  # 8 rows of 100 ns at 1 GHz
INPUTS = {"x": np.array([[3, 0, 255, 17]], np.uint8)}
FIRST: list[Instruction] = [*stream(0, LOCAL, U8, 0, 16), Fill(0, 0)]


@settings(deadline=None, max_examples=30)
@given(copies=st.integers(1, 3), seed=st.integers(0, 1000))
def test_all_cells_are_those_of_single_writes(copies: int, seed: int) -> None:
    """Whatever the order of the tiles, and so the runs."""
    tiles = list(spread(copies).tiles)
    order = np.random.default_rng(seed).permutation(len(tiles)) if seed else range(len(tiles))
    matrix = replace(spread(copies), tiles=tuple(tiles[place] for place in order))
    whole = written_whole(matrix)
    assert_alike(matrix, Machine(whole), Machine(written_in_runs(whole)))


def assert_alike(matrix: Matrix, whole: Machine, single: Machine) -> None:
    lines = [
        [line.checksum for line in trace(machine, INPUTS) if not line.text.startswith("write")]
        for machine in (whole, single)
    ]
    assert lines[0] == lines[1]
    for array in {tile.array for tile in matrix.tiles}:
        one, other = (machine.array(0, array) for machine in (whole, single))
        assert np.array_equal(one.levels, other.levels)
        assert np.array_equal(one.programmed, other.programmed)
    assert np.array_equal(whole.run(INPUTS, codes=True)["y"], single.run(INPUTS, codes=True)["y"])


def test_the_checksum_of_a_trace_is_that_of_all_its_arrays() -> None:
    machine = Machine(written_whole(spread()))
    line = next(line for line in trace(machine, INPUTS) if line.text.startswith("write.matrix"))
    levels = [machine.array(0, array).levels for array in range(4)]
    assert line.checksum == crc32(np.stack(levels).tobytes())


def test_too_few_levels_stop_the_machine() -> None:
    whole = written_whole(spread())
    code = (*stream(0, GLOBAL, U8, 0, 15), *whole.cores[0][2:])
    with pytest.raises(MachineError, match="src has 15 bytes; the cells of m0 take 16"):
        Machine(replace(whole, cores={**whole.cores, 0: code})).run(INPUTS)


def wide(arrays: int, first: int = 0) -> Matrix:
    """Eight rows of 32 cells in each of so many arrays: 64 bytes an array."""
    matrix = dense(TINY, 8, 8 * arrays, 4, False)
    tiles = tuple(replace(tile, array=tile.array + first) for tile in matrix.tiles)
    return replace(matrix, tiles=tiles)


def run(code: list[Instruction], *matrices: Matrix, window: int = 4) -> Profile:
    core = TINY.core.model_copy(update={"issue_window": window})
    return profile(program(TINY.model_copy(update={"core": core}), {0: code}, matrices), 1)


@pytest.mark.parametrize(
    ("arrays", "window", "rounds"), [(1, 4, 1), (4, 4, 1), (5, 4, 2), (8, 4, 2), (8, 8, 1)]
)
def test_as_many_arrays_at_once_as_the_window_has_instructions(
    arrays: int, window: int, rounds: int
) -> None:
    code = [*stream(1, GLOBAL, U8, 0, 64 * arrays), WriteMatrix(0, 1)]
    setup = run(code, wide(arrays), window=window).setup
    assert (setup.cycles, setup.cells) == (rounds * ROUND, arrays * 8 * 32)
    late = run([*FIRST, *code], wide(arrays), window=window)
    assert late.latency_cycles == len(FIRST) + len(code) - 1 + rounds * ROUND
    components = dict(late.components)
    assert components["cell writing"] == arrays * 8 * 32
    assert components["global memory"] == arrays * 64 * 5


def test_copies_are_read_once_and_all_written() -> None:
    """Two copies of four arrays each take two rounds."""
    one = wide(4)
    other = tuple(replace(tile, array=tile.array + 4, copy=1) for tile in one.tiles)
    twice = replace(one, tiles=(*one.tiles, *other), copies=2)
    code = [*FIRST, *stream(1, GLOBAL, U8, 0, 256), WriteMatrix(0, 1)]
    found = run(code, twice)
    assert found.latency_cycles == len(code) - 1 + 2 * ROUND
    assert dict(found.components)["cell writing"] == 2 * 4 * 8 * 32
    assert dict(found.components)["global memory"] == 4 * 64 * 5


def test_a_core_writes_one_matrix_at_a_time() -> None:
    """Single writes of other arrays go on beside."""
    matrices = wide(1), wide(1, first=1)
    streams = stream(1, GLOBAL, U8, 0, 64)
    code = [*FIRST, *streams, WriteMatrix(0, 1), WriteMatrix(1, 1)]
    assert run(code, *matrices).latency_cycles == len(code) - 2 + 2 * ROUND
    beside = [*FIRST, *streams, WriteMatrix(0, 1), Write(1, 1, 0, 0, 32)]
    assert run(beside, *matrices).latency_cycles == len(beside) - 1 + ROUND
    same = [*FIRST, *streams, WriteMatrix(0, 1), Write(0, 1, 0, 0, 32)]
    assert run(same, *matrices).latency_cycles == len(same) - 2 + 2 * ROUND


def test_what_is_slow_to_read_is_slow_to_write() -> None:
    """64 rounds' worth of bytes: 16 bytes of global memory a cycle."""
    fast = TINY.model_copy(update={"timing": TINY.timing.model_copy(update={"t_write_row_ns": 1})})
    code = [*FIRST, *stream(1, GLOBAL, U8, 0, 1024), WriteMatrix(0, 1)]
    found = profile(program(fast, {0: code}, (wide(16),)), 1)
    assert found.latency_cycles == len(code) - 1 + 1024 // 16
