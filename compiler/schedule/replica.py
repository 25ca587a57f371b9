"""Which tensors lie on which cores, from when to when, and with what border."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..ir.graph import Graph, Node, Value
from ..ir.ops.host import Host
from ..ir.ops.quant import Dequantize, Enter, Leave, Quantize
from ..ir.ops.rows import Rows
from ..ir.ops.spill import Spill
from .layout import Layout
from .order import Step, is_stored
from .task import Transfer
from .window import Border, border_of, bordered, no_border


@dataclass(frozen=True)
class Site:
    """Where a node runs: `core` gets its result, `readers` read its operands."""

    core: int
    readers: tuple[int, ...]

    @property
    def in_order(self) -> tuple[int, ...]:
        """The readers, `core` first if it is one."""
        return tuple(sorted(self.readers, key=lambda reader: reader != self.core))


class Replica(NamedTuple):
    """A tensor on one core, needed from step `first` to step `last`."""

    value: Value
    core: int
    first: int
    last: int
    border: Border

    @property
    def layout(self) -> Layout:
        """Its memory layout, halo included."""
        return bordered(self.value.type, self.border)


@dataclass(frozen=True)
class Residence:
    """All replicas by (value name, core), and of each step its transfers and its core."""

    replicas: Mapping[tuple[str, int], Replica]
    transfers: Sequence[tuple[Transfer, ...]]
    cores: Sequence[int]


def settle(
    graph: Graph, steps: Sequence[Step], sites: Mapping[int, Site], *, hands_on: bool = False
) -> Residence:
    """Work out replicas and transfers; `sites` says where the nodes of the steps run.

    Nodes that have no step are left out, with what they make.

    A tensor is sent to another core just before the first step there that reads it, and stays
    where it was made until the last reader or transfer. Rows that are put together are sent
    straight to where they belong, or with `hands_on` from one of several cores that read them to
    the next.
    """
    settler = _Settler(graph, hands_on)
    for index, step in enumerate(steps):
        settler.add(index, graph.nodes[step.node], step.piece, sites[step.node])
    return Residence(settler.replicas, settler.transfers, settler.cores)


def handed_around(home: int, cores: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Who sends to whom what all cores are to have: those that have it hand it on.

    In each round as many get it as have it, so n cores have it after log2(n + 1) rounds.
    """
    holders = (home, *cores)
    for number in range(1, len(holders)):
        yield holders[number - (1 << (number.bit_length() - 1))], holders[number]


def sent_to(home: int, cores: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Who sends to whom if one sends to all."""
    yield from ((home, core) for core in cores)


def passed_on(home: int, cores: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Who sends to whom what all cores are to have, if who made it has much to send.

    It sends once. Of the others each hands on to two.
    """
    for number, core in enumerate(cores):
        yield cores[(number - 1) // 2] if number else home, core


@dataclass
class _Settler:
    """Replicas so far, and on which core each value was made."""

    graph: Graph
    hands_on: bool
    replicas: dict[tuple[str, int], Replica] = field(default_factory=dict)
    transfers: list[tuple[Transfer, ...]] = field(default_factory=list)
    cores: list[int] = field(default_factory=list)
    homes: dict[str, int] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)

    def add(self, index: int, node: Node, piece: int | None, site: Site) -> None:
        """Note what a step reads and makes."""
        if isinstance(node.op, Rows):
            assert piece is not None
            moves = [*self._put(index, node, piece, site)]
        else:
            moves = [
                move
                for position in range(len(node.operands))
                for move in self._read(index, node, position, site.readers)
            ]
        self.transfers.append(tuple(moves))
        self.cores.append(self._core(node, piece, site.core))
        if node.results[0].name not in self.begun:
            self.begun.add(node.results[0].name)
            self._make(index, node, site)

    def _core(self, node: Node, piece: int | None, core: int) -> int:
        """Rows that are stored are stored from where they are."""
        if piece is None or not is_stored(self.graph, node):
            return core
        return self.homes.get(node.operands[piece].name, core)

    def _make(self, index: int, node: Node, site: Site) -> None:
        cores = site.readers if isinstance(node.op, Rows) else (site.core,)
        for value in _kept(self.graph, node):
            self.homes[value.name] = cores[0]
            border = no_border(value.type.rank)
            for core in cores:
                self.replicas[value.name, core] = Replica(value, core, index, index, border)

    def _put(self, index: int, node: Node, piece: int, site: Site) -> Iterator[Transfer]:
        """Rows from where they lie to where they are put together, and from there on."""
        value, result = node.operands[piece].name, node.results[0].name
        new = []
        for core in site.in_order:
            if (result, core) in self.replicas:
                self._extend((result, core), index)
            if (value, core) in self.replicas:
                self._extend((value, core), index)
            else:
                new.append(core)
        home = self.homes.get(value)
        if home is None:
            return  # they come from global memory
        if new:
            self._extend((value, home), index)
        if is_stored(self.graph, node):
            return
        for source, target in passed_on(home, new) if self.hands_on else sent_to(home, new):
            yield Transfer(value if source == home else result, source, target)

    def _read(
        self, index: int, node: Node, position: int, cores: Sequence[int]
    ) -> Iterator[Transfer]:
        """Note that a step reads an operand on some cores; yields the transfers it takes."""
        value = node.operands[position]
        if value.name not in self.homes:
            return  # a constant or a graph input: it comes from global memory
        border, home = border_of(node, position), self.homes[value.name]
        new = [core for core in cores if (value.name, core) not in self.replicas]
        for core in cores:
            if core not in new:
                self._extend((value.name, core), index, border)
        for core in new:
            self.replicas[value.name, core] = Replica(value, core, index, index, border)
        if new:
            self._extend((value.name, home), index)
        for source, target in handed_around(home, new):
            yield Transfer(value.name, source, target)

    def _extend(self, key: tuple[str, int], index: int, border: Border | None = None) -> None:
        """Keep a replica until a step, with a border that serves one more reader.

        A reader whose halo must hold another code than the first one's gets a padded copy of its
        own (see `Request` "padded"), so its border does not count here.
        """
        replica = self.replicas[key]
        held = replica.border
        if border is not None and border is not held and _serves_both(held, border):
            held = held.union(border)
        self.replicas[key] = Replica(replica.value, replica.core, replica.first, index, held)


def _serves_both(held: Border, other: Border) -> bool:
    """Whether one halo can hold the codes of two."""
    return held.empty or other.empty or held.fill == other.fill


def _kept(graph: Graph, node: Node) -> list[Value]:
    """The results that stay in local memory: not those for outputs, for the host alone, or spilled.

    Codes that the host has put in global memory, and of which only rows are read, stay there.
    """
    if isinstance(node.op, Dequantize | Leave | Spill) or is_stored(graph, node):
        return []
    if isinstance(node.op, Quantize | Enter):
        users = graph.users(node.result)
        if users and all(isinstance(user.op, Rows) for user in users):
            return []
    return [v for v in node.results if v.type.quant is not None or not isinstance(node.op, Host)]
