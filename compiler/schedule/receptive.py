"""Which parts of products the windows of later products are made of.

Windows are boxes along up to two axes of a result, so what a window is made of is followed along
each axis apart: for each index of a value the windows of every product before that reading all of
the value at this index needs. Everything here is a lower bound: of what is not known nothing is
said.

Where two ways lead from a product to a value, one needs the box ``R x C`` of its windows and the
other ``R' x C'``. Their union holds four boxes: both, ``(R | R') x (C & C')`` and
``(R & R') x (C | C')``. The one with most windows in all is kept. Where one way has all that the
other has, or both the same along one axis, this is the union itself.

A value is *even* if any of its elements at an index needs what is said of all at that index, as
all channels of a product do: one window makes them. Only of such values a part of the channels,
or of what has been reshaped, tells as much as the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..ir.graph import Graph, Node, Value
from ..ir.ops.indexing import Gather
from ..ir.ops.quantized import QConcat, QMatMul
from ..ir.ops.quantized_dot import QDot
from ..ir.ops.quantized_pooling import QGlobalAveragePool
from ..ir.ops.shape import Pad, Reshape, Slice
from ..mapping.choices import Floats, Ints
from ..mapping.dependence import Reach
from .row_ranges import RULES
from .window import product_of, window_of, windows_at_once

Bits = NDArray[np.uint8]
Axes = tuple[int | None, int | None]

_DIRECTIONS = (0, 1)


@dataclass(frozen=True, eq=False)
class _Made:
    """What a value is made of.

    ``sets[d]`` has for each index along ``axes[d]``, or once where that is None, windows of all
    products along direction d: a bit each, those of a product in bytes of its own. `even`: see
    the module.
    """

    axes: Axes
    sets: tuple[Bits, Bits]
    even: bool


@dataclass(frozen=True, eq=False)
class _Needs:
    """What indices of a result need of an operand: indices along `axis`, -1 for none.

    `axis` is None where each needs all.
    """

    axis: int | None
    indices: Ints


class _Columns:
    """Where the windows of each product stand in the sets along a direction."""

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts = np.array(counts)
        self.widths = -(-self.counts // 8)
        self.edges = np.concatenate([[0], self.widths.cumsum()])
        places = [np.arange(8 * w) >= n for w, n in zip(self.widths, counts, strict=True)]
        self._padding = np.concatenate(places)

    def none(self, indices: int) -> Bits:
        """Empty sets."""
        return np.zeros((indices, int(self.edges[-1])), np.uint8)

    def own(self, product: int, windows: Ints) -> Bits:
        """For each index the set of one window of a product."""
        found = self.none(len(windows))
        bits = windows[:, None] == np.arange(8 * self.widths[product])
        found[:, self.edges[product] : self.edges[product + 1]] = np.packbits(bits, axis=1)
        return found

    def sizes(self, sets: Bits) -> Ints:
        """How many windows of each product there are in each set."""
        counts = np.bitwise_count(sets)
        found: Ints = np.add.reduceat(counts, self.edges[:-1], axis=1, dtype=np.int64)
        return found

    def chosen(self, choice: Ints, candidates: Sequence[Bits]) -> Bits:
        """For each product the windows of one of several sets."""
        return np.choose(np.repeat(choice, self.widths), candidates)

    def least_part(self, sets: Bits) -> Floats:
        """The least part of the windows of each product that any set has."""
        found: Floats = self.sizes(sets).min(axis=0) / self.counts
        return found

    def least_use(self, sets: Bits) -> Floats:
        """For each product the least part of the sets that any window of it is in."""
        uses = np.unpackbits(sets, axis=1).sum(axis=0, dtype=np.int64)
        uses[self._padding] = len(sets)
        found: Floats = np.minimum.reduceat(uses, 8 * self.edges[:-1]) / len(sets)
        return found


def reach(graph: Graph, products: Sequence[str]) -> Reach:
    """The least parts of windows between products, which are named by their results, in order."""
    numbers = {name: number for number, name in enumerate(products)}
    nodes = [node for node in graph.nodes if node.results[0].name in numbers]
    counts = zip(*(_counts(node) for node in nodes), strict=True)
    receptive = _Receptive([_Columns(along) for along in counts])
    heads, tails = np.zeros((2, len(nodes), len(nodes)))
    for node in graph.nodes:
        number = numbers.get(node.results[0].name)
        if number is None:
            receptive.follow(node)
        else:
            heads[:, number], tails[:, number] = receptive.follow_product(node, number)
    return Reach(heads, tails)


class _Receptive:
    """What the values of a graph are made of, node by node."""

    def __init__(self, columns: Sequence[_Columns]) -> None:
        self._columns = columns
        self._made: dict[str, _Made] = {}

    def follow(self, node: Node) -> None:
        """Note what the result of a node is made of."""
        axes = self._axes(node)
        found = None if axes is None else self._joined(node, axes)
        if found is not None:
            self._made[node.result.name] = found

    def follow_product(self, node: Node, number: int) -> tuple[Floats, Floats]:
        """Note what a product is made of: the least parts of those before, and of itself."""
        axes, at_once = _product_axes(node), _at_once(node)
        found = self._joined(node, axes) if _is_followed(node) else None
        parts = uses = np.zeros(len(self._columns[0].counts))
        extents = [_extent(node.result, axis) for axis in axes]
        windows = [np.arange(n) // several for n, several in zip(extents, at_once, strict=True)]
        own = [c.own(number, w) for c, w in zip(self._columns, windows, strict=True)]
        if found is not None:
            sets = [
                np.bitwise_or.reduceat(s, np.arange(0, len(s), several))
                for s, several in zip(found.sets, at_once, strict=True)
            ]
            ways = list(zip(self._columns, sets, strict=True))
            parts = np.prod([c.least_part(s) for c, s in ways], axis=0)
            uses = np.prod([c.least_use(s) for c, s in ways], axis=0)
            own = [o | s[w] for o, s, w in zip(own, sets, windows, strict=True)]
        self._made[node.result.name] = _Made(axes, (own[0], own[1]), _is_followed(node))
        return parts, uses

    def _axes(self, node: Node) -> Axes | None:
        """The axes along which a result is followed; None where nothing is known of it."""
        kind = type(product_of(node.op))
        if len(node.results) > 1:
            return None
        if kind is QGlobalAveragePool:
            return None, None
        if kind not in RULES or not _is_followed(node):
            return None
        if kind is QMatMul or window_of(node) is not None:
            return _product_axes(node)
        if kind is QDot:
            return node.result.type.rank - 2, None
        first, second = (self._axis(node, direction) for direction in _DIRECTIONS)
        return first, second

    def _axis(self, node: Node, direction: int) -> int | None:
        rule = RULES[type(node.op)]
        known = [self._made.get(value.name) for value in node.operands]
        axis = rule.axis(node, [None if made is None else made.axes[direction] for made in known])
        return None if axis is None or rule.grain(node, axis) > 1 else axis

    def _joined(self, node: Node, axes: Axes) -> _Made | None:
        """What a node reads, along the axes of its result."""
        found: _Made | None = None
        for position, operand in enumerate(node.operands):
            made = self._made.get(operand.name)
            read = None if made is None else _read(node, position, made, axes)
            if read is not None:
                found = read if found is None else self._union(found, read)
        return found

    def _union(self, a: _Made, b: _Made) -> _Made:
        """For each product the largest box that is in one way or in both together."""
        pairs = list(zip(a.sets, b.sets, strict=True))
        (r, r2), (c, c2) = pairs
        boxes = ((r, c), (r2, c2), (r | r2, c & c2), (r & r2, c | c2))
        sizes = [
            np.prod(
                [k.sizes(s).sum(axis=0) for k, s in zip(self._columns, box, strict=True)], axis=0
            )
            for box in boxes
        ]
        choice = np.argmax(sizes, axis=0)
        first, second = (
            k.chosen(choice, sets)
            for k, sets in zip(self._columns, zip(*boxes, strict=True), strict=True)
        )
        return _Made(a.axes, (first, second), a.even and b.even)


def _product_axes(node: Node) -> Axes:
    """The axes of windows, or of the input vectors of a matrix product."""
    rank, of_vectors = node.result.type.rank, isinstance(product_of(node.op), QMatMul)
    axes = range(1, rank - 1) if of_vectors else range(2, rank)
    first, second, *_ = (*axes, None, None)
    return first, second


def _is_followed(node: Node) -> bool:
    """Whether windows lie along no more axes than two."""
    rank = node.result.type.rank
    if isinstance(product_of(node.op), QMatMul):
        return rank <= 4
    return window_of(node) is None or rank <= 4


def _at_once(node: Node) -> tuple[int, int]:
    """How many windows are computed at a time along each axis."""
    several = windows_at_once(node) if window_of(node) is not None else ()
    first, second, *_ = (*several, 1, 1)
    return first, second


def _counts(node: Node) -> tuple[int, int]:
    """Windows of a product along each of its axes; parallel ones count once."""
    first, second = (
        -(-_extent(node.result, axis) // several)
        for axis, several in zip(_product_axes(node), _at_once(node), strict=True)
    )
    return first, second


def _extent(value: Value, axis: int | None) -> int:
    return 1 if axis is None else value.type.shape[axis]


def _read(node: Node, position: int, made: _Made, axes: Axes) -> _Made | None:
    """What a node needs through one of its operands; None where that is not known."""
    needs = [_needs(node, position, axis) for axis in axes]
    left = _left_out(node) if position == 0 else set()
    left -= {need.axis for need in needs}
    for direction, need in enumerate(needs):
        if need.axis not in (None, made.axes[direction]):
            if not _is_whole(node, position, need):
                left.add(need.axis)
            needs[direction] = _ALL
    if left and (not made.even or left & set(made.axes)):
        return None
    first, second = (
        _gathered(sets, need, _extent(node.result, axis))
        for sets, need, axis in zip(made.sets, needs, axes, strict=True)
    )
    spread = any(
        len(sets) > 1 and (need.axis is None or _is_regrouped(node, need))
        for sets, need in zip(made.sets, needs, strict=True)
    )
    even = made.even and not spread and not isinstance(node.op, QConcat | QDot)
    return _Made(axes, (first, second), even)


def _is_regrouped(node: Node, needs: _Needs) -> bool:
    """Whether an index has elements of several of the operand's, each of one."""
    return isinstance(node.op, Reshape) and needs.indices.shape[1] > 1


def _left_out(node: Node) -> set[int | None]:
    """Axes along which an operator may take a part of its first operand only."""
    op = node.op
    match op:
        case Slice():
            taken = zip(op.starts, op.ends, op.steps, strict=True)
            whole = ((0, extent, 1) for extent in node.operands[0].type.shape)
            return {i for i, (a, b) in enumerate(zip(taken, whole, strict=True)) if a != b}
        case Pad():
            ends = zip(op.pads_begin, op.pads_end, strict=True)
            return {axis for axis, pads in enumerate(ends) if min(pads) < 0}
        case Gather():
            return {op.axis}
    return set()


def _needs(node: Node, position: int, axis: int | None) -> _Needs:
    """What indices of a result along an axis need of an operand.

    But for windows, an index needs a run that is as long for each and moves on by as much.
    """
    if axis is None:
        return _ALL
    if window_of(node) is not None:
        return _window_needs(node, axis) if position == 0 else _ALL
    extent = node.result.type.shape[axis]
    part = RULES[type(product_of(node.op))].part
    first, second = (
        part(node, axis, (at, at + 1)).needs[position] for at in (0, min(1, extent - 1))
    )
    if not first:
        return _ALL
    ((own, (start, stop)),) = first.items()
    steps = (second[own][0] - start) * np.arange(extent)
    return _Needs(own, steps[:, None] + np.arange(start, stop))


def _window_needs(node: Node, axis: int) -> _Needs:
    window, spatial = window_of(node), axis - 2
    assert window is not None
    begins = np.arange(node.result.type.shape[axis]) * window.strides[spatial]
    taps = np.arange(window.kernel[spatial]) * window.dilations[spatial]
    indices = begins[:, None] + taps - window.before[spatial]
    inside = (indices >= 0) & (indices < node.operands[0].type.shape[axis])
    return _Needs(axis, np.where(inside, indices, -1))


def _is_whole(node: Node, position: int, needs: _Needs) -> bool:
    """Whether each index needs all along the axis."""
    assert needs.axis is not None
    extent = node.operands[position].type.shape[needs.axis]
    return all(len(set(row) - {-1}) == extent for row in needs.indices.tolist())


def _gathered(sets: Bits, needs: _Needs, extent: int) -> Bits:
    """The union of the sets that each index of a result needs."""
    if needs.axis is None:
        united = np.bitwise_or.reduce(sets, axis=0, keepdims=True)
        return np.repeat(united, extent, axis=0)
    padded = np.vstack([sets, np.zeros_like(sets[:1])])
    found = padded[needs.indices[:, 0]]
    for indices in needs.indices.T[1:]:
        found |= padded[indices]
    return found


_ALL = _Needs(None, np.empty((0, 0), np.int64))
