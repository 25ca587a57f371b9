"""Streams made from views visit the elements that NumPy's strides visit."""

from __future__ import annotations

from math import prod
from random import Random

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from imcc.compiler.backend.view import View, compact, stream, walkable
from imcc.isa import ElementType, Space

axes = st.lists(st.tuples(st.integers(1, 4), st.integers(-8, 8)), max_size=6)


def visited(walk: tuple[tuple[int, int], ...]) -> list[int]:
    offsets = np.zeros(1, np.int64)
    for count, stride in walk:
        offsets = (offsets[:, None] + np.arange(count) * stride).ravel()
    return [int(offset) for offset in offsets]


@given(axes)
@settings(max_examples=60, deadline=None)
def test_compact_keeps_the_walk(walk: list[tuple[int, int]]) -> None:
    assert visited(compact(walk)) == visited(tuple(walk))


@given(axes)
@settings(max_examples=60, deadline=None)
def test_stream_walks_its_axes(walk: list[tuple[int, int]]) -> None:
    made = stream(Space.LOCAL, ElementType.U8, 0, walk)
    assert visited(tuple(zip(made.counts, made.strides, strict=True))) == visited(tuple(walk))


def test_views_narrow_permute_and_broadcast_as_numpy_does() -> None:
    array = np.arange(24, dtype=np.uint8).reshape(1, 2, 3, 4)
    view = View(Space.LOCAL, ElementType.U8, 0, array.shape, array.strides)
    flat = array.ravel()

    def read(part: View) -> list[int]:
        walk = part.axes(range(len(part.shape)))
        return [int(flat[part.base + offset]) for offset in visited(walk)]

    assert read(view.narrow(3, 1, 2, 2)) == array[..., 1:4:2].ravel().tolist()
    assert read(view.permute((0, 3, 1, 2))) == array.transpose(0, 3, 1, 2).ravel().tolist()
    column = view.narrow(1, 1, 1)
    assert read(column.broadcast((1, 5, 3, 4))) == np.tile(array[:, 1], (5, 1, 1)).ravel().tolist()


@given(st.lists(st.integers(1, 3), min_size=1, max_size=9), st.randoms())
@settings(max_examples=40, deadline=None)
def test_walkable_parts_are_the_whole(extents: list[int], random: Random) -> None:
    """Any order of axes is walked; together the parts touch every element once."""
    shape = (1, *extents)
    array = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    view = View(Space.LOCAL, ElementType.U8, 0, shape, tuple(s // 2 for s in array.strides))
    order = random.sample(range(1, len(shape)), len(extents))
    found = [
        part.base + offset
        for (part,) in walkable(order, view)
        for offset in visited(part.axes(order))
    ]
    assert sorted(found) == list(range(array.size))
    assert all(part.stream(order) for (part,) in walkable(order, view))


@pytest.mark.parametrize("count", [(1 << 20) - 1, 1 << 20, 3 << 19, 1 << 22])
def test_long_axes_are_counted_along_two(count: int) -> None:
    """Field `count` of `dim` has 20 bits."""
    axes = compact([(count, 2)])
    assert prod(n for n, _ in axes) == count
    assert all(n < 1 << 20 for n, _ in axes)
    assert axes[-1][1] == 2
