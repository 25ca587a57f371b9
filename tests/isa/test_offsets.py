"""Operands that begin some bytes from the base of their register."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hand_program import hand_program, hand_text, hand_text_with_offsets
from support.timed_program import stream

from imcc.isa import (
    TABLE,
    ElementType,
    Instruction,
    Role,
    Space,
    assemble,
    decode,
    disassemble,
    validate,
    walk,
)
from imcc.isa.fields import LongOffset, ReadStream
from imcc.isa.instruction import instruction
from imcc.isa.instructions import Copy, Fill, Halt, Load, Recv, Send, Step, Store

MOVING = (Load, Store, Copy, Fill, Send, Recv)


def test_the_instructions_that_only_move_data_have_offsets_for_all_operands() -> None:
    for cls in TABLE.values():
        streams = [f.name for f in cls.layout if f.kind.role in (Role.READ, Role.WRITE)]
        assert list(cls.offsets) == (streams if cls in MOVING else [])


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (Copy(1, 2, 0, 0), "copy s1, s2"),
        (Copy(1, 2, 64, -3), "copy s1+64, s2-3"),
        (Copy(1, 2, 0, 4194303), "copy s1, s2+4194303"),
        (Send(1, 2, 3, -262144), "send s1-262144, c2, 3"),
        (Fill(1, -2, 5), "fill s1+5, -2"),
    ],
)
def test_an_offset_stands_behind_its_operand(made: Instruction, text: str) -> None:
    assert str(made) == text
    marker = "  barrier 7\n  send"
    program = assemble(hand_text().replace(marker, f"  barrier 7\n  {text}\n  send"))
    assert made in program.cores[0]
    assert assemble(disassemble(program)) == program


def test_words_of_older_versions_have_no_offsets() -> None:
    words = np.array([0x30 | 6 << 8 | 1 << 13 | 5 << 29, 0x22 | 3 << 8 | 4 << 13], np.uint64)
    assert decode(words, "core 0") == (Send(6, 1, 5), Copy(3, 4))


def test_offsets_must_come_last() -> None:
    with pytest.raises(TypeError, match="Early: offsets must come last, in the order of their"):

        @instruction(0x7E)
        class Early(Instruction):
            src_offset: LongOffset
            src: ReadStream

    with pytest.raises(TypeError, match="Alone: offsets must come last"):

        @instruction(0x7E)
        class Alone(Instruction):
            src: ReadStream
            dst_offset: LongOffset


@settings(deadline=None)
@given(st.integers(-(1 << 22), (1 << 22) - 1), st.integers(-(1 << 22), (1 << 22) - 1))
def test_a_walk_begins_at_base_and_offset(dst: int, src: int) -> None:
    """The registers stay as they are: the second copy finds them where the first did."""
    code = (
        *stream(0, Space.LOCAL, ElementType.U8, 100, 4),
        *stream(1, Space.LOCAL, ElementType.I32, 200, 3),
        Copy(0, 1, dst, src),
        Copy(0, 1),
        Step(1, 8),
        Copy(0, 1, 0, src),
        Halt(),
    )
    first, second, third = walk(0, code)
    assert [one.streams["dst"].extent for one in (first, second)] == [
        (100 + dst, 104 + dst),
        (100, 104),
    ]
    assert first.streams["src"].extent == (200 + src, 212 + src)
    assert second.streams["src"].base == 200
    assert third.streams["src"].base == 208 + src


def test_what_begins_elsewhere_with_offsets_is_as_valid() -> None:
    validate(hand_program())
    validate(assemble(hand_text_with_offsets()))
