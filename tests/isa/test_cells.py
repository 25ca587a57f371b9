from __future__ import annotations

import numpy as np
import pytest

from imcc.isa import EncodingError, pack_levels, packed_bytes, unpack_levels


@pytest.mark.parametrize("cell_bits", [1, 2, 4, 8])
@pytest.mark.parametrize("columns", [1, 3, 8, 31])
def test_unpack_inverts_pack(cell_bits: int, columns: int) -> None:
    levels = np.random.default_rng(columns).integers(0, 1 << cell_bits, (5, columns), np.uint8)
    packed = pack_levels(levels, cell_bits)
    assert packed.shape == (5, packed_bytes(columns, cell_bits))
    assert np.array_equal(unpack_levels(packed, columns, cell_bits), levels)


def test_the_first_level_is_in_the_lowest_bits() -> None:
    assert pack_levels(np.array([1, 2, 3, 0, 1], np.uint8), 2).tolist() == [0b00111001, 1]


def test_levels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(EncodingError, match=r"cell levels are in 0\.\.4; cells of 2 bits hold"):
        pack_levels(np.array([0, 4], np.uint8), 2)
