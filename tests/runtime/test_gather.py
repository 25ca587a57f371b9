"""Rows of tables against NumPy's indexing, and indices that name none."""

from __future__ import annotations

from collections.abc import Sequence
from queue import SimpleQueue

import numpy as np
import pytest
from support.small_program import LocalInput, literal_result, small_program, stream_of

from imcc.isa import ElementType, Program, Space, validate
from imcc.isa.instructions import Dot, Fill, Gather
from imcc.runtime import Machine, MachineError
from imcc.runtime.steps import Step

U8, I16, I32 = ElementType.U8, ElementType.I16, ElementType.I32
ROWS, WIDTH, COUNT = 11, 6, 5
TABLE = np.random.default_rng(0).integers(-30_000, 30_000, (ROWS, WIDTH)).astype("<i2")


def embedding(kind: ElementType) -> Program:
    """Rows of a constant table; indices of type `kind`."""
    streams = {
        0: stream_of(I16, 0, (COUNT, WIDTH)),
        1: stream_of(kind, 256, (COUNT,)),
        2: stream_of(I16, 0, (ROWS, WIDTH), space=Space.GLOBAL),
    }
    inputs = {"i": LocalInput(kind, COUNT, 256)}
    return small_program([Gather(0, 1, 2, 1)], streams, inputs, TABLE.tobytes())


def in_both_forms(program: Program, inputs: dict[str, np.ndarray]) -> np.ndarray:
    found = Machine(program, chunk=4, threads=1).run(inputs, codes=True)["y"]
    np.testing.assert_array_equal(literal_result(program, inputs), found)
    return found


def test_constant_table() -> None:
    rng = np.random.default_rng(1)
    indices = rng.integers(-ROWS, ROWS, (6, COUNT)).astype(np.int32)
    indices[0] = [0, ROWS - 1, -1, -ROWS, 0]
    program = embedding(I32)
    validate(program)
    found = in_both_forms(program, {"i": indices})
    np.testing.assert_array_equal(found.reshape(6, COUNT, WIDTH), TABLE[indices])
    codes = rng.integers(0, ROWS, (6, COUNT)).astype(np.uint8)
    found = in_both_forms(embedding(U8), {"i": codes})
    np.testing.assert_array_equal(found.reshape(6, COUNT, WIDTH), TABLE[codes])


def test_computed_table_and_strided_rows() -> None:
    """A table an input, [4, ROWS]: its columns are the rows that are taken."""
    streams = {
        0: stream_of(U8, 0, (COUNT, 4)),
        1: stream_of(U8, 256, (COUNT,)),
        2: stream_of(U8, 512, (ROWS, 4), (1, ROWS)),
    }
    inputs = {"i": LocalInput(U8, COUNT, 256), "t": LocalInput(U8, 4 * ROWS, 512)}
    program = small_program([Gather(0, 1, 2, 1)], streams, inputs, b"")
    validate(program)
    rng = np.random.default_rng(2)
    tables = rng.integers(0, 256, (9, 4, ROWS)).astype(np.uint8)
    indices = rng.integers(0, ROWS, (9, COUNT)).astype(np.uint8)
    found = in_both_forms(program, {"i": indices, "t": tables.reshape(9, -1)})
    expected = [table.T[index] for table, index in zip(tables, indices, strict=True)]
    np.testing.assert_array_equal(found.reshape(9, COUNT, 4), expected)


@pytest.mark.parametrize("wrong", [ROWS, -ROWS - 1, 1 << 30])
def test_an_index_that_names_no_row(wrong: int) -> None:
    program = embedding(I32)
    indices = np.zeros((3, COUNT), np.int32)
    indices[2, 3] = wrong
    message = rf"gather s0, s1, s2, 1: index {wrong} names no row; the table has 11 \(-11\.\.10\)$"
    with pytest.raises(MachineError, match=message):
        Machine(program).run({"i": indices})
    with pytest.raises(MachineError, match=message):
        literal_result(program, {"i": indices})


def test_a_chunk_that_is_not_full_makes_no_indices_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The index is (i - 12) * 1: rows of zeros behind the last input would name row 144."""
    worker = Machine._worker

    def new_worker(self: Machine, _: object, steps: Sequence[Step], size: int) -> object:
        return worker(self, SimpleQueue(), steps, size)

    monkeypatch.setattr(Machine, "_worker", new_worker)
    streams = {
        0: stream_of(I16, 0, (1, WIDTH)),
        1: stream_of(I32, 128, (1,)),
        2: stream_of(I16, 0, (ROWS, WIDTH), space=Space.GLOBAL),
        3: stream_of(U8, 256, (1,)),
        4: stream_of(I32, 320, (2,)),
        5: stream_of(U8, 384, (1,)),
    }
    inputs = {"i": LocalInput(U8, 1, 256), "one": LocalInput(U8, 1, 384)}
    code = [Fill(4, 12), Dot(1, 3, 5, 4, 0), Gather(0, 1, 2, 1)]
    program = small_program(code, streams, inputs, TABLE.tobytes())
    given = {"i": np.array([[12], [13], [14]], np.uint8), "one": np.full((3, 1), 13, np.uint8)}
    found = Machine(program, chunk=2, threads=1).run(given, codes=True)["y"]
    np.testing.assert_array_equal(found, TABLE[:3])
