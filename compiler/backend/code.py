"""The instruction stream of one core while it is written: registers are cached, loops nested."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

from imcc.isa import TABLE, Instruction, OutputStage, Role, StreamState, Walk
from imcc.isa.fields import Kind
from imcc.isa.instructions import STREAM_REGISTERS, Dim, Halt, Loop, Setq, Step, Stream

from .global_memory import LINK_BASE

# Of each instruction, for all operands in text, whether they are streams and the kinds of their
# offsets.
_OPERANDS = {
    kind: tuple(
        (
            f.kind.role is not Role.NONE,
            kind.offsets[f.name].kind if f.name in kind.offsets else None,
        )
        for f in kind.written
    )
    for kind in TABLE.values()
}

Shape = tuple[Walk, bool]
"""How it walks, and whether the address is yet to be linked."""


@dataclass(slots=True, eq=False)
class _Walk:
    """The registers that hold a walk of one shape, and by base who holds just that stream."""

    registers: set[int] = field(default_factory=set)
    by_base: dict[int, int] = field(default_factory=dict)


class CoreCode:
    """Appends instructions; a stream that a register already holds is not set again.

    A register that holds the same walk elsewhere does for an operand with an offset, and one that
    nothing written since `begin` uses is moved there: one instruction instead of one an axis.
    """

    def __init__(self) -> None:
        self._code: list[Instruction] = []
        self._begun = 0
        self.forget()

    def forget(self) -> None:
        """Take no register for set: what follows is run again and again, what is before is not."""
        self._held: OrderedDict[int, StreamState | None] = OrderedDict(
            (register, None) for register in range(STREAM_REGISTERS)
        )
        self._walks: dict[Shape, _Walk] = defaultdict(_Walk)
        self._walking: dict[int, _Walk] = defaultdict(_Walk)  # by register
        self._named: dict[int, int] = dict.fromkeys(self._held, -1)  # what had begun by then
        self._stage: OutputStage | None = None

    def begin(self) -> None:
        """Say that registers named so far are not used any more unless they are named again."""
        self._begun += 1

    @property
    def position(self) -> int:
        """Index of the next instruction."""
        return len(self._code)

    @property
    def last_operation(self) -> int:
        """Index of the last instruction that is more than the end of a loop body."""
        index = len(self._code) - 1
        while isinstance(self._code[index], Step):
            index -= 1
        return index

    def emit(self, instruction: Instruction) -> None:
        """Append one instruction."""
        self._code.append(instruction)

    def operate(
        self, kind: type[Instruction], streams: Iterable[StreamState], *others: int
    ) -> None:
        """Append an instruction with these streams and other fields, in the order of its table.

        It must not stand in a loop that moves registers with its streams.
        """
        states, rest = iter(streams), iter(others)
        fields, offsets = [], []
        for is_stream, limits in _OPERANDS[kind]:
            if not is_stream:
                fields.append(next(rest))
            elif limits is None:
                fields.append(self.stream(next(states)))
            else:
                register, offset = self._near(next(states), limits)
                fields.append(register)
                offsets.append(offset)
        self.emit(made(kind.opcode, *fields, *offsets))

    def stream(self, state: StreamState) -> int:
        """A register that holds `state`; one is moved or set if none does."""
        walk = self._walk(state)
        register = walk.by_base.get(state.base)
        return self._use(self._made(state, walk) if register is None else register)

    def stage(self, stage: OutputStage) -> None:
        """Set the output stage, unless it is set so already."""
        if stage != self._stage:
            self.emit(Setq(stage.zero_point, stage.low, stage.high, stage.rounding))
            self._stage = stage

    @contextmanager
    def loop(self, count: int, steps: Mapping[int, int]) -> Iterator[None]:
        """Run what is appended inside `count` times, stepping registers after each iteration.

        Streams and the output stage must be set before. `steps` maps registers to bytes.
        """
        start = self.position
        yield
        if count == 1:
            return
        for register, delta in steps.items():
            if delta:
                self.emit(made(Step.opcode, register, delta))
        self._code.insert(start, Loop(count, self.position - start))
        for register, delta in steps.items():
            held = self._held[register]
            if held is not None:
                after = held.moved(count * delta)
                self._hold(register, after, self._walk(after))

    def finish(self) -> tuple[Instruction, ...]:
        """The whole stream, ended by `halt`."""
        self.emit(Halt())
        return tuple(self._code)

    def _near(self, state: StreamState, offset: Kind) -> tuple[int, int]:
        """A register that walks as `state` does, and how many bytes before that it begins."""
        walk, wanted = self._walk(state), state.base
        register = walk.by_base.get(wanted)
        if register is not None:
            return self._use(register), 0
        base = min(walk.by_base, key=lambda base: abs(wanted - base), default=None)
        if base is None or not offset.low <= wanted - base <= offset.high:
            return self._use(self._made(state, walk)), 0
        return self._use(walk.by_base[base]), wanted - base

    def _made(self, state: StreamState, walk: _Walk) -> int:
        """A register that is moved or set to a stream that none holds."""
        register = self._moved(state, walk)
        if register is None:
            register = self._to_set()
            self._set(register, state, walk)
        return register

    def _use(self, register: int) -> int:
        """Note that a register is needed, by what has begun and perhaps soon again."""
        self._held.move_to_end(register)
        self._named[register] = self._begun
        return register

    def _moved(self, state: StreamState, walk: _Walk) -> int | None:
        """A register that walks as `state` does from another base, moved there."""
        if not walk.registers:
            return None
        free = [one for one in walk.registers if not self._is_needed(one)]
        register = self._to_move(free, state) if free else None
        if register is None:
            return None
        held = self._held[register]
        assert held is not None
        self._code.append(made(Step.opcode, register, state.base - held.base))
        if walk.by_base.get(held.base) == register:
            del walk.by_base[held.base]
        walk.by_base[state.base] = register
        self._held[register] = state
        return register

    def _to_set(self) -> int:
        """The register to be set anew: the one used least recently."""
        return next(iter(self._held))

    def _to_move(self, free: Sequence[int], _: StreamState) -> int | None:
        """Which of some registers of a walk is to be moved, if any."""
        return min(free)

    def _is_needed(self, register: int) -> bool:
        """Whether what has begun uses a register."""
        return self._named[register] == self._begun

    def _set(self, register: int, state: StreamState, walk: _Walk) -> None:
        self.emit(Stream(register, state.space, state.element, state.base))
        for axis, (count, stride) in enumerate(zip(state.counts, state.strides, strict=True)):
            if count != 1:
                self.emit(Dim(register, axis, count, stride))
        self._hold(register, state, walk)

    def _hold(self, register: int, state: StreamState, walk: _Walk) -> None:
        """Note what a register holds now."""
        before, old = self._held[register], self._walking[register]
        if before is not None and old.by_base.get(before.base) == register:
            del old.by_base[before.base]
        old.registers.discard(register)
        walk.registers.add(register)
        walk.by_base[state.base] = register
        self._held[register], self._walking[register] = state, walk

    def _walk(self, state: StreamState) -> _Walk:
        """Who walks as `state` does, from whatever base."""
        return self._walks[shape_of(state)]


def shape_of(state: StreamState) -> Shape:
    """What registers have in common that can be moved to each other's streams."""
    walk, base = state
    return walk, base >= LINK_BASE


@lru_cache(1 << 16)
def made(opcode: int, *operands: int) -> Instruction:
    """An instruction; a program has very many, and few that differ."""
    return TABLE[opcode](*operands)
