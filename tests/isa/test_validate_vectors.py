"""What `dot`, `norm`, `gather` and `divide` ask of their operands."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.small_program import LocalInput, small_program, stream_of, words

from imcc.isa import (
    ElementType,
    Instruction,
    Program,
    Space,
    StreamState,
    ValidationError,
    validate,
)
from imcc.isa.instructions import Divide, Dot, Gather, Norm

U8, I8, U16, I32, U32 = (ElementType[name] for name in ("U8", "I8", "U16", "I32", "U32"))
Streams = dict[int, StreamState]
MEMORY = 1 << 20


def program(instruction: Instruction, streams: Streams) -> Program:
    """All local memory that sources may lie in is an input."""
    inputs = {"x": LocalInput(U8, MEMORY // 2, MEMORY)}
    return small_program([instruction], streams, inputs, words(0, 0, 0))


def dot(changes: Streams, inner: int = 1) -> Program:
    """Rows [3, 8] by columns [5, 8]."""
    streams = {
        0: stream_of(I32, 0, (3, 5)),
        1: stream_of(U8, MEMORY, (3, 5, 8), (8, 0, 1)),
        2: stream_of(I8, MEMORY + 64, (3, 5, 8), (0, 8, 1)),
        3: stream_of(I32, 0, (2,), space=Space.GLOBAL),
    }
    return program(Dot(0, 1, 2, 3, inner), {**streams, **changes})


def norm(changes: Streams, inner: int = 1) -> Program:
    """Rows [3, 8]."""
    streams = {
        0: stream_of(I32, 0, (3, 8)),
        1: stream_of(U8, MEMORY, (3, 8)),
        2: stream_of(U32, 0, (3,), space=Space.GLOBAL),
    }
    return program(Norm(0, 1, 2, inner, 1), {**streams, **changes})


def gather(changes: Streams, inner: int = 1) -> Program:
    """Four rows of a table [6, 8]."""
    streams = {
        0: stream_of(U8, 0, (4, 8)),
        1: stream_of(U8, MEMORY, (4,)),
        2: stream_of(U8, MEMORY + 64, (6, 8)),
    }
    return program(Gather(0, 1, 2, inner), {**streams, **changes})


def divide(changes: Streams) -> Program:
    """Elements [3, 8], each row by its own divisor."""
    streams = {
        0: stream_of(I32, 0, (3, 8)),
        1: stream_of(U8, MEMORY, (3, 8)),
        2: stream_of(I8, MEMORY + 64, (3, 8), (1, 0)),
        3: stream_of(I32, 0, (2,), space=Space.GLOBAL),
    }
    return program(Divide(0, 1, 2, 3), {**streams, **changes})


Maker = Callable[..., Program]
MAKERS: tuple[Maker, ...] = (dot, norm, gather)
ROW = 33_100
REFUSED = {
    "dot result": (dot, {0: stream_of(I32, 0, (3, 4))}, "dst has 12 elements; a has 15 before its"),
    "dot counts": (
        dot,
        {2: stream_of(I8, MEMORY, (5, 3, 8))},
        "a has the counts (1, 1, 1, 3, 5, 8), b (1, 1, 1, 5, 3, 8); they must be the same",
    ),
    "dot parameters": (
        dot,
        {3: stream_of(I32, 0, (3,), space=Space.GLOBAL)},
        "params has 3 elements; it must have 2",
    ),
    "dot elements": (
        dot,
        {1: stream_of(I32, MEMORY, (3, 5, 8))},
        "a has elements i32; allowed are u8, i8, u16, i16",
    ),
    "dot length": (
        dot,
        {
            0: stream_of(I32, 0, (1,)),
            1: stream_of(U8, MEMORY, (ROW,)),
            2: stream_of(U8, MEMORY + ROW, (ROW,)),
        },
        "the sum of 33100 products of u8 and u8 can overflow i32",
    ),
    "dot overlap": (dot, {0: stream_of(I32, MEMORY + 64, (3, 5))}, "b and dst overlap in part"),
    "dot products": (
        dot,
        {
            1: stream_of(U8, MEMORY, (1 << 15, 1 << 10, 1 << 10), (0, 0, 1)),
            2: stream_of(U8, MEMORY, (1 << 15, 1 << 10, 1 << 10), (0, 0, 1)),
        },
        "a has 34359738368 elements; at most 17179869184 are allowed",
    ),
    "norm result": (norm, {0: stream_of(I32, 0, (3,))}, "src has 24 elements, dst 3"),
    "norm length": (
        norm,
        {0: stream_of(I32, 0, (32769,)), 1: stream_of(U8, MEMORY, (32769,))},
        "a row has 32769 elements of u8; at most 32768 fit",
    ),
    "norm length in 16 bits": (
        norm,
        {0: stream_of(I32, 0, (1291,)), 1: stream_of(U16, MEMORY, (1291,))},
        "a row has 1291 elements of u16; at most 1290 fit",
    ),
    "divide result": (
        divide,
        {0: stream_of(U8, 0, (3, 8))},
        "dst has elements u8; allowed are i32",
    ),
    "divide counts": (divide, {2: stream_of(I8, MEMORY, (8,))}, "b has 8 elements, dst 24"),
    "divide elements": (
        divide,
        {1: stream_of(I32, MEMORY, (3, 8))},
        "a has elements i32; allowed are u8, i8, u16, i16",
    ),
    "divide parameters": (
        divide,
        {3: stream_of(I32, 0, (3,), space=Space.GLOBAL)},
        "params has 3 elements; it must have 2",
    ),
    "gather result": (
        gather,
        {0: stream_of(U8, 0, (4, 7))},
        "dst has 28 elements; 4 rows of 8 make 32",
    ),
    "gather types": (gather, {2: stream_of(I8, MEMORY, (6, 8))}, "table has elements i8, dst u8"),
    "gather indices": (
        gather,
        {1: stream_of(U16, MEMORY, (4,))},
        "src has elements u16; allowed are u8, i32",
    ),
}


@pytest.mark.parametrize("make", [*MAKERS, divide])
def test_a_sound_operation_is_valid(make: Callable[[Streams], Program]) -> None:
    validate(make({}))


@pytest.mark.parametrize("rule", REFUSED)
def test_a_broken_rule_is_reported(rule: str) -> None:
    make, changes, message = REFUSED[rule]
    with pytest.raises(ValidationError) as caught:
        validate(make(changes))
    assert message in str(caught.value)


@pytest.mark.parametrize("make", MAKERS)
def test_inner_counts_axes(make: Maker) -> None:
    with pytest.raises(ValidationError, match="inner is 7; a stream has 6 axes"):
        validate(make({}, inner=7))


def test_the_whole_table_must_be_there() -> None:
    made = gather({2: stream_of(U8, MEMORY // 4, (6, 8))})
    with pytest.raises(ValidationError, match="table reads 48 bytes of local memory that nothing"):
        validate(made)


def test_a_computed_table_in_global_memory_must_be_stored_in_order() -> None:
    """Rows of the input itself are there; those behind it nobody has written."""
    binding = gather({}).inputs[0]
    inside = stream_of(U8, binding.address, (6, 8), space=Space.GLOBAL)
    validate(gather({2: inside}))
    with pytest.raises(ValidationError, match="that nothing has written"):
        validate(gather({2: inside.moved(binding.size - 8)}))
