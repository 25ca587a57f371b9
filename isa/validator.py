"""Validates a program once, so that a machine may run it without checks.

1. Structure: cores, halts, loops, bindings, field values that no encoding rules out.
2. Matrices: every weight on cells of its own, converters and bounds that the chip can have.
   Matrices may share cells, in turn (see 3).
3. Every operation in the order of execution: types, counts and memories of its operands, byte
   bounds, overlap, definite initialisation, cells programmed before use, accumulator bounds. Cells
   that a matrix has read are written anew before another matrix reads them.
   Local memory is as good as never written where a phase begins.
4. Sends and receives match, no core waits for ever, accesses of several cores to a global byte
   are ordered, every output byte is stored, every host partition is run once.
5. With lags: in rounds every local byte that is read was written last for the same input, or by
   what happens once; in rounds, too, sends and receives match and no core waits for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .errors import ValidationError
from .instructions import Barrier, Host, Mvm, Phase
from .program import Program
from .setup import WRITES
from .validation.arrays import Arrays
from .validation.findings import Findings
from .validation.hosts import Partitions, accesses
from .validation.lags import check_lags, check_rounds
from .validation.matrices import check_matrices
from .validation.memory import Memories
from .validation.operands import check_operands
from .validation.ordering import GlobalOrder
from .validation.phases import check_phases
from .validation.structure import check_structure
from .walk import Exchange, Operation, interleave


@dataclass(frozen=True)
class _State:
    """What the operations played so far have made of the chip."""

    program: Program
    memories: Memories
    arrays: Arrays
    order: GlobalOrder
    partitions: Partitions


def validate(program: Program) -> None:
    """Raise `ValidationError` listing what is wrong, at most fifty problems; otherwise return."""
    findings = Findings(program)
    check_structure(program, findings)
    findings.raise_if_any()
    check_phases(program, findings)
    check_lags(program, findings)
    findings.add(check_matrices(program))
    findings.raise_if_any()
    _play(program, findings)
    findings.raise_if_any()
    check_rounds(program, findings)
    findings.raise_if_any()


def _play(program: Program, findings: Findings) -> None:
    state = _State(
        program, Memories(program), Arrays(program), GlobalOrder(program), Partitions(program)
    )
    try:
        for step in interleave(program):
            parts = (step.send, step.recv) if isinstance(step, Exchange) else (step,)
            for operation in parts:
                problems = _check(state, operation)
                if problems:
                    findings.at_operation(operation, problems)
            if isinstance(step, Exchange):
                findings.at_operation(step.recv, _exchange(step))
                state.order.exchange(step)
    except ValidationError as error:
        findings.add([str(error)])
        return
    findings.add(state.partitions.missing())
    findings.add(state.memories.missing_outputs())


def _check(state: _State, operation: Operation) -> list[str]:
    instruction = operation.instruction
    if isinstance(instruction, (Barrier, Phase)):
        state.order.barrier(operation.core)
        if isinstance(instruction, Phase):
            state.memories.forget(operation.core)
        return []
    if isinstance(instruction, Host):
        return _check_host(state, operation, instruction)
    problems = [*check_operands(state.program, operation), *state.memories.apply(operation)]
    if problems:
        return problems
    problems = state.order.apply(operation)
    if type(instruction) in WRITES:
        state.arrays.write(operation)
    if isinstance(instruction, Mvm):
        problems += state.arrays.check(operation)
    return problems


def _check_host(state: _State, operation: Operation, instruction: Host) -> list[str]:
    problems = list(state.partitions.start(instruction))
    if problems:
        return problems
    for access in accesses(state.program, operation, instruction):
        problems += state.memories.apply(access)
        problems += state.order.apply(access)
    return problems


def _exchange(step: Exchange) -> Iterator[str]:
    src, dst = step.send.streams["src"], step.recv.streams["dst"]
    if (src.element, src.count) != (dst.element, dst.count):
        yield (
            f"it takes {dst.count} elements of {dst.element.name.lower()}, the send of core "
            f"{step.send.core} at {step.send.pc} gives {src.count} of {src.element.name.lower()}"
        )
