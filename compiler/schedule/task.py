"""The schedule: which operation runs when, on which cores, with what memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imcc.isa import Target

from ..ir.graph import Graph, Node
from .layout import Layout


@dataclass(frozen=True)
class Buffer:
    """A tensor in the local memory of a core, alive from task `first` to task `last`.

    `fill` is the code that its halo holds.
    """

    core: int
    address: int
    layout: Layout
    fill: int
    first: int
    last: int


@dataclass(frozen=True)
class Scratch:
    """Working memory of one task on one core."""

    name: str
    core: int
    address: int
    size: int


@dataclass(frozen=True)
class Transfer:
    """A tensor that is sent from the core that made it to one that reads it."""

    value: str
    source: int
    target: int


@dataclass(frozen=True)
class Task:
    """A range of output rows of an operation: all of them, in bands of `band` rows.

    `core` holds the result; `cores` take part in making it. `transfers` come first.
    """

    node: Node
    core: int
    cores: tuple[int, ...]
    rows: int
    band: int
    transfers: tuple[Transfer, ...]
    scratch: tuple[Scratch, ...]

    def address(self, name: str, core: int) -> int:
        """Where working memory `name` lies on `core`."""
        for scratch in self.scratch:
            if (scratch.name, scratch.core) == (name, core):
                return scratch.address
        raise KeyError((name, core))


@dataclass(frozen=True)
class Schedule:
    """Tasks in an order that respects all dependencies; every core runs its part in this order.

    Because all cores follow one order, and a transfer stands in it once for both its ends,
    blocking sends and receives cannot wait for each other in a circle.
    """

    graph: Graph
    target: Target
    tasks: tuple[Task, ...]
    buffers: Mapping[tuple[str, int], Buffer]
    peak: Mapping[int, int]

    def buffer(self, value: str, core: int) -> Buffer:
        """Where `value` lies on `core`."""
        return self.buffers[value, core]

    def __str__(self) -> str:
        """One line a task: index, cores, band, transfers, operation."""
        lines = []
        for index, task in enumerate(self.tasks):
            cores = ",".join(str(core) for core in task.cores)
            moves = "".join(f" {t.value}:{t.source}->{t.target}" for t in task.transfers)
            lines.append(
                f"{index:4d} cores {cores} band {task.band}/{task.rows} "
                f"{task.node.op.name} {task.node.label}{moves}"
            )
        return "\n".join(lines)
