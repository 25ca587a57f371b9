"""Concatenations of channels that are not made.

Each operand stays where its rows are made, its codes as those of the result, and who reads rows of
the result puts them together from all of the operands. So they move once, and not to where the
concatenation would be and from there on, and no core waits for rows of the longest way with those
of the shortest.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from ..ir.graph import Node, Value
from ..ir.ops.quantized import QConcat
from ..ir.ops.rows import Box
from ..mapping.tiled_graph import TiledGraph
from .leading import depths
from .parts import COLUMNS, full_box
from .row_joins import Piece, RowJoiner
from .row_ranges import Need

_CHANNELS = 1


def joins_channels(node: Node, axes: Sequence[int | None]) -> bool:
    """Whether a node concatenates channels of maps; `axes` are those of its operands' rows."""
    op = node.op
    if not isinstance(op, QConcat) or op.axis != _CHANNELS or len(node.operands) == 1:
        return False
    return not {None, _CHANNELS} & {*axes}


def as_in(node: Node, operand: Value, name: str) -> Node | None:
    """What gives an operand of a concatenation the codes of the result; None where it has them."""
    op = node.op
    assert isinstance(op, QConcat)
    alone = QConcat(op.axis, op.output)
    (type_,) = alone.infer([operand.type])
    return (
        None
        if operand.type == type_
        else Node(alone, (operand,), (Value(name, type_),), node.origin)
    )


class ChannelJoiner(RowJoiner):
    """Puts rows together where a concatenation is read."""

    def __init__(self, tiled: TiledGraph, phases: Mapping[str, int]) -> None:
        super().__init__(tiled, phases)
        self._joins: dict[str, tuple[tuple[Value, int], ...]] = {}  # operands, where they begin
        self._depths = dict(depths(tiled.graph))
        self._mapped = dict(tiled.cores)  # where the mapping has put what

    @abstractmethod
    def add(self, node: Node) -> None:
        """Take one node over."""

    def _is_join(self, node: Node) -> bool:
        return joins_channels(node, [self._axis(operand) for operand in node.operands])

    def _add_join(self, node: Node) -> None:
        """Note what a concatenation consists of."""
        pieces: list[tuple[Value, int]] = []
        edge = 0
        for operand in node.operands:
            for leaf, at in self._joins.get(operand.name, ((operand, 0),)):
                pieces.append((self._as_in(node, leaf, len(pieces)), edge + at))
            edge += operand.type.shape[_CHANNELS]
        axis = self._axis(node.operands[0])
        assert axis is not None
        self._joins[node.result.name] = tuple(pieces)
        self._waiting[node.result.name] = axis
        self._origins[node.result.name] = node.origin

    def _as_in(self, node: Node, operand: Value, index: int) -> Value:
        """An operand with the codes of the result, made where it is made."""
        made = as_in(node, operand, f"{node.result.name}[{index}]")
        if made is None:
            return operand
        name = made.result.name
        self._old_phases[name] = self._old_phases.get(operand.name, 0)
        self._depths[name] = self._depths.get(operand.name, 0)
        self._mapped[name] = self._mapped.get(operand.name, self._mapped[node.result.name])
        self.add(made)
        return made.result

    def _followed(self, value: Value) -> Value:
        """The value whose rows a reader of this one follows: of operands that with most before."""
        leaves = [leaf for leaf, _ in self._joins.get(value.name, ())]
        made = [leaf for leaf in leaves if leaf.name in self._parts and self._is_of_phase(leaf)]
        return max(made, key=lambda leaf: self._depths[leaf.name], default=value)

    def _here(self, value: Value) -> Value:
        if value.name not in self._joins:
            return super()._here(value)
        if self._is_of_phase(value):
            return value
        here = Value(f"{value.name}@{self._phase}", value.type)
        self._joins[here.name] = self._joins[value.name]
        self._waiting[here.name] = self._waiting[value.name]
        self._origins[here.name] = self._origins[value.name]
        return here

    def _complete(self, value: Value, core: int) -> Value:
        if value.name not in self._joins:
            return super()._complete(value, core)
        return self._some(value, {}, core)

    def _some(self, value: Value, need: Need, core: int) -> Value:
        if value.name not in self._joins:
            return super()._some(value, need, core)
        axes = self._join_axes(value, need)
        return self._join(value, axes, full_box(value, axes, need), core)

    def _join_axes(self, value: Value, need: Need) -> tuple[int, ...]:
        """Rows first, columns where any operand is made in strips, and channels last."""
        first = self._waiting[value.name]
        known = [self._parts.get(leaf.name) for leaf, _ in self._joins[value.name]]
        in_strips = any(parts is not None and parts.strips for parts in known)
        more = {*need, COLUMNS} if in_strips else {*need}
        return (first, *sorted(more - {first, _CHANNELS}), _CHANNELS)

    def _sources(
        self, value: Value, axes: tuple[int, ...], box: Box, core: int, origin: tuple[int, ...]
    ) -> list[Piece]:
        if value.name not in self._joins:
            return super()._sources(value, axes, box, core, origin)
        found: list[Piece] = []
        for leaf, first in self._joins[value.name]:
            here, channels = self._here(leaf), (0, leaf.type.shape[_CHANNELS])
            for piece in super()._sources(here, axes[:-1], box[:-1], core, origin[:-1]):
                source, taken, place = piece
                found.append((source, (*taken, channels), (*place, first)))
        return found
