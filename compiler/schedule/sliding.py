"""Tensors that take the place of others, because nobody needs those any more.

Rows that are put together often begin with the last rows of what was put together before on the
same core. Where nobody needs the earlier ones any more, the two share one buffer, from the first
to the last of such a chain: a window that moves down a buffer, where the next rows follow behind
those that are there. At the end of the buffer what is still needed moves back to its beginning.
The longer the buffer, the more rows can come before they are needed. An operation element by
element writes its result over an operand of the same layout.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ..ir.graph import Node
from ..ir.ops.partial_sums import AddSums
from ..ir.ops.quantized import QAdd, QMul, QUnary
from ..ir.ops.rows import Rows
from .layout import Layout
from .replica import Replica

Key = tuple[str, int]  # value, core

# Operators of one instruction, which may write over what it reads.
_ELEMENTWISE = (QAdd, QMul, QUnary, AddSums)


class Member(NamedTuple):
    """A replica in a chain: its bytes [begin, begin + size), if the buffer had no end."""

    key: Key
    begin: int
    size: int


@dataclass(frozen=True)
class Chain:
    """One buffer for several replicas, from step `first` to step `last`."""

    members: tuple[Member, ...]
    first: int
    last: int

    @property
    def key(self) -> Key:
        """The replica that the buffer is named after."""
        return self.members[0].key

    def size(self, part: float) -> int:
        """Bytes of the buffer: a part of what holds everything, but at least the largest member."""
        longest = max(member.begin + member.size for member in self.members)
        return max(int(part * longest), *(member.size for member in self.members))

    def offsets(self, size: int) -> Iterator[tuple[Key, int]]:
        """Where each member begins in a buffer of so many bytes."""
        origin = 0
        for member in self.members:
            if member.begin - origin + member.size > size:
                origin = member.begin
            yield member.key, member.begin - origin


def chains(
    nodes: Iterable[Node], cores: Mapping[str, int], replicas: Mapping[Key, Replica]
) -> tuple[Chain, ...]:
    """All buffers; most hold one replica. `cores` says where what has replicas is made.

    `nodes` are all that make what has replicas, in the order of their graph.
    """
    followers: dict[Key, tuple[Key, int]] = {}
    held: dict[str, list[int]] = defaultdict(list)
    for value, core in replicas:
        held[value].append(core)
    for node in nodes:
        if isinstance(node.op, Rows):
            pairs = [_continued(node, core, replicas) for core in held[node.result.name]]
        else:
            pairs = [_in_place(node, cores, replicas)]
        followers.update({pair[0]: pair[1:] for pair in pairs if pair})
    later = {key for key, _ in followers.values()}
    return tuple(_chain(key, followers, replicas) for key in replicas if key not in later)


def _chain(
    first: Key, followers: Mapping[Key, tuple[Key, int]], replicas: Mapping[Key, Replica]
) -> Chain:
    key, begin = first, 0
    members = [Member(key, begin, replicas[key].layout.size)]
    while key in followers:
        key, moved = followers[key]
        begin += moved
        members.append(Member(key, begin, replicas[key].layout.size))
    return Chain(tuple(members), replicas[first].first, replicas[key].last)


def _in_place(
    node: Node, cores: Mapping[str, int], replicas: Mapping[Key, Replica]
) -> tuple[Key, Key, int] | None:
    """An operand that is read for the last time, and the result that is written over it."""
    if not isinstance(node.op, _ELEMENTWISE):
        return None
    core = cores.get(node.result.name)
    new = replicas.get((node.result.name, core)) if core is not None else None
    if core is None or new is None:
        return None
    for operand in node.operands:
        old = replicas.get((operand.name, core))
        if old is not None and old.last == new.first and _same_walk(old.layout, new.layout):
            return (operand.name, core), (node.result.name, core), 0
    return None


def _same_walk(old: Layout, new: Layout) -> bool:
    """Whether the elements of two buffers lie at the same bytes, and there is nothing beside."""
    same = old.shape == new.shape and old.element.size == new.element.size
    return same and not old.has_halo and not new.has_halo


def _continued(
    node: Node, core: int, replicas: Mapping[Key, Replica]
) -> tuple[Key, Key, int] | None:
    """Rows before those put together on a core, these, and the bytes that lie between."""
    before, behind = (node.operands[0].name, core), (node.results[0].name, core)
    old, new = replicas.get(before), replicas.get(behind)
    if old is None or new is None or old.last != new.first or len(node.operands) == 1:
        return None
    assert isinstance(node.op, Rows)
    axis, start = node.op.axes[0], node.op.boxes[0][0][0]
    if any(node.op.places[0]) or not (old.border.fill == new.border.fill or old.border.empty):
        return None
    if not _same_frame(old.layout, new.layout, axis):
        return None
    return before, behind, (old.layout.before[axis] + start) * old.layout.strides[axis]


def _same_frame(old: Layout, new: Layout, axis: int) -> bool:
    """Whether two buffers differ in their rows alone, which do not begin further down."""

    def frame(layout: Layout) -> list[tuple[int, int, int]]:
        each = zip(layout.shape, layout.before, layout.after, strict=True)
        return [part for index, part in enumerate(each) if index != axis]

    return (
        old.element is new.element
        and frame(old) == frame(new)
        and not new.before[axis]
        and old.order[0] == axis
    )
