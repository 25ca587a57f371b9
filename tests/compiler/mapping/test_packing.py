"""Pieces of products on cores: all fit, and no core has much more to do than others."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from imcc.compiler.mapping.packing import Pieces, packed
from imcc.isa import load_target
from imcc.isa.target import Target

_PIECES = st.lists(st.tuples(st.integers(1, 60), st.floats(0.0, 50.0)), min_size=1, max_size=30)


def chip(cores: int) -> Target:
    """`isaac` with so many cores in a row, of 96 arrays each."""
    target = load_target("isaac")
    return target.model_copy(
        update={"chip": target.chip.model_copy(update={"mesh_rows": 1, "mesh_cols": cores})}
    )


def pieces_of(numbers: list[tuple[int, float]]) -> Pieces:
    """A product of its own for each number of arrays and load."""
    names = tuple(f"p{index}" for index in range(len(numbers)))
    arrays, loads = zip(*numbers, strict=True)
    return Pieces(names, np.array(arrays), np.array(loads))


@given(_PIECES, st.integers(1, 12))
@settings(max_examples=100, deadline=None)
def test_no_core_holds_more_arrays_than_it_has(
    numbers: list[tuple[int, float]], cores: int
) -> None:
    pieces, target = pieces_of(numbers), chip(cores)
    packing = packed(pieces, target)
    if packing is None:
        # First fit decreasing leaves no bin half empty but one, if pieces do not fit.
        assert pieces.arrays.sum() > target.core.arrays * cores / 2
        return
    homes = np.array([packing.cores[name][0] for name in pieces.products])
    held = np.bincount(homes, pieces.arrays, cores)
    loads = np.bincount(homes, pieces.loads, cores)
    assert held.max() <= target.core.arrays
    assert np.isclose(packing.busiest, loads.max())


def test_pieces_change_places_until_cores_have_as_much_to_do() -> None:
    """By arrays alone the heavy pieces would lie together, as they are of one size."""
    numbers = [(48, 10.0), (48, 10.0), (48, 1.0), (48, 1.0)]
    packing = packed(pieces_of(numbers), chip(2))
    assert packing is not None
    assert packing.busiest == 11.0


def test_what_does_not_fit_is_not_packed() -> None:
    assert packed(pieces_of([(60, 0.0), (60, 0.0), (60, 0.0)]), chip(2)) is None
