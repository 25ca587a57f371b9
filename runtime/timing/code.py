"""The instructions of a core played through fast.

A loop changes the bases of its streams, and nothing else. So an instruction whose streams have
the same counts, strides and element types as before costs the same: each is looked up among the
static operations, and only addresses are made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from imcc.isa.cost import Unit
from imcc.isa.errors import ValidationError
from imcc.isa.fields import ElementType, Role, Space
from imcc.isa.instruction import Instruction
from imcc.isa.instructions import (
    STREAM_REGISTERS,
    Dim,
    Halt,
    Lag,
    Loop,
    Nop,
    Setq,
    Step,
    Stream,
)
from imcc.isa.matrix import Matrix
from imcc.isa.program import greatest_lag
from imcc.isa.setup import setup_end
from imcc.isa.stream import StreamState
from imcc.isa.walk import Operation, program_counters, streams_of

from .static import Shape, StaticOperation

Ranges = tuple[tuple[int, int], ...]
Fetched = tuple[int, StaticOperation, Ranges, Ranges, int]
"""Control instructions before an operation, itself, the bytes it reads and writes, and its lag."""

# Global addresses have 40 bits; this far above local ones both memories lie on one line.
_GLOBAL = 1 << 48
_UNSET = Shape(StreamState(Space.LOCAL, ElementType.U8, 0))


class _Kind(Enum):
    OPERATE = 0
    SET = 1
    STEP = 2
    SHAPE = 3
    SKIP = 4
    HALT = 5
    LAG = 6


@dataclass(slots=True)
class _Action:
    """What an instruction does to the stream registers, decoded."""

    kind: _Kind
    register: int = 0
    number: int = 0
    axis: tuple[int, int, int] = (0, 0, 0)
    shape: Shape = _UNSET
    operands: tuple[int, ...] = ()


class CoreCode:
    """The instructions of one core, to be fetched once a round; `lags` is the greatest lag."""

    def __init__(
        self,
        core: int,
        code: tuple[Instruction, ...],
        make: Callable[[Operation], StaticOperation],
        matrices: Sequence[Matrix],
    ) -> None:
        self.operations: dict[tuple[int, tuple[Shape, ...]], StaticOperation] = {}
        self.end = StaticOperation(core, len(code), Halt(), Unit.ISSUE)
        self.lags = greatest_lag(code)
        self._core = core
        self._code = code
        self._make = make
        shapes: dict[tuple[int, int], Shape] = {}
        self._actions = [_action(instruction, shapes) for instruction in code]
        self._setup_end = setup_end(code, matrices)
        self._bases, self._shapes = [0] * STREAM_REGISTERS, [_UNSET] * STREAM_REGISTERS
        self.setup = tuple(self._play_setup())

    def fetch(self) -> Iterator[Fetched]:
        """Yield the operations of a round in order, setup left out; the end comes last."""
        operations, slots = self.operations, 0
        for pc, slots, bases, shapes, lag in self._play(
            self._code, self._setup_end, self._bases.copy(), self._shapes.copy()
        ):
            if pc < self.end.pc:
                operation = operations.get((pc, shapes)) or self._new(pc, shapes)
                yield (
                    slots,
                    operation,
                    tuple([(bases[i] + low, bases[i] + high) for i, low, high in operation.reads]),
                    tuple([(bases[i] + low, bases[i] + high) for i, low, high in operation.writes]),
                    lag,
                )
        yield slots, self.end, (), (), 0

    def _play_setup(self) -> Iterator[StaticOperation]:
        """Yield the writes before the first input; leaves the registers as they are then."""
        for pc, _, _, used, _ in self._play(
            self._code[: self._setup_end], 0, self._bases, self._shapes
        ):
            if pc < self.end.pc:
                yield self.operations.get((pc, used)) or self._new(pc, used)

    def _play(
        self, code: tuple[Instruction, ...], start: int, bases: list[int], shapes: list[Shape]
    ) -> Iterator[tuple[int, int, list[int], tuple[Shape, ...], int]]:
        """Yield index, control instructions before, streams and lag of each operation, and the end.

        Bases and shapes are those of the stream registers, and change.
        """
        actions, slots, lag = self._actions, 0, 0
        for pc in program_counters(self._core, code, start):
            action = actions[pc]
            kind, register = action.kind, action.register
            if kind is _Kind.OPERATE:
                used = action.operands
                yield pc, slots, [bases[i] for i in used], tuple([shapes[i] for i in used]), lag
                slots = 0
                continue
            if kind is _Kind.STEP:
                bases[register] += action.number
            elif kind is _Kind.SET:
                bases[register], shapes[register] = action.number, action.shape
            elif kind is _Kind.SHAPE:
                shapes[register] = self._shaped(shapes[register], action, pc)
            elif kind is _Kind.LAG:
                lag = action.number
            elif kind is _Kind.HALT:
                break
            slots += 1
        yield self.end.pc, slots, [], (), 0

    def _shaped(self, shape: Shape, action: _Action, pc: int) -> Shape:
        self._check_set(shape, action.register, pc)
        return shape.with_axis(action.axis)

    def _new(self, pc: int, shapes: tuple[Shape, ...]) -> StaticOperation:
        instruction = self._code[pc]
        held = {}
        for shape, register in zip(shapes, self._actions[pc].operands, strict=True):
            self._check_set(shape, register, pc)
            held[register] = shape.state
        streams = streams_of(instruction, held)
        made = self._make(Operation(self._core, pc, instruction, streams, None))
        self.operations[pc, shapes] = made
        return made

    def _check_set(self, shape: Shape, register: int, pc: int) -> None:
        if shape is _UNSET:
            raise ValidationError(
                f"core {self._core} at {pc}: stream s{register} is used before it is set"
            )


def _action(instruction: Instruction, shapes: dict[tuple[int, int], Shape]) -> _Action:
    match instruction:
        case Stream(stream, space, element, base):
            shape = shapes.get((space, element))
            if shape is None:
                shape = Shape(StreamState(Space(space), ElementType(element), 0))
                shapes[space, element] = shape
            return _Action(_Kind.SET, stream, base + space * _GLOBAL, shape=shape)
        case Dim(stream, axis, count, stride):
            return _Action(_Kind.SHAPE, stream, axis=(axis, count, stride))
        case Step(stream, delta):
            return _Action(_Kind.STEP, stream, delta)
        case Setq() | Loop() | Nop():
            return _Action(_Kind.SKIP)
        case Lag(rounds):
            return _Action(_Kind.LAG, number=rounds)
        case Halt():
            return _Action(_Kind.HALT)
        case _:
            roles = (Role.READ, Role.WRITE)
            fields = [f.name for f in instruction.layout if f.kind.role in roles]
            return _Action(
                _Kind.OPERATE, operands=tuple(getattr(instruction, name) for name in fields)
            )
