"""Streams: equal walks are one object, wherever they come from."""

from __future__ import annotations

import copy
import pickle

from imcc.isa import ElementType, Space, StreamState

ROWS = StreamState(Space.LOCAL, ElementType.I32, 64, (1, 1, 1, 1, 3, 8), (0, 0, 0, 0, -128, 4))


def test_extent_counts_strides_of_both_signs() -> None:
    """Two rows before the base, and seven words and the last one's bytes behind it."""
    assert ROWS.count == 24
    assert ROWS.extent == (64 - 2 * 128, 64 + 7 * 4 + 4)
    assert ROWS.moved(16).extent == (80 - 2 * 128, 80 + 7 * 4 + 4)


def test_equal_walks_are_one_object() -> None:
    again = StreamState(Space.LOCAL, ElementType.I32, 64, ROWS.counts, ROWS.strides)
    assert again == ROWS
    assert again.walk is ROWS.walk
    assert ROWS.moved(4) != ROWS
    assert ROWS.moved(4).walk is ROWS.walk
    assert ROWS.along(ROWS.counts, (0,) * 6).walk is not ROWS.walk


def test_copies_and_pickles_have_the_same_walk() -> None:
    for other in (pickle.loads(pickle.dumps(ROWS)), copy.deepcopy(ROWS)):
        assert other == ROWS
        assert other.walk is ROWS.walk
