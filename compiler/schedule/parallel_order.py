"""An order for many cores: what can run side by side is not made to wait for one another.

A core runs its instructions in the order in which they stand. In the order of demand (`order`) a
layer is never further ahead than the next one needs, which leaves the groups that share its rows
idle. So all operations are played through, each as early as its operands and its unit allow, and
the order is that of their starts. How far ahead of the order of demand any of them may run is
bounded by `ahead` operations: the more, the more rows are alive.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from ..ir.graph import Graph
from ..ir.ops.rows import Rows
from .order import Step, early_source


@dataclass(frozen=True)
class Job:
    """How long an operation works, and on which units."""

    time: float
    units: tuple[Hashable, ...]


def parallel_order(
    graph: Graph,
    demand: Sequence[Step],
    parts: Container[str],
    jobs: Sequence[Job],
    ahead: int,
) -> tuple[Step, ...]:
    """The steps of `demand` in an order for cores that work side by side; `jobs` by node."""
    order = [step.node for step in demand if step.piece is None]
    starts = _Play(graph, order, jobs, ahead).starts()
    by_start = sorted(range(len(order)), key=lambda rank: (starts[rank], rank))
    return tuple(StepWriter(graph, demand, parts).steps(order[rank] for rank in by_start))


@dataclass
class _Play:
    """The operations, played through; ranks are positions in the order of demand."""

    graph: Graph
    order: Sequence[int]
    jobs: Sequence[Job]
    ahead: int
    _waits: list[int] = field(default_factory=list)
    _users: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    _ready: list[float] = field(default_factory=list)
    _heap: list[tuple[float, int]] = field(default_factory=list)

    def starts(self) -> list[float]:
        """When each operation starts, by rank."""
        self._prepare()
        count = len(self.order)
        starts, ends = [0.0] * count, [-1.0] * count
        free: dict[Hashable, float] = defaultdict(float)
        done, latest = 0, 0.0  # all ranks below have ended by then
        while self._heap:
            ready, rank = heappop(self._heap)
            job = self.jobs[self.order[rank]]
            starts[rank] = max(ready, *(free[unit] for unit in job.units))
            ends[rank] = starts[rank] + job.time
            free.update((unit, ends[rank]) for unit in job.units)
            for user in self._users[rank]:
                self._release(user, ends[rank])
            while done < count and ends[done] >= 0:
                latest = max(latest, ends[done])
                if done + self.ahead < count:
                    self._release(done + self.ahead, latest)
                done += 1
        return starts

    def _prepare(self) -> None:
        ranks = {node: rank for rank, node in enumerate(self.order)}
        made_of = sources(self.graph)
        self._ready = [0.0] * len(self.order)
        for rank, node in enumerate(self.order):
            needed = {ranks[source] for source in made_of[node]}
            self._waits.append(len(needed) + (rank >= self.ahead))
            for source in needed:
                self._users[source].append(rank)
            if not self._waits[rank]:
                heappush(self._heap, (0.0, rank))

    def _release(self, rank: int, time: float) -> None:
        self._ready[rank] = max(self._ready[rank], time)
        self._waits[rank] -= 1
        if not self._waits[rank]:
            heappush(self._heap, (self._ready[rank], rank))


def sources(graph: Graph) -> list[set[int]]:
    """The operations whose results each node reads, through rows that are put together."""
    makers: dict[str, set[int]] = {}
    found = []
    for index, node in enumerate(graph.nodes):
        read = set().union(*(makers.get(operand.name, set()) for operand in node.operands))
        found.append(read)
        made = read if isinstance(node.op, Rows) else {index}
        makers.update((value.name, made) for value in node.results)
    return found


class StepWriter:
    """Writes the steps of `demand` in another order.

    Rows are put together where they are made, or just before they are read.
    """

    def __init__(self, graph: Graph, demand: Sequence[Step], parts: Container[str]) -> None:
        self._graph = graph
        self._producers = {v.name: i for i, node in enumerate(graph.nodes) for v in node.results}
        self._early: dict[str, list[Step]] = defaultdict(list)
        self._late: dict[int, list[Step]] = defaultdict(list)
        for step in demand:
            if step.piece is None:
                continue
            source = early_source(graph, step, parts)
            if source is None:
                self._late[step.node].append(step)
            else:
                self._early[source].append(step)

    def steps(self, nodes: Iterator[int]) -> Iterator[Step]:
        """All steps, for operations in this order."""
        for index in nodes:
            node = self._graph.nodes[index]
            for operand in node.operands:
                yield from self._put_together(self._producers.get(operand.name))
            yield Step(index)
            for value in node.results:
                yield from self._early.get(value.name, ())

    def _put_together(self, index: int | None) -> Iterator[Step]:
        """Rows that an operation reads, and before them those that they begin with."""
        chain = []
        while index is not None and index in self._late:
            chain.append(self._late.pop(index))
            index = self._producers.get(self._graph.nodes[chain[-1][0].node].operands[0].name)
        for steps in reversed(chain):
            yield from steps
