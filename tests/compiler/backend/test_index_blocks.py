"""Lists of indices in regular blocks."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from imcc.compiler.backend.index_blocks import IndexBlock, index_blocks


def listed(block: IndexBlock) -> list[int]:
    return [
        block.first + i * block.outer_step + j * block.inner_step
        for i in range(block.outer)
        for j in range(block.inner)
    ]


@given(st.lists(st.integers(0, 9), max_size=40))
def test_blocks_are_the_list(indices: list[int]) -> None:
    assert [index for block in index_blocks(indices) for index in listed(block)] == indices


@pytest.mark.parametrize(
    ("indices", "count"),
    [
        ([*range(100)], 1),
        ([*range(99, -1, -1)], 1),
        ([7] * 5, 1),
        ([index // 2 for index in range(64)], 1),  # nearest upsampling
        ([*range(6)] * 4, 1),  # repetition
        ([0, 1, 1, 2, 2, 3, 3, 4], 1),  # windows that overlap
        ([2, 1, 0, 1, 2, 3, 4, 3, 2], 3),  # reflection at both ends
        ([], 0),
    ],
)
def test_regular_lists_are_few_blocks(indices: list[int], count: int) -> None:
    assert len(list(index_blocks(indices))) == count
