"""Quotients of codes against Python's exact fractions, in both forms of the machine."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from support.small_program import LocalInput, literal_result, small_program, stream_of, words

from imcc.isa import ElementType, Program, Space, validate
from imcc.isa.instructions import Divide
from imcc.runtime import Machine
from imcc.runtime.numerics import divide_codes

U8, I8, U16, I32 = ElementType.U8, ElementType.I8, ElementType.U16, ElementType.I32
DTYPES = {U8: np.uint8, I8: np.int8, U16: np.uint16}
LARGEST = 2**31 - 1


def by_hand(a: int, b: int, za: int, zb: int) -> int:
    """The definition, with exact fractions; `round` takes ties to even."""
    x, y = a - za, b - zb
    if y == 0:
        return 0 if x == 0 else (LARGEST if x > 0 else -LARGEST - 1)
    return min(max(round(Fraction(x * 65536, y)), -LARGEST - 1), LARGEST)


@pytest.mark.parametrize(("za", "zb"), [(0, 0), (255, 128), (3, 0), (-128, 127)])
def test_all_pairs_of_bytes(za: int, zb: int) -> None:
    a, b = (grid.ravel() for grid in np.meshgrid(np.arange(-128, 256, 3), np.arange(-128, 256, 3)))
    found = divide_codes(a, b, np.array([za, zb]))
    pairs = zip(a.tolist(), b.tolist(), strict=True)
    assert found.tolist() == [by_hand(x, y, za, zb) for x, y in pairs]


def test_ties_go_to_the_even_neighbour() -> None:
    """Odd multiples of 1/2 need a divisor of 2^17."""
    a = np.array([1, 3, 5, -1, -3, -5])
    assert divide_codes(a, np.full(6, 1 << 17), np.array([0, 0])).tolist() == [0, 2, 2, 0, -2, -2]


def test_quotients_beyond_int32_saturate() -> None:
    a = np.array([65535, -32768, 32767, -32769, 32768, 5, -5, 0])
    b = np.array([1, 1, 1, 1, 1, 0, 0, 0])
    top, bottom = LARGEST, -LARGEST - 1
    expected = [top, bottom, 32767 * 65536, bottom, top, top, bottom, 0]
    assert divide_codes(a, b, np.array([0, 0])).tolist() == expected


def program(kinds: tuple[ElementType, ElementType], count: int, za: int, zb: int) -> Program:
    """A program that divides the first `count` elements of its input by the others."""
    a, b = kinds
    source = 4 * count
    streams = {
        0: stream_of(I32, 0, (count,)),
        1: stream_of(a, source, (count,)),
        2: stream_of(b, source + count * a.size, (count,)),
        3: stream_of(I32, 0, (2,), space=Space.GLOBAL),
    }
    inputs = {"x": LocalInput(U8, count * (a.size + b.size), source)}
    return small_program([Divide(0, 1, 2, 3)], streams, inputs, words(za, zb))


@pytest.mark.parametrize("kinds", [(U8, U8), (I8, U8), (U8, I8), (U16, U8)])
@pytest.mark.parametrize(("za", "zb"), [(0, 0), (100, 17)])
def test_the_machine_in_both_forms(
    kinds: tuple[ElementType, ElementType], za: int, zb: int
) -> None:
    count, batch = 300, 5
    made = program(kinds, count, za, zb)
    validate(made)
    size = count * sum(kind.size for kind in kinds)
    x = np.random.default_rng(7).integers(0, 256, (batch, size)).astype(np.uint8)
    a, b = (
        np.ascontiguousarray(part).view(DTYPES[kind]).ravel().tolist()
        for part, kind in zip(np.split(x, [count * kinds[0].size], axis=1), kinds, strict=True)
    )
    found = Machine(made, chunk=2, threads=1).run({"x": x}, codes=True)["y"]
    expected = [by_hand(p, q, za, zb) for p, q in zip(a, b, strict=True)]
    assert found.ravel().tolist() == expected
    np.testing.assert_array_equal(literal_result(made, {"x": x}), found)
