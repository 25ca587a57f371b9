"""Execution traces: what each operation of a literal run wrote, as checksums.

Two machines, or two versions of one, run the same program alike exactly where their traces are
equal; the first line that differs names the operation that went wrong.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcc.isa.fields import Role
from imcc.isa.instructions import Host, Write, WriteMatrix
from imcc.isa.walk import Exchange, Operation

from .host import host_step
from .machine import Machine


@dataclass(frozen=True)
class TraceLine:
    """One instruction executed.

    `checksum` is the CRC-32 of the elements that it wrote, for all inputs of the batch, or of
    the cells of the arrays that it wrote; None where it wrote neither.
    """

    core: int
    pc: int
    text: str
    checksum: int | None

    def __str__(self) -> str:
        checksum = "-" * 8 if self.checksum is None else f"{self.checksum:08x}"
        return f"{checksum}  c{self.core} {self.pc}: {self.text}"


@dataclass(frozen=True)
class Trace:
    """All lines of a literal run; its text form has one a line."""

    lines: tuple[TraceLine, ...]

    @classmethod
    def record(cls, machine: Machine, inputs: Mapping[str, NDArray[Any]]) -> Trace:
        """Run `machine` to the end of its program."""
        return cls(tuple(trace(machine, inputs)))

    def __str__(self) -> str:
        return "\n".join(map(str, self.lines))


def trace(machine: Machine, inputs: Mapping[str, NDArray[Any]]) -> Iterator[TraceLine]:
    """Run `machine` literally, one operation at a time, and tell what each instruction wrote.

    Of an exchange the send comes first. Raises `MachineError` as `Machine.step` does.
    """
    machine.reset(inputs)
    while (operation := machine.step()) is not None:
        if isinstance(operation, Exchange):
            yield _line(machine, operation.send)
            yield _line(machine, operation.recv)
        else:
            yield _line(machine, operation)


def _line(machine: Machine, operation: Operation) -> TraceLine:
    written = _written(machine, operation)
    checksum = None if written is None else zlib.crc32(np.ascontiguousarray(written).tobytes())
    return TraceLine(operation.core, operation.pc, str(operation.instruction), checksum)


def _written(machine: Machine, operation: Operation) -> NDArray[Any] | None:
    instruction = operation.instruction
    if isinstance(instruction, Write):
        return machine.array(operation.core, instruction.array).levels
    if isinstance(instruction, WriteMatrix):
        arrays = machine.program.cells[instruction.matrix].arrays
        return np.stack([machine.array(operation.core, array).levels for array in arrays])
    if isinstance(instruction, Host):
        places = host_step(machine.program, instruction).writes
        written = [np.ravel(machine.read(place.stream, operation.core)) for place in places]
        return np.concatenate([codes.view(np.uint8) for codes in written])
    for field in instruction.layout:
        if field.kind.role is Role.WRITE:
            return machine.read(operation.streams[field.name], operation.core)
    return None
