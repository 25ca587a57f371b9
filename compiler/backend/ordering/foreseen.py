"""The code of a core whose operations are known before the first is written.

So it is known, too, when registers are needed again. The one to be set anew or moved is the one
that is needed last. A walk gets another register where a stream that one holds is needed more often
than setting takes instructions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence

from imcc.isa import Operation, StreamState

from ..code import CoreCode, Shape, shape_of

_NEVER = 1 << 60


class ForeseenCode(CoreCode):
    """Code that is to have these operations, each of them begun in this order."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        super().__init__()
        self._walked: dict[Shape, list[int]] = defaultdict(list)
        self._streamed: dict[tuple[Shape, int], list[int]] = defaultdict(list)
        for number, operation in enumerate(operations, 1):
            offsets = type(operation.instruction).offsets
            for name, state in operation.streams.items():
                shape = shape_of(state)
                self._walked[shape].append(number)
                if name not in offsets:
                    self._streamed[shape, state.base].append(number)

    def _to_set(self) -> int:
        return max(self._held, key=self._missed)

    def _to_move(self, free: Sequence[int], state: StreamState) -> int | None:
        register = max(free, key=self._exactly_missed, default=None)
        return None if register is None or self._may_stay(register, state) else register

    def _may_stay(self, register: int, state: StreamState) -> bool:
        """Whether it pays to set another register to a stream instead of moving this one there."""
        uses = self._uses(register)
        left = len(uses) - bisect_right(uses, self._begun)
        cost = sum(count != 1 for count in state.counts)
        if left <= cost:
            return False
        again = self._missed(self._to_set())
        return again > self._next(uses) and left > cost + (again < _NEVER)

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

    def _uses(self, register: int) -> Sequence[int]:
        """All operations that need the very stream of a register."""
        state = self._held[register]
        return () if state is None else self._streamed.get((shape_of(state), state.base), ())

    def _next(self, uses: Sequence[int]) -> int:
        """The first of some operations that has not begun."""
        index = bisect_right(uses, self._begun)
        return uses[index] if index < len(uses) else _NEVER
