"""Which tensors lie on which cores, from when to when, and with what border."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..ir.graph import Graph, Node, Value
from ..ir.ops.host import Host
from ..ir.ops.quant import Dequantize, Leave
from .layout import Layout
from .task import Transfer
from .window import Border, border_of, bordered, no_border


@dataclass(frozen=True)
class Site:
    """Where a node runs: `core` gets its result, `readers` read its operands."""

    core: int
    readers: tuple[int, ...]


@dataclass(frozen=True)
class Replica:
    """A tensor on one core, needed from task `first` to task `last`."""

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
    """All replicas by (value name, core), and the transfers before each task."""

    replicas: Mapping[tuple[str, int], Replica]
    transfers: Mapping[int, tuple[Transfer, ...]]


def settle(graph: Graph, sites: Mapping[int, Site]) -> Residence:
    """Work out replicas and transfers; `sites[i]` is where node i runs, in ascending order.

    Nodes that have no site are left out, with what they make.

    A tensor is sent to another core just before the first task there that reads it, and stays
    where it was made until the last reader or transfer.
    """
    homes: dict[str, int] = {}
    replicas: dict[tuple[str, int], Replica] = {}
    transfers: dict[int, tuple[Transfer, ...]] = {}
    for index, site in sites.items():
        node = graph.nodes[index]
        moves: list[Transfer] = []
        for position, operand in enumerate(node.operands):
            if operand.name not in homes:
                continue  # a constant or a graph input: it comes from global memory
            for core in site.readers:
                moves += _read(replicas, homes[operand.name], node, position, core, index)
        transfers[index] = tuple(moves)
        for value in _kept(node):
            homes[value.name] = site.core
            replicas[value.name, site.core] = Replica(
                value, site.core, index, index, no_border(value.type.rank)
            )
    return Residence(replicas, transfers)


def _kept(node: Node) -> list[Value]:
    """The results that stay in local memory: not those for outputs or for the host alone."""
    if isinstance(node.op, Dequantize | Leave):
        return []
    return [v for v in node.results if v.type.quant is not None or not isinstance(node.op, Host)]


def _read(
    replicas: dict[tuple[str, int], Replica],
    home: int,
    node: Node,
    position: int,
    core: int,
    index: int,
) -> list[Transfer]:
    """Note that task `index` reads an operand on `core`; yields the transfer it takes, if any."""
    value = node.operands[position]
    border = border_of(node, position)
    key = (value.name, core)
    present = replicas.get(key)
    if present is None:
        replicas[key] = Replica(value, core, index, index, border)
        replicas[value.name, home] = _extended(replicas[value.name, home], index)
        return [Transfer(value.name, home, core)]
    replicas[key] = _extended(present, index, border)
    return []


def _extended(replica: Replica, index: int, border: Border | None = None) -> Replica:
    """The replica, living at least until task `index`, with a border that serves one more reader.

    A reader whose halo must hold another code than the first one's gets a padded copy of its
    own (see `Request` "padded"), so its border does not count here.
    """
    held = replica.border
    if border is not None and (held.empty or border.empty or held.fill == border.fill):
        held = held.union(border)
    return Replica(replica.value, replica.core, replica.first, index, held)
