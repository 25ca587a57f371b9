"""What an item waits for, directly or through others, against all pairs of items before it."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given, settings

from imcc.compiler.backend.ordering.hazards import Node, nodes
from imcc.compiler.backend.ordering.items import Item, Range

ranges = st.tuples(st.integers(0, 12), st.integers(1, 8)).map(lambda r: (r[0], r[0] + r[1]))
touched = st.lists(ranges, max_size=3).map(tuple)
items = st.builds(lambda reads, writes: Item(None, None, reads, writes), touched, touched)


def meet(some: tuple[Range, ...], others: tuple[Range, ...]) -> bool:
    return any(a < d and c < b for a, b in some for c, d in others)


def must_wait(item: Item, before: Item) -> bool:
    return meet(item.reads + item.writes, before.writes) or meet(item.writes, before.reads)


def waits(made: list[Node]) -> list[set[int]]:
    """For each node all items that it waits for, through whatever nodes."""
    found: list[set[int]] = []
    for node in made:
        behind: set[int] = set()
        for need in node.needs:
            item = made[need].item
            behind |= found[need] | (set() if item is None else {item})
        found.append(behind)
    return found


@given(st.lists(items, max_size=30))
@settings(max_examples=300, deadline=None)
def test_items_wait_for_all_that_they_must_and_for_no_others(wanted: list[Item]) -> None:
    made = nodes(wanted)
    expected: list[set[int]] = []
    for index, item in enumerate(wanted):
        direct = [i for i in range(index) if must_wait(item, wanted[i])]
        expected.append(set(direct).union(*(expected[i] for i in direct)))
    found = {node.item: behind for node, behind in zip(made, waits(made), strict=True)}
    assert [found[index] for index in range(len(wanted))] == expected


def test_many_readers_of_many_rows_have_few_needs() -> None:
    """100 rows are written, then read as a whole 100 times, then written again."""
    rows = [(8 * row, 8 * row + 8) for row in range(100)]
    write = [Item(None, None, (), (row,)) for row in rows]
    read = [Item(None, None, ((0, 800),), ())] * 100
    made = nodes([*write, *read, *write])
    assert sum(len(node.needs) for node in made) < 600
