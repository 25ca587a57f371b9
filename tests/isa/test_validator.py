from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.hand_program import hand_program, hand_text

from imcc.isa import (
    TABLE,
    Adc,
    ElementType,
    Instruction,
    Matrix,
    Program,
    Slice,
    Space,
    StreamState,
    Tile,
    ValidationError,
    accumulator_bound,
    assemble,
    gather_planes,
    validate,
)
from imcc.isa.instructions import (
    Barrier,
    Copy,
    Dim,
    Fill,
    Halt,
    Load,
    Loop,
    Max,
    Mvm,
    Nop,
    Recv,
    Send,
    Step,
    Store,
    Stream,
    Sum,
    Write,
)
from imcc.isa.validation.memory import footprint
from imcc.isa.validation.structure import executed_instructions


@pytest.fixture(scope="module")
def program() -> Program:
    return hand_program()


@pytest.fixture(scope="module")
def program_text() -> str:
    return hand_text()


def refusal(program: Program) -> str:
    with pytest.raises(ValidationError) as caught:
        validate(program)
    return str(caught.value)


def test_the_program_is_valid(program: Program) -> None:
    validate(program)


# Each mutation breaks one rule: text to replace, replacement, what the message must say.
MUTATIONS = {
    "code after halt": ("  halt\n.core 1", "  halt\n  nop\n.core 1", "only as the last"),
    "no halt": ("  halt\n.constants", ".constants", "core 1: the last instruction must be halt"),
    "core outside the mesh": (".core 1", ".core 512", "core 512 does not exist"),
    "loop past the end": ("loop 2, 3", "loop 2, 30", "loop body runs past its block"),
    "endless loop": ("loop 2, 3", "loop 16777215, 7", "at most 100000000 are allowed"),
    "axis": ("dim s3, 5, 2, 4\n  mvm", "dim s3, 6, 2, 4\n  mvm", "a stream has the axes 0..5"),
    "count 0": ("dim s3, 5, 2, 4\n  mvm", "dim s3, 5, 0, 4\n  mvm", "must be at least 1"),
    "clip bounds": ("setq 3, 0, 255", "setq 3, 256, 255", "low 256 is above high 255"),
    "clip type": ("setq 3, 0, 255", "setq 3, 0, 256", "clips to 0..256; dst of u8 holds 0..255"),
    "no setq": ("  setq 3, 0, 255, float24\n", "", "the output stage is used before any setq"),
    "peer": ("send s6, c1, 5", "send s6, c4, 5", "core 4 has no code"),
    "array": ("write a0", "write a16", "a core has the arrays 0..15"),
    "write columns": ("write a0, s0, 0, 0, 16", "write a0, s0, 0, 20, 16", "16 columns from 20"),
    "write rows": ("write a0, s0, 0, 0, 16", "write a0, s0, 30, 0, 16", "4 rows from 30"),
    "write row bytes": (
        "dim s0, 4, 4, 4\n  dim s0, 5, 4, 1",
        "dim s0, 4, 5, 3\n  dim s0, 5, 3, 1",
        "src has 15 bytes; a row of packed levels takes 4",
    ),
    "write from inputs": (
        "stream s0, global, u8, 0\n",
        "stream s0, global, u8, 384\n",
        "must lie in the constants",
    ),
    "matrix id": ("m0, 1, 0", "m1, 1, 0", "matrix m1 does not exist; there are 1"),
    "inner": ("m0, 1, 0", "m0, 7, 0", "inner is 7; a stream has 6 axes"),
    "mvm rows": (
        "dim s2, 5, 4, 1\n  load s2, s1",
        "dim s2, 5, 4, 1\n  load s2, s1\n  dim s2, 5, 3, 1",
        "the last 1 axes of src have 3 elements; the matrix has 4 rows",
    ),
    "mvm columns": (
        "m0, 1, 0\n",
        "m0, 1, 0\n  dim s3, 5, 3, 4\n  mvm s3, s2, m0, 1, 0\n",
        "dst has 3 elements; 1 windows of 2 columns make 2",
    ),
    "mvm accumulates nothing": (
        "m0, 1, 0",
        "m0, 1, 1",
        "dst reads 8 bytes of local memory that nothing has written, the first at 16",
    ),
    "cells not written": (
        "write a0, s0, 0, 0, 16",
        "write a1, s0, 0, 0, 16",
        "cells are used before they are written",
    ),
    "some cells not written": (
        "write a0, s0, 0, 0, 16",
        "write a0, s0, 0, 1, 16",
        "4 cells are used before they are written",
    ),
    "element type": (
        "stream s3, local, i32, 16",
        "stream s3, local, u32, 16",
        "dst has elements u32; allowed are i32",
    ),
    "element types differ": (
        "stream s2, local, u8, 0\n  dim s2, 5, 4, 1",
        "stream s2, local, i8, 0\n  dim s2, 5, 4, 1",
        "src has elements u8, dst i8",
    ),
    "counts differ": ("dim s4, 5, 2, 4", "dim s4, 5, 1, 4", "bias has 1 elements, dst 2"),
    "table length": ("dim s3, 5, 256, 1", "dim s3, 5, 255, 1", "table has 255 elements; it must"),
    "wrong memory": (
        "load s2, s1",
        "load s2, s2",
        "src at byte 0 of local memory must lie in global",
    ),
    "parameters in scratch": (
        "stream s4, global, i32, 64",
        "stream s4, global, i32, 400",
        "must lie in local memory or the constants",
    ),
    "outside local memory": (
        "stream s6, local, u8, 32",
        "stream s6, local, u8, 131071",
        "dst touches bytes 131071..131072 of local memory (0..131071)",
    ),
    "outside global memory": (
        "stream s1, global, u8, 384",
        "stream s1, global, u8, 509",
        "src touches bytes 509..512 of global memory (0..511)",
    ),
    "outside local memory by an offset": (
        "send s6, c1, 5",
        "send s6+131040, c1, 5",
        "src touches bytes 131072..131073 of local memory (0..131071)",
    ),
    "before memory by an offset": ("load s2, s1", "load s2-1, s1", "dst touches bytes -1..2"),
    "across the constants by an offset": (
        "store s5, s4",
        "store s5-65, s4",
        "across the end of the constants at 384",
    ),
    "not initialised by an offset": (
        "store s5, s4",
        "store s5, s4+1",
        "src reads 1 bytes of local memory that nothing has written, the first at 66",
    ),
    "endless stream": (
        "dim s6, 5, 2, 1",
        "dim s6, 4, 1048575, 0\n  dim s6, 5, 1048575, 0",
        "dst has 1099509530625 elements; at most 67108864 are allowed",
    ),
    "before memory": ("dim s6, 5, 2, 1", "dim s6, 5, 2, -40", "touches bytes -8..32"),
    "across the constants": (
        "stream s1, global, u8, 384",
        "stream s1, global, u8, 382",
        "across the end of the constants at 384",
    ),
    "store to constants": (
        "stream s5, global, u8, 448",
        "stream s5, global, u8, 100",
        "dst writes constants",
    ),
    "alignment of base": (
        "stream s3, local, i32, 16",
        "stream s3, local, i32, 18",
        "base 18 and strides must be multiples of 4 (i32)",
    ),
    "alignment of stride": ("dim s3, 5, 2, 4", "dim s3, 5, 2, 6", "must be multiples of 4"),
    "overlap": ("stream s3, local, i32, 16", "stream s3, local, i32, 0", "src and dst overlap"),
    "not initialised": (
        "  load s2, s1\n",
        "",
        "src reads 4 bytes of local memory that nothing has",
    ),
    "scratch not stored": (
        "stream s1, global, u8, 384",
        "stream s1, global, u8, 400",
        "src reads 4 bytes of global memory that nothing has written, the first at 400",
    ),
    "stream not set": ("  stream s5, global, u8, 448\n", "", "stream s5 is used before it is set"),
    "fill value": (
        "  barrier 7\n  send",
        "  fill s6, 256\n  barrier 7\n  send",
        "256 does not fit u8",
    ),
    "exchange": (
        "dim s0, 5, 2, 1\n  recv",
        "dim s0, 5, 3, 1\n  recv",
        "it takes 3 elements of u8, the send of core 0 at 21 gives 2 of u8",
    ),
    "tags": ("recv s0, c0, 5", "recv s0, c0, 6", "deadlock"),
    "barriers": ("barrier 7\n  send", "barrier 8\n  send", "deadlock"),
    "tile outside the array": ('"col":14', '"col":31', "it exceeds the array of 32 x 32 cells"),
    "tile shares cells": ('"col":14', '"col":13', "shares cells of array a0"),
    "tile outside the weights": (
        '"col":14,"cols":2,"copy":0,"k":0',
        '"col":14,"cols":2,"copy":0,"k":1',
        "it exceeds the weights of 4 x 2",
    ),
    "tile array": ('"array":0,"col":14', '"array":16,"col":14', "a core has the arrays 0..15"),
    "tile slice": (
        '"row":0,"rows":4,"slice":3',
        '"row":0,"rows":4,"slice":4',
        "there are 4 slices",
    ),
    "slice bits": (
        '"bits":2,"coefficient":64',
        '"bits":3,"coefficient":64',
        "bits must be in 1..2",
    ),
    "converter bits": ('[{"bits":8', '[{"bits":9', "the converters have 8 bits"),
    "converters": ('[{"bits":8,"low":0,"step":1},', "[", "4 slices and 3 converters"),
    "input bits": ('"input_bits":8', '"input_bits":9', "input_bits is 9; it must be in 1..8"),
    "step bits": (
        '"step_bits":1,"subtract_analog":false}\n',
        '"step_bits":2,"subtract_analog":false}\n',
        "the input drivers have 1",
    ),
    "matrix core": ('"core":0,"input', '"core":1,"input', "matrix m0 is on core 1"),
    "input among constants": ('"address":384', '"address":383', "allowed are 384..511"),
    "bindings overlap": ('"address":448', '"address":387', "overlap in global memory"),
    "names": ('"name":"y"', '"name":"x"', "the name 'x' is bound more than once"),
    "zero point": ('"zero_point":3', '"zero_point":300', "it must be in 0..255"),
    "scale": ('"scale":0.25', '"scale":-0.25', "it must be finite and not negative"),
    "shape": ('"shape":[1,2]', '"shape":[2,1]', "it must begin with 1"),
    "origin": (".origin 0 0 4", ".origin 0 0 40", "an origin names instructions 0..39 of core 0"),
    "global memory": (".global 512", ".global 67108865", "67108865 bytes of global memory of"),
    "constants": (".global 512", ".global 300", "384 bytes of constants; global_size is 300"),
}


@pytest.mark.parametrize("rule", MUTATIONS)
def test_a_broken_rule_is_reported(program_text: str, rule: str) -> None:
    old, new, message = MUTATIONS[rule]
    assert old in program_text
    assert message in refusal(assemble(program_text.replace(old, new)))


def test_the_message_names_core_index_instruction_and_nodes(program_text: str) -> None:
    text = program_text.replace("dim s4, 5, 2, 4", "dim s4, 5, 1, 4")
    assert refusal(assemble(text)) == (
        "the program is not valid: 1 problem\n"
        "core 0 at 19: requant s6, s3, s4, s5: bias has 1 elements, dst 2"
    )
    shifted = text.replace(".origin 0 9 18", ".origin 0 9 20")
    assert refusal(assemble(shifted)).endswith(
        "core 0 at 19: requant s6, s3, s4, s5 (node '/layer1/conv', '/layer1/relu'): "
        "bias has 1 elements, dst 2"
    )


def test_an_output_that_is_stored_in_part_is_reported(program_text: str) -> None:
    text = program_text.replace("dim s4, 5, 2, 1\n", "").replace("dim s5, 5, 2, 1\n", "")
    assert "output 'y': 1 of 2 bytes are never stored, the first at global byte 449" in refusal(
        assemble(text)
    )


def test_many_problems_are_cut_at_fifty(program: Program) -> None:
    code = (*[Dim(0, 7, 1, 0)] * 70, Halt())
    lines = refusal(replace(program, cores={**program.cores, 0: code})).splitlines()
    assert lines[0] == "the program is not valid: 70 problems"
    assert len(lines) == 52
    assert lines[-1] == "... and 20 more"


def test_an_instruction_in_a_loop_reports_once(program_text: str) -> None:
    text = program_text.replace("step s2, 1\n", "step s2, 9\n").replace("loop 2, 3", "loop 9, 3")
    lines = refusal(assemble(text)).splitlines()
    assert len([line for line in lines if "lut" in line]) == 1


def test_a_bound_below_the_true_one_is_refused(program: Program) -> None:
    (matrix,) = program.matrices
    validate(replace(program, matrices=(replace(matrix, bound=matrix.bound + 5),)))
    tight = replace(program, matrices=(replace(matrix, bound=matrix.bound - 1),))
    assert re.search(
        rf"an accumulator of m0 can reach {matrix.bound}; the matrix says {matrix.bound - 1}",
        refusal(tight),
    )
    for bound in (-1, 1 << 31):
        assert "it must be below 2^31" in refusal(
            replace(program, matrices=(replace(matrix, bound=bound),))
        )


def test_a_level_that_its_slice_cannot_hold_is_refused(program: Program) -> None:
    (matrix,) = program.matrices
    slices = (Slice(1, 1), *matrix.slices[1:])
    assert "holds level 3; its slice holds 0..1" in refusal(
        replace(program, matrices=(replace(matrix, slices=slices),))
    )


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("rows", 10**12, "weights; a core has 16384 cells"),
        ("cols", 0, "it has 4 x 0 weights"),
        ("center", 1 << 16, "center is 65536; its magnitude must be below 2^16"),
        ("slices", (Slice(2, 1 << 16),) * 4, "its coefficient must be below 2^16"),
        ("adcs", (Adc(8, 0, 1 << 30),) * 4, "is not possible; the converters have 8 bits"),
        ("adcs", (Adc(0, 0, 1),) * 4, "is not possible; the converters have 8 bits"),
        ("adcs", (Adc(8, 0, 0),) * 4, "is not possible; the converters have 8 bits"),
        ("tiles", (), "slice 0 covers weight (0, 0) 0 times; it must be once"),
        ("core", 7, "core 7 has no code"),
    ],
)
def test_matrices_that_no_chip_can_have(
    program: Program, field: str, value: object, message: str
) -> None:
    changes: dict[str, Any] = {field: value}
    matrix = replace(program.matrices[0], **changes)
    assert message in refusal(replace(program, matrices=(matrix,)))


@pytest.mark.parametrize("adc", [Adc(4, 0, 1), Adc(3, 0, 4), Adc(5, -8, 2), Adc(8, 0, 1)])
@pytest.mark.parametrize("subtract_analog", [False, True])
@pytest.mark.parametrize("step_bits", [1, 2, 3])
def test_the_bound_covers_every_input(adc: Adc, subtract_analog: bool, step_bits: int) -> None:
    rng = np.random.default_rng(adc.bits * 10 + step_bits)
    levels = {negative: rng.integers(0, 4, (2, 3), np.uint8) for negative in (False, True)}
    tiles = tuple(Tile(0, 0, 3 * n, 0, 2, 0, 3, 0, negative=n) for n in (False, True))
    matrix = Matrix(0, 2, 3, 4, step_bits, (Slice(2, 3),), (adc,), tiles, -2, subtract_analog, 0)
    x = np.stack(np.meshgrid(np.arange(16), np.arange(16)), axis=-1).reshape(-1, 2)
    y = -2 * x.sum(axis=1, keepdims=True) + np.zeros((1, 3), np.int64)
    for step in range(0, 4, step_bits):
        digit = x >> step & (1 << step_bits) - 1
        sums = [digit @ levels[n].astype(np.int64) for n in (False, True)]
        analog = [(sums[0] - sums[1], 1)] if subtract_analog else [(sums[0], 1), (sums[1], -1)]
        for value, sign in analog:
            code = np.clip((value - adc.low + adc.step // 2) // adc.step, 0, 2**adc.bits - 1)
            y += sign * 3 * (code * adc.step + adc.low) << step
    planes = gather_planes(matrix, lambda tile: levels[tile.negative])
    bound = accumulator_bound(matrix, planes)
    assert bound >= np.abs(y).max()
    if adc == Adc(8, 0, 1) and not subtract_analog:
        assert bound == np.abs(y).max()


@pytest.mark.parametrize("seed", range(40))
def test_the_footprint_is_the_set_of_bytes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    element = ElementType(int(rng.integers(0, 6)))
    counts = tuple(rng.integers(1, 4, 6).tolist())
    strides = tuple((rng.integers(-9, 10, 6) * element.size).tolist())
    stream = StreamState(Space.LOCAL, element, 400, counts, strides)
    offsets = np.array([400])
    for count, stride in zip(counts, strides, strict=True):
        offsets = (offsets[:, None] + np.arange(count) * stride).reshape(-1)
    expected = np.zeros(1000, np.bool_)
    for byte in range(element.size):
        expected[offsets + byte] = True
    marked = np.zeros(1000, np.bool_)
    footprint(stream).view(marked)[...] = True
    assert np.array_equal(marked, expected)


def test_streams_side_by_side_do_not_overlap(program: Program) -> None:
    even = (Stream(0, 0, 0, 0), Dim(0, 5, 8, 2))
    odd = (Stream(1, 0, 0, 1), Dim(1, 5, 8, 2))
    code = (*even, *odd, Fill(0, 7), Copy(1, 0), Copy(1, 1), Halt())
    alone = replace(program, cores={0: code}, matrices=(), outputs=(), origins=())
    validate(alone)
    shifted = replace(
        alone, cores={0: (*code[:-1], Stream(1, 0, 0, 2), *odd[1:], Copy(1, 0), Halt())}
    )
    assert "src and dst overlap in part" in refusal(shifted)


def test_executed_instructions_follow_nested_loops() -> None:
    code: tuple[Instruction, ...] = (
        Loop(3, 4),
        Nop(),
        Loop(5, 2),
        Nop(),
        Nop(),
        Nop(),
        Loop(0, 1),
        Nop(),
        Halt(),
    )
    assert executed_instructions(code) == 1 + 3 * (1 + 1 + 5 * 2) + 1 + 1 + 0 + 1


def test_long_loops_are_validated(program: Program) -> None:
    setup = (
        Stream(0, 0, 0, 0),
        Dim(0, 4, 8, 64),
        Dim(0, 5, 16, 2),
        Fill(0, 1),
        Stream(1, 0, 0, 8192),
        Dim(1, 4, 8, 64),
        Dim(1, 5, 16, 2),
    )
    code = (*setup, Loop(10_000, 4), Copy(1, 0), Step(1, 2), Step(1, -2), Copy(1, 0), Halt())
    alone = replace(program, cores={0: code}, matrices=(), outputs=(), origins=())
    validate(alone)


def _cores(program: Program, *codes: tuple[Instruction, ...]) -> Program:
    cores = {core: (*code, Halt()) for core, code in enumerate(codes)}
    return replace(program, cores=cores, matrices=(), outputs=(), origins=())


def test_cores_that_share_global_bytes_must_be_ordered(program: Program) -> None:
    stream = (Stream(0, 0, 0, 0), Stream(1, 1, 0, 450))
    store, load = (*stream, Fill(0, 1), Store(1, 0)), (*stream, Load(0, 1))
    validate(_cores(program, store, (*stream, Fill(0, 1), Store(1, 0))[:3]))
    validate(_cores(program, (*store, Barrier(1)), (Barrier(1), *load)))
    validate(_cores(program, (*store, Send(0, 1, 4)), (*stream, Recv(0, 0, 4), Load(0, 1))))
    validate(_cores(program, (*store, Barrier(1), Barrier(2)), (Barrier(1), *load, Barrier(2))))
    for other in (store, load):
        message = refusal(_cores(program, store, other))
        assert "core 0 also stores some of its 1 global bytes; no exchange or barrier" in message
    late = (Barrier(1), *load), (*store, Barrier(1), Store(1, 0))
    assert "also reads some of its 1 global bytes" in refusal(_cores(program, *late))
    chain = (
        (*store, Send(0, 1, 4)),
        (*stream, Recv(0, 0, 4), Send(0, 2, 4)),
        (*stream, Recv(0, 1, 4)),
    )
    validate(_cores(program, chain[0], chain[1], (*chain[2], Load(0, 1))))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_change_is_valid_or_refused(data: st.DataObject) -> None:
    program = hand_program()
    core = data.draw(st.sampled_from([0, 1]))
    code = list(program.cores[core])
    for _ in range(data.draw(st.integers(1, 3))):
        pc = data.draw(st.integers(0, len(code) - 2))
        cls = data.draw(st.sampled_from(sorted(TABLE.values(), key=lambda cls: cls.opcode)))
        values = [
            data.draw(st.one_of(st.integers(kind.low, min(kind.high, 40)), st.just(kind.high)))
            if kind.choices is None
            else data.draw(st.sampled_from([int(choice) for choice in kind.choices]))
            for kind in (field.kind for field in cls.layout)
        ]
        code[pc] = cls(*values)
    assume(executed_instructions(tuple(code)) < 100_000)
    changed = replace(program, cores={**program.cores, core: tuple(code)})
    with suppress(ValidationError):
        validate(changed)


def test_reductions(program: Program) -> None:
    source = (Stream(0, 0, 0, 0), Dim(0, 4, 3, 4), Dim(0, 5, 4, 1), Fill(0, 1))
    codes, words = (Stream(1, 0, 0, 64), Dim(1, 5, 3, 1)), (Stream(2, 0, 4, 128), Dim(2, 5, 3, 4))
    validate(_cores(program, (*source, *codes, *words, Max(1, 0, 1), Sum(2, 0, 1))))
    for wrong in (Max(1, 0, 2), Sum(2, 0, 2)):
        assert "dst has 3 elements; src has 1 before its inner" in refusal(
            _cores(program, (*source, *codes, *words, wrong))
        )
    assert "dst has elements u8; allowed are i32" in refusal(
        _cores(program, (*source, *codes, Sum(1, 0, 1)))
    )
    wide = (Stream(0, 0, 2, 0), Dim(0, 5, 40_000, 0), Fill(0, 1), Stream(2, 0, 4, 128))
    assert "the sum of 40000 elements of u16 can overflow i32" in refusal(
        _cores(program, (*wide, Sum(2, 0, 1)))
    )


def _with_matrix(program: Program, **changes: Any) -> Program:
    (matrix,) = program.matrices
    return replace(program, matrices=(replace(matrix, **changes),))


def test_diagonal_blocks(program: Program) -> None:
    """The 4 x 2 weights of the program as two blocks of 2 x 1, on the diagonal of its cells."""
    (matrix,) = program.matrices
    halves = tuple(
        replace(t, row=2 * i, col=t.col + i, k=2 * i, rows=2, n=i, cols=1)
        for t in matrix.tiles
        for i in range(2)
    )
    blocks: dict[str, Any] = {"tiles": halves, "block_rows": 2, "block_cols": 1}
    validate(_with_matrix(program, **blocks))
    assert "it leaves the diagonal blocks, 2 of 2 x 1 weights" in refusal(
        _with_matrix(program, **{**blocks, "tiles": matrix.tiles})
    )
    assert "slice 0 covers weight (0, 1) 0 times; it must be once" in refusal(
        _with_matrix(program, tiles=halves)
    )
    assert "slice 0 covers weight (2, 1) 0 times" in refusal(
        _with_matrix(program, **{**blocks, "tiles": halves[::2]})
    )
    assert "its rows are 2 diagonal blocks, its columns 1" in refusal(
        _with_matrix(program, **{**blocks, "block_cols": 2})
    )
    assert "a diagonal block has 5 x 1 weights; the matrix has 4 x 2" in refusal(
        _with_matrix(program, **{**blocks, "block_rows": 5})
    )


def test_row_blocks_are_the_same_in_all_columns(program: Program) -> None:
    (matrix,) = program.matrices
    first, *others = matrix.tiles
    parts = [replace(first, rows=1), replace(first, row=first.row + 1, k=1, rows=3)]
    assert "other tiles have other row blocks; they begin at rows 0, 1" in refusal(
        _with_matrix(program, tiles=(*parts, *others))
    )


def test_copies_are_complete_and_have_cells_of_their_own(program: Program) -> None:
    """A second copy in rows 8 to 11 of the array, where the program writes nothing."""
    (matrix,) = program.matrices
    second = tuple(replace(t, row=t.row + 8, copy=1) for t in matrix.tiles)
    tiles = (*matrix.tiles, *second)
    assert "8 cells are used before they are written" in refusal(
        _with_matrix(program, tiles=tiles, copies=2)
    )
    assert "the copies are 0..0" in refusal(_with_matrix(program, tiles=tiles))
    assert "copy 1: slice 0 covers weight (0, 0) 0 times" in refusal(
        _with_matrix(program, copies=2)
    )
    fewer = tuple(t for t in tiles if not (t.copy and t.negative))
    assert "copy 1 has other tiles than copy 0" in refusal(
        _with_matrix(program, tiles=fewer, copies=2)
    )
    same = (*matrix.tiles, *(replace(t, copy=1) for t in matrix.tiles))
    assert "shares cells of array a0" in refusal(_with_matrix(program, tiles=same, copies=2))
    assert "weights in 3000 copies; a core has 16384 cells" in refusal(
        _with_matrix(program, copies=3000)
    )


def test_analog_subtraction_needs_pairs(program: Program) -> None:
    (matrix,) = program.matrices
    analog = replace(
        matrix, subtract_analog=True, adcs=tuple(replace(adc, low=-128) for adc in matrix.adcs)
    )
    validate(replace(program, matrices=(analog,)))
    narrow = tuple(replace(t, cols=1) if t.negative else t for t in matrix.tiles)
    assert "no positive tile of the same place and size" in refusal(
        replace(program, matrices=(replace(analog, tiles=narrow),))
    )
    twice = (*matrix.tiles, replace(matrix.tiles[-1], col=20))
    assert "slice 3 subtracts weight (0, 0) more than once" in refusal(
        replace(program, matrices=(replace(matrix, tiles=twice),))
    )


def _reloading(program: Program, code: tuple[Instruction, ...]) -> Program:
    """With a second matrix on the same cells, and more instructions behind the first product."""
    (matrix,) = program.matrices
    old = program.cores[0]
    behind = next(i for i, one in enumerate(old) if isinstance(one, Mvm)) + 1
    cores = {**program.cores, 0: (*old[:behind], *code, *old[behind:])}
    return replace(program, matrices=(matrix, matrix), cores=cores, origins=())


def test_cells_are_written_anew_between_products_of_two_matrices(program: Program) -> None:
    write, first, second = Write(0, 0, 0, 0, 16), Mvm(3, 2, 0, 1, 0), Mvm(3, 2, 1, 1, 0)
    validate(_reloading(program, (write, second)))
    validate(_reloading(program, (write, second, write, first)))
    validate(_reloading(program, (first, write, first, write, second)))
    for code, reader in (((second,), 0), ((write, second, first), 1)):
        text = refusal(_reloading(program, code))
        assert f"shares cells of array a0 with matrix m{reader}, which has read 8 of them" in text


def test_a_part_written_anew_is_not_enough(program: Program) -> None:
    """Only the four rows of the positive columns."""
    part, second = Write(0, 0, 0, 0, 8), Mvm(3, 2, 1, 1, 0)
    text = refusal(_reloading(program, (part, second)))
    assert "negative=True" in text
    assert "negative=False" not in text
