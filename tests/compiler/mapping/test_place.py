"""Packing rectangles in the arrays of a core."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from imcc.compiler.mapping.partition import Place
from imcc.compiler.mapping.place import CoreSpace

SHAPES = st.lists(st.tuples(st.integers(1, 16), st.integers(1, 16)), min_size=1, max_size=20)


def test_rectangles_of_one_matrix_go_on_different_arrays_while_there_are_some() -> None:
    placed = CoreSpace(2, 16, 16).place([(8, 8), (8, 8), (8, 8)])
    assert placed is not None
    assert placed[1] == (Place(0, 0, 0), Place(1, 0, 0), Place(0, 0, 8))


def test_another_matrix_fills_what_is_left_of_an_array() -> None:
    first = CoreSpace(2, 16, 16).place([(16, 8)])
    assert first is not None
    second = first[0].place([(8, 8)])
    assert second is not None
    assert second[1] == (Place(0, 0, 8),)


def test_what_does_not_fit_changes_nothing() -> None:
    space = CoreSpace(1, 16, 16)
    assert space.place([(17, 1)]) is None
    assert space.place([(1, 17)]) is None
    assert space.place([(16, 10), (16, 10)]) is None
    assert space.place([(16, 16)]) is not None


@given(matrices=st.lists(SHAPES, min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_cells_are_given_once_and_inside_the_arrays(matrices: list[list[tuple[int, int]]]) -> None:
    space = CoreSpace(4, 16, 16)
    taken = np.zeros((4, 16, 16), np.int32)
    for shapes in matrices:
        placed = space.place(shapes)
        if placed is None:
            continue
        space, places = placed
        for (height, width), place in zip(shapes, places, strict=True):
            assert place.row + height <= 16
            assert place.col + width <= 16
            rows = slice(place.row, place.row + height)
            taken[place.array, rows, place.col : place.col + width] += 1
    assert taken.max() <= 1
