"""The code of a core whose operations are known before the first is written.

So it is known, too, when registers are needed again. The one to be set anew or moved is the one
that is needed last. A walk gets another register where a stream that one holds is needed more often
than setting takes instructions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from imcc.isa import Operation, StreamState

from ..code import CoreCode, Shape, shape_of

_NEVER = 1 << 60


class ForeseenCode(CoreCode):
    """Code that is to have these operations, each of them begun in this order."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        super().__init__()
        # The operations that need a walk or just a stream, the next one last.
        self._walked: dict[Shape, list[int]] = defaultdict(list)
        self._streamed: dict[StreamState, list[int]] = defaultdict(list)
        for number in range(len(operations), 0, -1):
            operation = operations[number - 1]
            offsets = type(operation.instruction).offsets
            for name, state in operation.streams.items():
                self._walked[shape_of(state)].append(number)
                if name not in offsets:
                    self._streamed[state].append(number)

    def _to_set(self) -> int:
        latest, found = -1, -1
        for register in self._held:
            missed = self._missed(register)
            if missed == _NEVER:
                return register
            if missed > latest:
                latest, found = missed, register
        return found

    def _to_move(self, free: Sequence[int], state: StreamState) -> int | None:
        register = free[0] if len(free) == 1 else max(free, key=self._exactly_missed)
        return None if self._may_stay(register, state) else register

    def _may_stay(self, register: int, state: StreamState) -> bool:
        """Whether it pays to set another register to a stream instead of moving this one there."""
        uses = self._uses(register)
        needed, left = self._next(uses), len(uses)
        cost = len(state.counts) - state.counts.count(1)
        if left <= cost:
            return False
        again = self._missed(self._to_set())
        return again > needed and left > cost + (again < _NEVER)

    def _missed(self, register: int) -> int:
        """The first operation to need what is lost with a register: its stream, or a whole walk."""
        if self._is_needed(register):
            return self._begun
        state = self._held[register]
        if state is None:
            return _NEVER
        if len(self._walking[register].registers) > 1:
            return self._exactly_missed(register)
        return self._next(self._walked[shape_of(state)])

    def _exactly_missed(self, register: int) -> int:
        """The first operation to need just the stream of a register."""
        return self._next(self._uses(register))

    def _uses(self, register: int) -> list[int]:
        """The operations that need the very stream of a register."""
        state = self._held[register]
        return [] if state is None else self._streamed.get(state, [])

    def _next(self, uses: list[int]) -> int:
        """The first of some operations that has not begun; it forgets those that have."""
        begun = self._begun
        while uses and uses[-1] <= begun:
            uses.pop()
        return uses[-1] if uses else _NEVER
