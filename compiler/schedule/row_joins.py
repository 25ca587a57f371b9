"""Putting together what the operations of a graph that is cut in rows read.

Rows of other cores come over the network, straight to where a window needs them, and rows that the
window before had on the same core are copied from there. What an earlier phase has made is stored
in global memory part by part, and its rows are loaded where they are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..ir.builder import GraphBuilder
from ..ir.graph import Value
from ..ir.ops.rows import Box, Rows, Span
from ..ir.ops.spill import Spill
from ..mapping.tiled_graph import TiledGraph
from .parts import Parts, full_box, shifted, starts
from .row_ranges import Need
from .streamed import Block

Piece = tuple[Value, Box, tuple[int, ...]]  # of a value a box, and where it goes


class RowJoiner:
    """The new graph while it is built, and where the parts of old values are."""

    def __init__(self, tiled: TiledGraph, phases: Mapping[str, int]) -> None:
        self.cores: dict[str, int] = {}
        self.blocks: dict[str, Block] = {}
        self.phases: dict[str, int] = {}
        self._old_phases = dict(phases)
        self._phase = 0  # of the node that is added
        self._tiled = tiled
        self._old = tiled.graph
        self._builder = GraphBuilder(tiled.graph.name)
        self._whole = {
            value.name: self._builder.input(value.name, value.type) for value in tiled.graph.inputs
        }
        self._parts: dict[str, Parts] = {}
        self._global: set[str] = set()  # values in global memory: the host's, and what waits
        self._waiting: dict[str, int] = {}  # values in global memory: the axis of their rows
        self._spilled: dict[str, Value] = {}
        self._origins: dict[str, tuple[str, ...]] = {}
        self._assembled: dict[tuple[str, tuple[int, ...], int, Box], Value] = {}
        self._last: dict[tuple[str, tuple[int, ...], int, Box], tuple[Span, Value]] = {}

    def _axis(self, value: Value) -> int | None:
        parts = self._parts.get(value.name)
        return parts.axes[0] if parts else self._waiting.get(value.name)

    def _is_of_phase(self, value: Value) -> bool:
        """Whether a value is made in the phase of the node that is added."""
        return self._old_phases.get(value.name, 0) == self._phase

    def _here(self, value: Value) -> Value:
        """A value for this phase: what an earlier one has made in parts waits in global memory."""
        parts = self._parts.get(value.name)
        if self._is_of_phase(value) or (parts is None and value.name not in self._global):
            return value
        here = Value(f"{value.name}@{self._phase}", value.type)
        if here.name not in self._global:
            self._global.add(here.name)
            self._origins[here.name] = self._origins[value.name]
            self._whole[here.name] = self._spill(value, parts) if parts else self._plain(value)
            if parts:
                self._waiting[here.name] = parts.axes[0]
        return here

    def _spill(self, value: Value, parts: Parts) -> Value:
        """A value in global memory, where its parts are stored in the phase that makes them."""
        if value.name not in self._spilled:
            core, phase = self.cores[parts.values[0].name], self._old_phases.get(value.name, 0)
            box, origin = parts.box(value, {}), self._origins[value.name]
            pieces = self._sources(value, parts.axes, box, core, starts(box))
            stored = self._put_together(f"{value.name}@stored", parts.axes, pieces, origin)
            spilled = self._builder.add(Spill(), [stored], f"{value.name}@global", origin)
            for made in (stored, spilled):
                self.cores[made.name], self.phases[made.name] = core, phase
            self._spilled[value.name] = spilled
        return self._spilled[value.name]

    def _place(self, value: Value, core: int) -> Value:
        """Note where and when a value is made."""
        self.cores[value.name], self.phases[value.name] = core, self._phase
        return value

    def _along(self, value: Value, axes: Iterable[int]) -> Parts | None:
        """The parts of a value, if a box along these axes can be put together from them."""
        parts = self._parts.get(value.name)
        return None if parts is None else parts.with_axes(value, axes)

    def _complete(self, value: Value, core: int) -> Value:
        """A value as a whole, on a core."""
        parts = self._parts.get(value.name)
        if parts is not None:
            return self._join(value, parts.axes, parts.box(value, {}), core)
        if value.name in self._global:
            axes = (_first_axis(value),)
            return self._join(value, axes, full_box(value, axes, {}), core)
        return self._plain(value)

    def _some(self, value: Value, need: Need, core: int) -> Value:
        """A part of a value, on a core."""
        if self._old.constant(value) is not None:
            return self._constant_part(value, need)
        parts = self._along(value, need)
        if parts is not None:
            wanted = parts.box(value, need)
            part = parts.part(wanted)
            if part is not None and self.cores[part.name] == core:
                return part
            return self._join(value, parts.axes, wanted, core)
        axes = tuple(sorted(need))
        box = full_box(value, axes, need)
        if box == full_box(value, axes, {}):
            return self._complete(value, core)
        return self._join(value, axes, box, core)

    def _constant_part(self, value: Value, need: Need) -> Value:
        if not need:
            return self._plain(value)
        name = "@".join([value.name, *(f"{axis}:{a}:{b}" for axis, (a, b) in need.items())])
        if name not in self._whole:
            rank = value.type.rank
            index = tuple(slice(*need.get(axis, (None,))) for axis in range(rank))
            part = self._old.constants[value.name][index]
            self._whole[name] = self._builder.constant(part, name, value.type.quant)
        return self._whole[name]

    def _join(self, value: Value, axes: tuple[int, ...], box: Box, core: int) -> Value:
        """What lies in several parts, or is some of a part, in one run of memory on a core."""
        key = (value.name, axes, core, box)
        if key not in self._assembled:
            joined = self._assemble(value, axes, box, core)
            self._assembled[key] = joined
            self._last[value.name, axes, core, box[1:]] = (box[0], joined)
        return self._assembled[key]

    def _assemble(self, value: Value, axes: tuple[int, ...], box: Box, core: int) -> Value:
        """Rows that the same columns had before on this core come first, and slide up."""
        (start, stop), columns = box[0], box[1:]
        pieces: list[Piece] = []
        before = self._last.get((value.name, axes, core, columns))
        if before is not None and before[0][0] <= start < before[0][1]:
            (first, behind), held = before
            kept = ((start, min(behind, stop)), *columns)
            pieces.append((held, shifted(kept, (first, *starts(columns))), (0,) * len(axes)))
            start = kept[0][1]
        if start < stop:
            pieces += self._sources(value, axes, ((start, stop), *columns), core, starts(box))
        spans = ",".join(f"{a}..{b}" for a, b in box)
        name, origin = f"{value.name}@{spans}", self._origins.get(value.name, ())
        return self._place(self._put_together(name, axes, pieces, origin), core)

    def _put_together(
        self, name: str, axes: tuple[int, ...], pieces: Sequence[Piece], origin: tuple[str, ...]
    ) -> Value:
        values, boxes, places = zip(*pieces, strict=True)
        return self._builder.add(Rows(axes, boxes, places), values, name, origin)

    def _sources(
        self, value: Value, axes: tuple[int, ...], box: Box, core: int, origin: tuple[int, ...]
    ) -> list[Piece]:
        """Where a box is made, parts along these axes or the whole value, and where it goes."""
        if value.name not in self._parts:
            return [(self._plain(value), box, starts(shifted(box, origin)))]
        parts = self._along(value, axes)
        if parts is None or parts.axes != axes:
            return [(self._complete(value, core), box, starts(shifted(box, origin)))]
        return [
            (part, shifted(meant, starts(held)), starts(shifted(meant, origin)))
            for part, held, meant in parts.over(box)
        ]

    def _plain(self, value: Value) -> Value:
        """The value of the same name; constants come when they are first read."""
        if value.name not in self._whole:
            array = self._old.constants[value.name]
            self._whole[value.name] = self._builder.constant(array, value.name, value.type.quant)
        return self._whole[value.name]


def _first_axis(value: Value) -> int:
    """Rows of a map are those of its first spatial axis, else those of axis 1."""
    return min(2, value.type.rank - 1)
