"""What can be checked without playing the program through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from ..instruction import Instruction
from ..instructions import (
    STREAM_AXES,
    Dim,
    Dot,
    Gather,
    Halt,
    Loop,
    Max,
    Mvm,
    Norm,
    Recv,
    Send,
    Setq,
    Sum,
    Write,
    WriteMatrix,
)
from ..program import Binding, Program
from .findings import Findings
from .hosts import binding_problems, check_partitions

# Bounds the time of everything that plays a program through.
MAX_EXECUTED = 100_000_000


def check_structure(program: Program, findings: Findings) -> None:
    """Check cores, code, bindings, memory sizes and origins."""
    findings.add(_memory_sizes(program))
    findings.add(_bindings(program))
    findings.add(check_partitions(program))
    findings.add(_origins(program))
    for core, code in sorted(program.cores.items()):
        findings.add(_core(program, core, code))
        for pc, instruction in enumerate(code):
            check = _CHECKS.get(type(instruction))
            if check is not None:
                findings.at(core, pc, check(program, instruction))
            if isinstance(instruction, Halt) and pc != len(code) - 1:
                findings.at(core, pc, ["halt is allowed only as the last instruction"])


def executed_instructions(code: tuple[Instruction, ...]) -> int:
    """Return how many instructions run, loops played out (0 inside a loop of count 0)."""
    total, times = 0, 1
    frames: list[tuple[int, int]] = []  # index behind the loop, times outside it
    for pc, instruction in enumerate(code):
        while frames and pc >= frames[-1][0]:
            times = frames.pop()[1]
        total += times
        if isinstance(instruction, Loop):
            frames.append((pc + 1 + instruction.body, times))
            times *= instruction.count
    return total


def _memory_sizes(program: Program) -> Iterator[str]:
    capacity = program.target.chip.global_memory_bytes
    if program.global_size > capacity:
        yield f"the program needs {program.global_size} bytes of global memory of {capacity}"
    if len(program.constants) > program.global_size:
        yield f"{len(program.constants)} bytes of constants; global_size is {program.global_size}"


def _bindings(program: Program) -> Iterator[str]:
    bindings = (*program.inputs, *program.outputs)
    for binding in bindings:
        yield from _binding(program, binding)
    names = [binding.name for binding in bindings]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"the name {name!r} is bound more than once"
    ordered = sorted(bindings, key=lambda binding: binding.address)
    for one, other in pairwise(ordered):
        if other.address < one.address + one.size:
            yield f"the tensors {one.name!r} and {other.name!r} overlap in global memory"


def _binding(program: Program, binding: Binding) -> Iterator[str]:
    if not binding.shape or min(binding.shape) < 1 or binding.shape[0] != 1:
        yield f"{binding.name!r} has shape {binding.shape}; it must begin with 1, extents positive"
    yield from binding_problems(program, binding)


def _origins(program: Program) -> Iterator[str]:
    for origin in program.origins:
        length = len(program.cores.get(origin.core, ()))
        if not 0 <= origin.start < origin.stop <= length:
            yield (
                f"an origin names instructions {origin.start}..{origin.stop - 1} of core "
                f"{origin.core}, which has {length}"
            )


def _core(program: Program, core: int, code: tuple[Instruction, ...]) -> Iterator[str]:
    cores = program.target.chip.cores
    if not 0 <= core < cores:
        yield f"core {core} does not exist; the chip has the cores 0..{cores - 1}"
    if not code or not isinstance(code[-1], Halt):
        yield f"core {core}: the last instruction must be halt"
    executed = executed_instructions(code)
    if executed > MAX_EXECUTED:
        yield f"core {core} executes {executed} instructions; at most {MAX_EXECUTED} are allowed"


def _dim(program: Program, instruction: Instruction) -> Iterator[str]:
    assert isinstance(instruction, Dim)
    if instruction.axis >= STREAM_AXES:
        yield f"a stream has the axes 0..{STREAM_AXES - 1}"
    if instruction.count < 1:
        yield "the count of an axis must be at least 1"


def _setq(program: Program, instruction: Instruction) -> Iterator[str]:
    assert isinstance(instruction, Setq)
    if instruction.low > instruction.high:
        yield f"low {instruction.low} is above high {instruction.high}"


def _peer(program: Program, instruction: Instruction) -> Iterator[str]:
    assert isinstance(instruction, (Send, Recv))
    if instruction.peer not in program.cores:
        yield f"core {instruction.peer} has no code"


def _write(program: Program, instruction: Instruction) -> Iterator[str]:
    assert isinstance(instruction, Write)
    arrays, columns = program.target.core.arrays, program.target.array.cols
    if instruction.array >= arrays:
        yield f"a core has the arrays 0..{arrays - 1}"
    if instruction.columns < 1 or instruction.column + instruction.columns > columns:
        yield f"{instruction.columns} columns from {instruction.column} are not in 0..{columns - 1}"


def _mvm(program: Program, instruction: Instruction) -> Iterator[str]:
    yield from _matrix(program, instruction)
    yield from _inner(program, instruction)


def _matrix(program: Program, instruction: Instruction) -> Iterator[str]:
    assert isinstance(instruction, (Mvm, WriteMatrix))
    if instruction.matrix >= len(program.matrices):
        yield f"matrix m{instruction.matrix} does not exist; there are {len(program.matrices)}"


def _inner(program: Program, instruction: Instruction) -> Iterator[str]:
    assert isinstance(instruction, (Mvm, Max, Sum, Dot, Norm, Gather))
    if instruction.inner > STREAM_AXES:
        yield f"inner is {instruction.inner}; a stream has {STREAM_AXES} axes"


_CHECKS: dict[type[Instruction], Callable[[Program, Instruction], Iterator[str]]] = {
    Dim: _dim,
    Setq: _setq,
    Send: _peer,
    Recv: _peer,
    Write: _write,
    WriteMatrix: _matrix,
    Mvm: _mvm,
    Max: _inner,
    Sum: _inner,
    Dot: _inner,
    Norm: _inner,
    Gather: _inner,
}
