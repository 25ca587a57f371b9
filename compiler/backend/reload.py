"""When the cells of each matrix are written: while others compute, if their arrays are free.

What goes to arrays that no earlier stage uses is written before everything else. All other cells
may be written behind the last product of earlier stages on their array. While their core goes on
with those stages they are, a few behind each product: a core issues in order, and more writes in a
row than half of what can be under way would hold up what comes behind them. What is left is
written where its stage begins, or an earlier one in which the core has no product.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from imcc.isa import Matrix

from ..ir.ops.tiled import Tiled
from ..mapping.plan import Shard
from ..mapping.write_runs import write_runs
from ..schedule.task import Task

Array = tuple[int, int]  # core, number


class ShardWrite(NamedTuple):
    """One of the writes that program a shard, by its number; `task` is the first that needs it.

    `free` is the last task before that uses its array in another stage; -1 where there is none.
    """

    task: Task
    shard: Shard
    number: int
    array: Array
    free: int


def reloads(tasks: Sequence[Task], issue_window: int) -> Mapping[int, Sequence[ShardWrite]]:
    """What is written before each task, by its index.

    What is written before all of them and stays comes first: it is there for all inputs.
    """
    uses = _Uses()
    written: list[ShardWrite] = []
    for index, task in enumerate(tasks):
        for shard in _shards(task):
            if uses.is_new(shard.matrix):
                written += uses.writes(task, shard)
            uses.add(index, task.stage, shard.matrix)
    places = _Places(tasks, issue_window // 2)
    found: dict[int, list[ShardWrite]] = defaultdict(list)
    for write in written:
        found[places.before(write)].append(write)
    found[0].sort(key=lambda write: uses.is_reused(write.array))
    return found


def _shards(task: Task) -> tuple[Shard, ...]:
    return task.node.op.plan.shards if isinstance(task.node.op, Tiled) else ()


@dataclass
class _Uses:
    """In which stages each array is used, and by which task of each last."""

    _last: dict[Array, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    _matrices: dict[int, list[dict[int, int]]] = field(default_factory=dict)  # of their arrays

    def is_new(self, matrix: Matrix) -> bool:
        """Whether no task has used a matrix."""
        return id(matrix) not in self._matrices

    def writes(self, task: Task, shard: Shard) -> Iterator[ShardWrite]:
        """The writes of a shard that a task needs now."""
        for number, tiles in enumerate(write_runs(shard.matrix)):
            array = (shard.core, tiles[0].array)
            stages = self._last[array].items()
            free = max([last for stage, last in stages if stage < task.stage], default=-1)
            yield ShardWrite(task, shard, number, array, free)

    def add(self, index: int, stage: int, matrix: Matrix) -> None:
        """Note that a task uses a matrix."""
        if self.is_new(matrix):
            arrays = {tile.array for tile in matrix.tiles}
            self._matrices[id(matrix)] = [self._last[matrix.core, number] for number in arrays]
        for last in self._matrices[id(matrix)]:
            last[stage] = index

    def is_reused(self, array: Array) -> bool:
        """Whether an array is used in more than one stage."""
        return len(self._last[array]) > 1


class _Places:
    """Where writes go, in the order in which they are needed."""

    def __init__(self, tasks: Sequence[Task], together: int) -> None:
        self._tasks = tasks
        self._together = together
        self._products: dict[int, list[int]] = defaultdict(list)  # of each core
        self._starts: dict[int, int] = {}  # of stages: their first task
        self._behind: Counter[tuple[int, int]] = Counter()  # writes of a core behind a task
        phases: dict[int, int] = {}
        for index, task in enumerate(tasks):
            phases.setdefault(task.phase, index)
            shards = _shards(task)
            if shards:
                self._starts.setdefault(task.stage, phases[task.phase])
            for core in {shard.core for shard in shards}:
                self._products[core].append(index)

    def before(self, write: ShardWrite) -> int:
        """The task before which a write is best."""
        if write.free < 0:
            return 0
        core, start = write.array[0], self._starts[write.task.stage]
        products = self._products[core]
        end = bisect_left(products, start)
        for index in products[bisect_left(products, write.free) : end]:
            if self._behind[core, index] < self._together:
                self._behind[core, index] += 1
                return index + 1
        return self._starts[self._tasks[products[end - 1]].stage + 1]
