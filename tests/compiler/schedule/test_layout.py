"""Channels lie innermost, halos around the spatial axes."""

from __future__ import annotations

import numpy as np

from imcc.compiler.schedule.layout import Layout, plain_layout
from imcc.isa import ElementType


def test_plain_layout_has_the_strides_of_a_channels_last_array() -> None:
    layout = plain_layout(ElementType.U8, (1, 3, 4, 5))
    array = np.zeros((4, 5, 3), np.uint8)
    assert layout.strides == (0, array.strides[2], array.strides[0], array.strides[1])
    assert layout.size == array.nbytes
    assert layout.start == 0


def test_halo_moves_the_first_element_inwards() -> None:
    layout = Layout(ElementType.I32, (1, 2, 3, 4), (0, 0, 1, 2), (0, 0, 1, 0))
    array = np.zeros((5, 6, 2), np.int32)
    assert layout.size == array.nbytes
    assert layout.start == 1 * array.strides[0] + 2 * array.strides[1]
    assert layout.has_halo


def test_rank_two_is_a_plain_vector() -> None:
    layout = plain_layout(ElementType.U8, (1, 10))
    assert layout.strides == (0, 1)
    assert layout.size == 10
