"""The schedule: which operation runs when, on which cores, with what memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from imcc.isa import Target

from ..ir.graph import Graph, Node
from .layout import Layout
from .streamed import Block, whole_of


@dataclass(frozen=True)
class Buffer:
    """A tensor in the local memory of a core, alive from task `first` to task `last`.

    `fill` is the code that its halo holds. Of `size` bytes a tensor takes those of its layout; the
    rest is for those that follow in its place. One that `slides` is such a follower: its first
    rows move up from the rows before them, and the halo at their sides is there already.
    """

    core: int
    address: int
    layout: Layout
    fill: int
    first: int
    last: int
    size: int
    slides: bool = False


class Scratch(NamedTuple):
    """Working memory of one task on one core; `content` names constant data that stays there."""

    name: str
    core: int
    address: int
    size: int
    content: str = ""


class Transfer(NamedTuple):
    """A tensor that is sent from a core that has it to one that reads it.

    Of `Rows` it is an operand, or the result if a core hands rows on from where they are put.
    """

    value: str
    source: int
    target: int


@dataclass(frozen=True)
class Task:
    """An operation, with all rows of its result in bands of `band` rows.

    Bands of one row may have `columns` windows only; 0 stands for whole rows.
    `core` holds the result; `cores` take part in making it. `transfers` come first. Of `Rows` a
    task puts only operand `piece` where it belongs; the first of these tasks `begins`.

    All tasks of a phase come before those of the next. `stage` says which weights are on the
    arrays.
    """

    node: Node
    core: int
    cores: tuple[int, ...]
    rows: int
    band: int
    transfers: tuple[Transfer, ...]
    scratch: tuple[Scratch, ...]
    piece: int | None = None
    begins: bool = True
    columns: int = 0
    phase: int = 0
    stage: int = 0

    def address(self, name: str, core: int) -> int:
        """Where working memory `name` lies on `core`."""
        return self.place(name, core).address

    def place(self, name: str, core: int) -> Scratch:
        """Working memory `name` on `core`."""
        return self._places[name, core]

    @cached_property
    def _places(self) -> dict[tuple[str, int], Scratch]:
        return {(scratch.name, scratch.core): scratch for scratch in self.scratch}


@dataclass(frozen=True)
class Schedule:
    """Tasks in an order that respects all dependencies; every core runs its part in this order.

    Because all cores follow one order, and a transfer stands in it once for both its ends,
    blocking sends and receives cannot wait for each other in a circle. `blocks` says of which
    value of the tiled graph a result is a part. A `pipelined` schedule has several inputs on their
    way, in different phases.
    """

    graph: Graph
    target: Target
    tasks: tuple[Task, ...]
    buffers: Mapping[tuple[str, int], Buffer]
    peak: Mapping[int, int]
    blocks: Mapping[str, Block]
    pipelined: bool = False

    def whole(self, node: Node) -> str:
        """The value of which the node's result is a part, or the result."""
        return whole_of(self.blocks, node)

    def has_buffer(self, value: str, core: int) -> bool:
        """Whether `value` lies on `core` at any time."""
        return (value, core) in self.buffers

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
