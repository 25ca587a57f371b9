"""Products of two computed tensors against NumPy's matmul, in each float that holds the sums."""

from __future__ import annotations

import numpy as np
import pytest
from support.small_program import LocalInput, literal_result, small_program, stream_of, words

from imcc.isa import ElementType, Program, Space, StreamState, validate
from imcc.isa.instructions import Dot
from imcc.runtime import Machine

U8, I8, I16, I32 = ElementType.U8, ElementType.I8, ElementType.I16, ElementType.I32
HEADS, ROWS, COLUMNS = 3, 5, 4


def batched_product(
    length: int, by_column: bool, kinds: tuple[ElementType, ElementType]
) -> Program:
    """`a` [heads, rows, K] times `b` [heads, K, columns], or [heads, columns, K] `by_column`."""
    counts = (HEADS, ROWS, COLUMNS, length)
    a_size, b_size = HEADS * ROWS * length, HEADS * COLUMNS * length
    base = 4096 + a_size * kinds[0].size
    base += -base % 4
    steps = (length * COLUMNS, 0, length, 1) if by_column else (length * COLUMNS, 0, 1, COLUMNS)
    streams = {
        0: stream_of(I32, 0, (HEADS, ROWS, COLUMNS)),
        1: stream_of(kinds[0], 4096, counts, (ROWS * length, length, 0, 1)),
        2: stream_of(kinds[1], base, counts, steps),
        3: stream_of(I32, 0, (2,), space=Space.GLOBAL),
    }
    inputs = {"a": LocalInput(kinds[0], a_size, 4096), "b": LocalInput(kinds[1], b_size, base)}
    return small_program([Dot(0, 1, 2, 3, 1)], streams, inputs, words(7, -3))


@pytest.mark.parametrize("by_column", [False, True])
@pytest.mark.parametrize(
    ("length", "kinds"), [(40, (U8, I8)), (700, (U8, I8)), (60, (I16, I8)), (1, (U8, I8))]
)
def test_batched_matrix_product(
    length: int, by_column: bool, kinds: tuple[ElementType, ElementType]
) -> None:
    rng = np.random.default_rng(length)
    program = batched_product(length, by_column, kinds)
    validate(program)
    low, high = (-32768, 32768) if kinds[0] is I16 else (0, 256)
    a = rng.integers(low, high, (6, HEADS, ROWS, length))
    b = rng.integers(-128, 128, (6, HEADS, length, COLUMNS))
    a[0], b[0] = low, -128
    expected = (a - 7) @ (b + 3)
    laid_out = b.swapaxes(2, 3) if by_column else b
    inputs = {
        "a": a.reshape(6, -1).astype(np.int16 if kinds[0] is I16 else np.uint8),
        "b": np.ascontiguousarray(laid_out).reshape(6, -1).astype(np.int8),
    }
    found = Machine(program, chunk=4, threads=1).run(inputs, codes=True)["y"]
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)
    np.testing.assert_array_equal(literal_result(program, inputs), found)


def test_all_products_of_two_vectors_and_their_sum() -> None:
    """No inner axis makes an outer product; six of them one sum."""
    a, b = np.array([[1, 2, 250]], np.uint8), np.array([[3, 0, 9]], np.uint8)
    inputs = {"a": LocalInput(U8, 3, 64), "b": LocalInput(U8, 3, 128)}
    points = stream_of(I32, 0, (2,), space=Space.GLOBAL)

    def product(a: StreamState, b: StreamState, dst: StreamState, inner: int) -> np.ndarray:
        made = small_program(
            [Dot(0, 1, 2, 3, inner)], {0: dst, 1: a, 2: b, 3: points}, inputs, words(1, 2)
        )
        validate(made)
        return Machine(made).run({"a": one, "b": other}, codes=True)["y"]

    one, other = a, b
    outer = product(
        stream_of(U8, 64, (3, 3), (1, 0)), stream_of(U8, 128, (3, 3), (0, 1)),
        stream_of(I32, 0, (3, 3)), 0,
    )  # fmt: skip
    np.testing.assert_array_equal(
        outer.reshape(3, 3), np.outer(a[0].astype(int) - 1, b[0].astype(int) - 2)
    )
    total = product(stream_of(U8, 64, (3,)), stream_of(U8, 128, (3,)), stream_of(I32, 0, (1,)), 6)
    assert total.tolist() == [[0 * 1 + 1 * -2 + 249 * 7]]


def test_long_sequences_take_no_memory_for_products() -> None:
    """Scores of 768 positions in 4 heads: 150 million products."""
    heads, length, depth = 4, 768, 64
    size = heads * length * depth
    counts = (heads, length, length, depth)
    dst = stream_of(I32, 2 * size, (heads, length, length))
    streams = {
        0: dst,
        1: stream_of(U8, 0, counts, (length * depth, depth, 0, 1)),
        2: stream_of(U8, size, counts, (length * depth, 0, depth, 1)),
        3: stream_of(I32, 0, (2,), space=Space.GLOBAL),
    }
    inputs = {"a": LocalInput(U8, size, 0), "b": LocalInput(U8, size, size)}
    program = small_program([Dot(0, 1, 2, 3, 1)], streams, inputs, words(128, 128))
    validate(program)
    rng = np.random.default_rng(1)
    given = {name: rng.integers(0, 256, (1, size)).astype(np.uint8) for name in ("a", "b")}
    a, b = (given[n].reshape(heads, length, depth).astype(np.int64) - 128 for n in ("a", "b"))
    found = Machine(program).run(given, codes=True)["y"]
    np.testing.assert_array_equal(found.reshape(heads, length, length), a @ b.swapaxes(1, 2))
