"""Programs that are worked on in phases: what else they must keep."""

from __future__ import annotations

from collections.abc import Iterator

from ..instructions import Host, Loop, Phase
from ..program import Program
from ..setup import WRITES
from .findings import Findings


def check_phases(program: Program, findings: Findings) -> None:
    """Check where phases end, what may lie behind, and that all inputs on their way have room."""
    if program.phases == 1:
        return
    findings.add(_memory(program))
    for core, code in sorted(program.cores.items()):
        count = 1 + sum(isinstance(instruction, Phase) for instruction in code)
        if count != program.phases:
            findings.add([f"core {core} has {count} phases of {program.phases}"])
        begun, looped = False, 0
        for pc, instruction in enumerate(code):
            if isinstance(instruction, Loop):
                looped = max(looped, pc + 1 + instruction.body)
            elif isinstance(instruction, Phase):
                begun = True
                findings.at(core, pc, ["phase is not allowed in a loop"] if pc < looped else [])
            elif isinstance(instruction, Host):
                findings.at(core, pc, ["the host has no part in a program with phases"])
            elif type(instruction) in WRITES and begun:
                findings.at(core, pc, ["cells are written in the first phase only"])


def _memory(program: Program) -> Iterator[str]:
    constants, have = len(program.constants), program.target.chip.global_memory_bytes
    needed = constants + program.phases * (program.global_size - constants)
    if needed > have:
        yield (
            f"with {program.phases} phases as many inputs are on their way: together they need "
            f"{needed} bytes of global memory of {have}"
        )
