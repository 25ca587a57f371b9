"""The instruction stream of one core while it is written: registers are cached, loops nested."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from imcc.isa import Instruction, OutputStage, StreamState
from imcc.isa.instructions import STREAM_REGISTERS, Dim, Halt, Loop, Setq, Step, Stream


class CoreCode:
    """Appends instructions; a stream that a register already holds is not set again."""

    def __init__(self) -> None:
        self._code: list[Instruction] = []
        self._held: OrderedDict[int, StreamState | None] = OrderedDict(
            (register, None) for register in range(STREAM_REGISTERS)
        )
        self._stage: OutputStage | None = None

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

    def stream(self, state: StreamState) -> int:
        """A register that holds `state`; the one used least recently is set if none does."""
        for register, held in self._held.items():
            if held == state:
                self._held.move_to_end(register)
                return register
        register = next(iter(self._held))
        self._set(register, state)
        return register

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
                self.emit(Step(register, delta))
        self._code.insert(start, Loop(count, self.position - start))
        for register, delta in steps.items():
            held = self._held[register]
            if held is not None:
                self._held[register] = replace(held, base=held.base + count * delta)

    def finish(self) -> tuple[Instruction, ...]:
        """The whole stream, ended by `halt`."""
        self.emit(Halt())
        return tuple(self._code)

    def _set(self, register: int, state: StreamState) -> None:
        self.emit(Stream(register, state.space, state.element, state.base))
        for axis, (count, stride) in enumerate(zip(state.counts, state.strides, strict=True)):
            if count != 1:
                self.emit(Dim(register, axis, count, stride))
        self._held[register] = state
        self._held.move_to_end(register)
