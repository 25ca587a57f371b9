"""Programs whose operations lag: what else they must keep.

In rounds a core works on several inputs at a time. Each must find what it would find alone: in the
local memory, of which there is one for all (`owners.py`), and in what cores send each other
(`meetings.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..instruction import Instruction
from ..instructions import Barrier, Host, Lag, Load, Loop, Phase
from ..matrix import Matrix
from ..program import Program
from ..setup import WRITES, setup_end
from ..walk import Operation, walk_round
from .findings import Findings
from .meetings import Message, check_meetings, messages
from .memory import footprint
from .owners import Round, local_size, overwritten, written


def check_lags(program: Program, findings: Findings) -> None:
    """Check where lags and writes lie, and that nothing else waits for all cores."""
    if not any(Lag in set(map(type, code)) for code in program.cores.values()):
        return
    for core, code in sorted(program.cores.items()):
        setup, looped = setup_end(code, program.matrices), 0
        for pc, instruction in enumerate(code):
            if isinstance(instruction, Loop):
                looped = max(looped, pc + 1 + instruction.body)
            findings.at(core, pc, _place(instruction, pc < looped, pc < setup))


def _place(instruction: Instruction, looped: bool, setup: bool) -> Iterator[str]:
    if isinstance(instruction, Lag) and looped:
        yield "lag is not allowed in a loop"
    elif isinstance(instruction, (Barrier, Host, Phase)):
        yield f"a program with lags has no {instruction.mnemonic}"
    elif type(instruction) in WRITES and not setup:
        yield "with lags cells are written at the beginning only, before anything else is done"


def check_rounds(program: Program, findings: Findings) -> None:
    """Check that rounds mean the same as one input after the other, of a program else valid."""
    if not program.lags:
        return
    met: dict[int, tuple[Message, ...]] = {}
    for core, code in sorted(program.cores.items()):
        setup, operations = _apart(core, code, program.matrices)
        met[core] = messages(operations)
        for operation, problem in _not_for_all(setup, operations, len(program.constants)):
            findings.at_operation(operation, [problem])
        if len({lag for lag, _ in operations}) > 1:
            for operation, problem in overwritten(operations):
                findings.at_operation(operation, [problem])
    check_meetings(met, findings)


def _apart(
    core: int, code: tuple[Instruction, ...], matrices: Sequence[Matrix]
) -> tuple[Round, Round]:
    """What happens once, and what happens in every round."""
    end = setup_end(code, matrices)
    operations = tuple(walk_round(core, code))
    count = sum(operation.pc < end for _, operation in operations)
    return operations[:count], operations[count:]


def _not_for_all(
    setup: Round, operations: Round, constants: int
) -> Iterator[tuple[Operation, str]]:
    """What is loaded once must be the same for all inputs, and stay."""
    loads = [one for _, one in setup if isinstance(one.instruction, Load)]
    kept = np.zeros(local_size((*setup, *operations)), np.bool_)
    for one in loads:
        if one.streams["src"].extent[1] > constants:
            yield one, "what is loaded before the first lag must be constant: it is loaded once"
        footprint(one.streams["dst"]).view(kept)[...] = True
    for _, one in operations if loads else ():
        dst = written(one)
        if dst is None or not kept[slice(*dst.extent)].any():
            continue
        if footprint(dst).view(kept).any():
            yield one, "it writes over what is loaded before the first lag, which happens once"
