"""When the cells of each matrix are written: while others compute, if their arrays are free.

What goes to arrays that no earlier stage uses is written before everything else. All other cells
may be written behind the last product of earlier stages on their arrays. A large matrix is, where
rows stream, by one instruction, which holds up nothing that comes behind it.

Other matrices are written run by run, while their core goes on with earlier stages a few behind
each product: a core issues in order, and more writes in a row than half of what can be under way
would hold up what comes behind them. What is left is written where its stage begins, or an earlier
one in which the core has no product.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ..ir.ops.tiled import Tiled
from ..mapping.plan import Shard
from ..schedule.task import Schedule, Task
from .cells import KnownCells
from .view import is_countable

Array = tuple[int, int]  # core, number
_ROOM = 4  # instructions of a window in which one may be under way for long


class ShardWrite(NamedTuple):
    """One of the writes that program a shard, by its number, or all in one.

    `task` is the first that needs it. `free` is the last task before that uses its arrays in
    another stage; -1 where there is none.
    """

    task: Task
    shard: Shard
    number: int | None
    arrays: Sequence[Array]
    free: int


def reloads(schedule: Schedule) -> Mapping[int, Sequence[ShardWrite]]:
    """What is written before each task, by its index.

    What is written before all of them and stays comes first: it is there for all inputs.
    """
    uses, places = _Uses(schedule), _Places(schedule)
    found: dict[int, list[ShardWrite]] = defaultdict(list)
    for task, shard in uses.first:
        for write in uses.writes(task, shard):
            found[places.before(write)].append(write)
    found[0].sort(key=lambda write: any(map(uses.is_reused, write.arrays)))
    return found


def _shards(task: Task) -> tuple[Shard, ...]:
    return task.node.op.plan.shards if isinstance(task.node.op, Tiled) else ()


class _Uses:
    """In which stages each array is used, and by which task of each last.

    `first` are the shards by the tasks that are the first to need them.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._issue_window = schedule.target.core.issue_window
        self._streams = bool(schedule.blocks)
        self._cells = KnownCells(schedule.target.array.cell_bits)
        self._last: dict[Array, dict[int, int]] = defaultdict(dict)
        first: dict[int, tuple[Task, Shard]] = {}  # by the identity of matrices
        last: dict[int, int] = {}
        for index, task in enumerate(schedule.tasks):
            for shard in _shards(task):
                first.setdefault(id(shard.matrix), (task, shard))
                last[id(shard.matrix)] = index
        self.first = tuple(first.values())
        for task, shard in self.first:
            self._add(task.stage, shard, last[id(shard.matrix)])

    def _add(self, stage: int, shard: Shard, index: int) -> None:
        """Note that a task of a stage is the last to use the arrays of a shard."""
        for number in self._cells.of(shard.matrix).arrays:
            last = self._last[shard.core, number]
            last[stage] = max(index, last.get(stage, index))

    def writes(self, task: Task, shard: Shard) -> Iterator[ShardWrite]:
        """The writes of a shard, which a task is the first to need."""
        cells = self._cells.of(shard.matrix)
        arrays = [(shard.core, number) for number in cells.arrays]
        free = {array: self._free(task, array) for array in arrays}
        if self._is_whole(free) and is_countable(cells.size):
            yield ShardWrite(task, shard, None, arrays, max(free.values()))
            return
        for number, run in enumerate(cells.runs):
            array = (shard.core, run.array)
            yield ShardWrite(task, shard, number, (array,), free[array])

    def is_reused(self, array: Array) -> bool:
        """Whether an array is used in more than one stage."""
        return len(self._last[array]) > 1

    def _is_whole(self, free: Mapping[Array, int]) -> bool:
        """Whether one instruction writes all cells of a matrix, whose arrays are `free` then.

        What stays on its arrays for all inputs is not written again because of others. All else
        must not take longer than run by run: a core programs one matrix at a time, which takes a
        place of the issue window until it is done. So the window must have more, and matrices that
        take less than half of the arrays that are programmed at once go side by side. Where rows do
        not stream, arrays become free one product after the other; to wait for the last of them
        makes programs slower by up to a fifth.
        """
        reused = {self.is_reused(array) for array in free}
        if reused != {True}:
            return reused == {False}
        return self._streams and _ROOM <= self._issue_window <= 2 * len(free)

    def _free(self, task: Task, array: Array) -> int:
        """The last task that uses an array in an earlier stage; -1 where there is none."""
        stages = self._last[array].items()
        return max([last for stage, last in stages if stage < task.stage], default=-1)


class _Places:
    """Where writes go, in the order in which they are needed."""

    def __init__(self, schedule: Schedule) -> None:
        self._tasks = tasks = schedule.tasks
        self._together = schedule.target.core.issue_window // 2
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
        if write.number is None:
            return write.free + 1
        core, start = write.shard.core, self._starts[write.task.stage]
        products = self._products[core]
        end = bisect_left(products, start)
        for index in products[bisect_left(products, write.free) : end]:
            if self._behind[core, index] < self._together:
                self._behind[core, index] += 1
                return index + 1
        return self._starts[self._tasks[products[end - 1]].stage + 1]
