from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcc.isa import TABLE, EncodingError, Field, Instruction, decode, encode, instructions


def field_values(field: Field) -> st.SearchStrategy[int]:
    kind = field.kind
    if kind.choices is not None:
        return st.sampled_from([int(choice) for choice in kind.choices])
    return st.one_of(st.sampled_from([kind.low, kind.high]), st.integers(kind.low, kind.high))


def any_instruction() -> st.SearchStrategy[Instruction]:
    return st.sampled_from(sorted(TABLE.values(), key=lambda cls: cls.opcode)).flatmap(
        lambda cls: st.tuples(*map(field_values, cls.layout)).map(lambda values: cls(*values))
    )


@given(st.lists(any_instruction(), max_size=40))
@settings(max_examples=60, deadline=None)
def test_decode_inverts_encode(code: list[Instruction]) -> None:
    assert decode(encode(code), "core 0") == tuple(code)


@pytest.mark.parametrize("cls", TABLE.values(), ids=lambda cls: str(cls.mnemonic))
@pytest.mark.parametrize("end", ["low", "high"])
def test_extreme_values_of_every_field(cls: type[Instruction], end: str) -> None:
    values = [
        max(f.kind.choices) if f.kind.choices and end == "high" else getattr(f.kind, end)
        for f in cls.layout
    ]
    made = cls(*values)
    assert decode(encode([made]), "core 0") == (made,)


def test_words_are_laid_out_as_the_manual_says() -> None:
    # opcode 0x41, dst 3 at bit 8, src 2 at bit 13, matrix 7 at 18, inner 2 at 34, accumulate at 37
    word = 0x41 | 3 << 8 | 2 << 13 | 7 << 18 | 2 << 34 | 1 << 37
    assert encode([instructions.Mvm(3, 2, 7, 2, 1)]).tolist() == [word]
    # a delta of -1 fills its 40 bits from bit 13
    assert encode([instructions.Step(1, -1)]).tolist() == [0x12 | 1 << 8 | ((1 << 40) - 1) << 13]


def test_every_wrong_word_is_reported_with_its_index() -> None:
    words = np.array([0x7F, 0x00, 1 << 9, 7 << 14 | 0x10], np.uint64)
    with pytest.raises(EncodingError) as caught:
        decode(words, "core 2")
    assert str(caught.value).splitlines() == [
        "core 2, instruction 0: unknown opcode 0x7f (word 0x000000000000007f)",
        "core 2, instruction 2: 'nop' has reserved bits set: bits 8..63 must be zero "
        "(word 0x0000000000000200)",
        "core 2, instruction 3: 'stream' field 'element' must be one of u8, i8, u16, i16, i32, "
        "u32 (word 0x000000000001c010)",
    ]


def test_at_most_fifty_wrong_words_are_listed() -> None:
    with pytest.raises(EncodingError) as caught:
        decode(np.full(70, 0xFF, np.uint64), "core 0")
    lines = str(caught.value).splitlines()
    assert len(lines) == 51
    assert lines[-1] == "... and 20 more"


def test_a_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(EncodingError, match=r"dim: field 'count' is 1048576; it must be in 0\.\."):
        instructions.Dim(0, 0, 1 << 20, 0)


@given(st.lists(st.integers(0, (1 << 64) - 1), max_size=30))
@settings(max_examples=60, deadline=None)
def test_any_words_decode_or_are_refused(words: list[int]) -> None:
    array = np.array(words, np.uint64)
    try:
        decoded = decode(array, "core 0")
    except EncodingError:
        return
    assert encode(decoded).tolist() == words


def test_a_long_program_round_trips() -> None:
    code = [instructions.Stream(i % 32, 0, i % 6, i) for i in range(100_000)]
    words = encode(code)
    decoded = decode(words, "core 0")
    assert decoded == tuple(code)
