"""Where a machine error happened; what every program must keep; reads before writes.

`check_operations` is what both forms of the machine rely on without `validate`: operands inside
their memories, no write to constants, matrices that are there and fit. Only the literal
interpreter watches for memory that is read before it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import prod

import numpy as np
from numpy.typing import NDArray

from imcc.isa.fields import Role
from imcc.isa.instructions import Host, Mvm, Phase
from imcc.isa.program import Program
from imcc.isa.walk import Exchange, Operation

from .errors import MachineError
from .host import host_step
from .memory import GLOBAL, Layout, Place, inner_split, touched_bytes


def parts(operation: Operation | Exchange) -> tuple[Operation, ...]:
    """Return the one or two instructions of an operation."""
    if isinstance(operation, Exchange):
        return operation.send, operation.recv
    return (operation,)


@contextmanager
def explained(program: Program, operation: Operation | Exchange) -> Iterator[None]:
    """Add core, instruction and ONNX nodes to a `MachineError` raised inside."""
    try:
        yield
    except MachineError as error:
        part = parts(operation)[0]
        nodes = origin_of(program, part)
        source = f" (node {', '.join(repr(name) for name in nodes)})" if nodes else ""
        raise MachineError(
            f"core {part.core} at {part.pc}: {part.instruction}{source}: {error}"
        ) from error


def origin_of(program: Program, operation: Operation) -> tuple[str, ...]:
    """Return the ONNX nodes that an instruction comes from."""
    for origin in program.origins:
        if origin.core == operation.core and origin.start <= operation.pc < origin.stop:
            return origin.nodes
    return ()


def check_operations(
    program: Program, layout: Layout, operations: Iterable[Operation | Exchange]
) -> None:
    """Raise `MachineError` at the first operation that could reach what it must not."""
    for operation in operations:
        for part in parts(operation):
            problem = next(_problems(program, layout, part), None)
            if problem is not None:
                with explained(program, part):
                    raise MachineError(problem)


def _problems(program: Program, layout: Layout, operation: Operation) -> Iterator[str]:
    instruction = operation.instruction
    if isinstance(instruction, Host) and instruction.partition >= len(program.hosts):
        yield f"there is no host partition p{instruction.partition}"
        return
    for place, role in _operands(program, operation):
        problem = layout.check(place, program.target.core.local_memory_bytes)
        if problem is not None:
            yield problem
        elif role is Role.WRITE and layout.is_constant(place.stream):
            low, high = place.stream.extent
            yield f"bytes {low}..{high - 1} are constants, which nothing may write"
    if isinstance(operation.instruction, Mvm):
        yield from _product_problems(program, operation, operation.instruction)


def _product_problems(program: Program, operation: Operation, product: Mvm) -> Iterator[str]:
    if product.matrix >= len(program.matrices):
        yield f"there is no matrix m{product.matrix}; the program has {len(program.matrices)}"
        return
    matrix = program.matrices[product.matrix]
    windows, inner = inner_split(operation.streams["src"], product.inner)
    if matrix.core != operation.core:
        yield f"matrix m{product.matrix} is on core {matrix.core}"
    if inner != matrix.rows or operation.streams["dst"].count != windows * matrix.cols:
        yield (
            f"matrix m{product.matrix} is {matrix.rows} x {matrix.cols}; src has {windows} "
            f"vectors of {inner}, dst {operation.streams['dst'].count} elements"
        )


class WrittenBytes:
    """Which bytes have been written, so that reading any other can be refused."""

    def __init__(self, layout: Layout, program: Program) -> None:
        self._program = program
        sizes: Mapping[int, int] = {**layout.local, GLOBAL: layout.global_size}
        self._written = {key: np.zeros(size, np.bool_) for key, size in sizes.items()}
        self._written[GLOBAL][: len(layout.constants)] = True
        for binding in program.inputs:
            self._written[GLOBAL][binding.address : binding.address + binding.size] = True

    def check(self, operation: Operation) -> None:
        """Raise `MachineError` where an operand is read before it is written."""
        for place, role in _operands(self._program, operation):
            if role is Role.READ:
                self._check_written(place)

    def mark(self, operation: Operation) -> None:
        """Note what an operation writes; a phase begins with a local memory that holds nothing."""
        if isinstance(operation.instruction, Phase) and operation.core in self._written:
            self._written[operation.core][...] = False
        for place, role in _operands(self._program, operation):
            if role is Role.WRITE:
                touched_bytes(self._written[place.memory], place.stream)[...] = True

    def _check_written(self, place: Place) -> None:
        written: NDArray[np.bool_] = touched_bytes(self._written[place.memory], place.stream)
        if written.all():
            return
        first = np.unravel_index(int(np.argmin(written)), written.shape)
        offset = sum(int(i) * s for i, s in zip(first, written.strides, strict=True))
        raise MachineError(
            f"byte {place.stream.base + offset} of "
            f"{'global' if place.memory == GLOBAL else 'local'} memory is read before it is "
            f"written; {written.size - int(written.sum())} of {prod(written.shape)} bytes are not"
        )


def _operands(program: Program, operation: Operation) -> Iterator[tuple[Place, Role]]:
    if isinstance(operation.instruction, Host):
        step = host_step(program, operation.instruction)
        yield from ((place, Role.READ) for place in step.reads)
        yield from ((place, Role.WRITE) for place in step.writes)
    for field in operation.instruction.layout:
        if field.name in operation.streams:
            yield Place(operation.core, operation.streams[field.name]), field.kind.role
