from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hand_program import hand_program, hand_text

from imcc.isa import (
    BY_MNEMONIC,
    TABLE,
    AssemblyError,
    Field,
    Instruction,
    Program,
    assemble,
    disassemble,
    program_bytes,
    validate,
)


@pytest.fixture(scope="module")
def program() -> Program:
    return hand_program()


@pytest.fixture(scope="module")
def program_text() -> str:
    return hand_text()


def field_values(field: Field) -> st.SearchStrategy[int]:
    if field.kind.choices is not None:
        return st.sampled_from([int(choice) for choice in field.kind.choices])
    return st.integers(field.kind.low, field.kind.high)


def any_instruction() -> st.SearchStrategy[Instruction]:
    return st.sampled_from(sorted(TABLE.values(), key=lambda cls: cls.opcode)).flatmap(
        lambda cls: st.tuples(*map(field_values, cls.layout)).map(lambda values: cls(*values))
    )


def problems(text: str) -> list[str]:
    with pytest.raises(AssemblyError) as caught:
        assemble(text)
    return str(caught.value).splitlines()


def test_disassembly_assembles_to_the_same_bytes(program: Program) -> None:
    again = assemble(disassemble(program))
    assert again == program
    assert program_bytes(again) == program_bytes(program)


@given(st.lists(any_instruction(), max_size=30), st.text(max_size=8))
@settings(max_examples=60, deadline=None)
def test_any_code_and_any_name_round_trip(
    program: Program, code: list[Instruction], name: str
) -> None:
    origins = (replace(program.origins[0], nodes=(name, name)),)
    changed = replace(
        program,
        cores={0: tuple(code), 9: ()},
        origins=origins,
        notes=((name, name),),
        constants=name.encode("utf-8", "surrogatepass"),
    )
    assert program_bytes(assemble(disassemble(changed))) == program_bytes(changed)


def test_disassembly_shows_provenance_and_loops(program: Program) -> None:
    text = disassemble(program)
    assert "  ; node '/layer1/conv'\n  stream s0, global, u8, 0\n" in text
    assert "  loop 2, 3\n    lut s1, s2, s3\n    step s1, 1\n    step s2, 1\n  stream s4" in text


def test_every_mnemonic_is_distinct_text() -> None:
    assert len(BY_MNEMONIC) == len(TABLE)
    assert {cls.mnemonic for cls in TABLE.values()} == set(BY_MNEMONIC)


def test_all_wrong_lines_are_reported_with_carets(program_text: str) -> None:
    text = program_text.replace("  mvm s3, s2, m0, 1, 0", "  mvn s3, s2, m0, 1, 0").replace(
        "  stream s6, local, u8, 32", "  stream s6, locl, u8, 32"
    )
    first = 1 + text[: text.index("  mvn")].count("\n")
    assert problems(text) == [
        "the text is not a program: 2 problems",
        f"line {first}, column 3: unknown instruction 'mvn'; did you mean 'mvm'?",
        "    mvn s3, s2, m0, 1, 0",
        "    ^",
        f"line {first + 5}, column 14: operand 'space' is 'locl'; expected one of local, global; "
        "did you mean 'local'?",
        "    stream s6, locl, u8, 32",
        "               ^",
    ]


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        ("  load s1", 3, "'load' takes 2 operands (dst, src), not 1"),
        ("  load s1,", 11, "found the end of the line; expected a name or a number"),
        ("  load s1 s2", 11, "found 's2'; expected the end of the line or ','"),
        ("  load s1, m2", 12, "operand 'src' is 'm2'; expected 's' and a number, such as 's0'"),
        ("  load s1, s32", 12, "load: field 'src' is 32; it must be in 0..31 (5 bits)"),
        ("  step s1, x", 12, "operand 'delta' is 'x'; expected a number"),
        (
            "  step s1+4, 1",
            8,
            "operand 'stream' is 's1+4'; expected 's' and a number, such as 's0'",
        ),
        ("  load s1+4, m2-8", 14, "operand 'src' is 'm2'; expected 's' and a number, such as 's0'"),
        (
            "  send s1-262145, c1, 0",
            10,
            "send: field 'src_offset' is -262145; it must be in -262144..262143 (19 bits)",
        ),
        ("  load s1+, s2", 10, "found '+'; expected ','"),
        ("  %", 3, "found '%'; expected a directive or a name"),
        (".taget {}", 1, "unknown directive '.taget'; did you mean '.target'?"),
        (".core 0", 1, "core 0 has code already"),
        (".core -1", 1, "'-1' is not a natural number"),
        (".core", 1, "'.core' takes 1 number and no JSON"),
        (".note [1]", 7, "note: must be an array of 2 items, not [1]"),
        (".note [", 7, "JSON: not valid JSON: Expecting value: line 1 column 2 (char 1)"),
        (".imcc 1.0", 1, "'.imcc' stands twice; it must stand once"),
    ],
)
def test_messages(program_text: str, line: str, column: int, message: str) -> None:
    marker = "  barrier 7\n  send"
    at = 2 + program_text[: program_text.index(marker)].count("\n")
    text = program_text.replace(marker, f"  barrier 7\n{line}\n  send")
    shown = problems(text)
    assert shown[1] == f"line {at}, column {column}: {message}"
    assert shown[2] == f"  {line}"
    assert shown[3] == "  " + " " * (column - 1) + "^"


def test_the_error_carries_its_place(program_text: str) -> None:
    with pytest.raises(AssemblyError) as caught:
        assemble(program_text.replace("  halt\n.core 1", "  holt\n.core 1"))
    assert caught.value.column == 3
    assert program_text.split("\n")[caught.value.line - 1] == "  halt"


def test_what_is_missing_is_named() -> None:
    shown = problems("")
    assert [line.partition(": ")[2] for line in shown[1::3]] == [
        "the directive '.global' is missing",
        "the directive '.imcc' is missing",
        "the directive '.target' is missing",
    ]


def test_a_newer_version_is_refused(program_text: str) -> None:
    shown = problems(program_text.replace(".imcc 1.0", ".imcc 1.7"))
    assert "the program needs imcc ISA 1.7; this imcc has 1.6" in shown[1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (".constants 384", ".constants 385", "'.constants' says 385 bytes; 384 follow"),
        (".constants 384\n", ".constants 384\n!!\n", "this line is not base64"),
        (".constants 384\n", ".constants 384\nA\n", "the constants are not base64"),
        (".core 0\n", "  nop\n.core 0\n", "an instruction stands before any '.core'"),
        (".matrix", ".tile {}\n.matrix", "'.tile' stands before any '.matrix'"),
    ],
)
def test_misplaced_parts(program_text: str, old: str, new: str, message: str) -> None:
    assert message in problems(program_text.replace(old, new))[1]


def test_comments_and_windows_line_ends_change_nothing(program: Program, program_text: str) -> None:
    text = program_text.replace("  halt\n", "  halt ; the end\n; more\n\n")
    assert assemble(text.replace("\n", "\r\n")) == program


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_text_is_refused_politely(text: str) -> None:
    with pytest.raises(AssemblyError):
        assemble(text)


def test_large_constants_round_trip(program: Program) -> None:
    large = replace(program, constants=random.Random(0).randbytes(2_000_000))
    text = disassemble(large)
    assert assemble(text) == large


def test_the_text_by_hand_is_a_valid_program(program: Program) -> None:
    validate(program)
