"""Programs whose operations lag: what else they must keep, and what a local memory must.

In rounds a core works on several inputs at a time, in one local memory. What an input does with a
byte must be over before the next input writes it: then each finds what it left there, as if inputs
came one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..fields import Space
from ..instruction import Instruction
from ..instructions import Barrier, Host, Lag, Load, Loop, Phase, Write
from ..program import Program
from ..setup import setup_end
from ..walk import Operation, walk_round
from .findings import Findings
from .meetings import Message, check_meetings, messages

Round = Sequence[tuple[int, Operation]]
Times = NDArray[np.int64]
_NEVER = 1 << 62
_RULE = "all that an input does with a byte must come before"


def check_lags(program: Program, findings: Findings) -> None:
    """Check where lags and writes lie, and that nothing else waits for all cores."""
    if not any(Lag in set(map(type, code)) for code in program.cores.values()):
        return
    for core, code in sorted(program.cores.items()):
        setup, looped = setup_end(code), 0
        for pc, instruction in enumerate(code):
            if isinstance(instruction, Loop):
                looped = max(looped, pc + 1 + instruction.body)
            findings.at(core, pc, _place(instruction, pc < looped, pc < setup))


def _place(instruction: Instruction, looped: bool, setup: bool) -> Iterator[str]:
    if isinstance(instruction, Lag) and looped:
        yield "lag is not allowed in a loop"
    elif isinstance(instruction, (Barrier, Host, Phase)):
        yield f"a program with lags has no {instruction.mnemonic}"
    elif isinstance(instruction, Write) and not setup:
        yield "with lags cells are written at the beginning only, before anything else is done"


def check_rounds(program: Program, findings: Findings) -> None:
    """Check that rounds mean the same as one input after the other, of a program else valid."""
    if not program.lags:
        return
    met: dict[int, tuple[Message, ...]] = {}
    for core, code in sorted(program.cores.items()):
        setup, operations = _apart(core, code)
        met[core] = messages(operations)
        for operation, problem in _not_for_all(setup, operations, len(program.constants)):
            findings.at_operation(operation, [problem])
        if any(lag for lag, _ in operations):
            for operation, problem in _conflicts(operations):
                findings.at_operation(operation, [problem])
    check_meetings(met, findings)


def _apart(core: int, code: tuple[Instruction, ...]) -> tuple[Round, Round]:
    """What happens once, and what happens in every round."""
    end = setup_end(code)
    operations = tuple(walk_round(core, code))
    count = sum(operation.pc < end for _, operation in operations)
    return operations[:count], operations[count:]


def _not_for_all(
    setup: Round, operations: Round, constants: int
) -> Iterator[tuple[Operation, str]]:
    """What is loaded once must be the same for all inputs, and stay."""
    loads = [one for _, one in setup if isinstance(one.instruction, Load)]
    for one in loads:
        if one.streams["src"].extent[1] > constants:
            yield one, "what is loaded before the first lag must be constant: it is loaded once"
    held = [one.streams["dst"].extent for one in loads]
    kept = np.zeros(max((high for _, high in held), default=0), bool)
    for low, high in held:
        kept[low:high] = True
    for _, one in operations if held else ():
        stream = one.streams.get("dst")
        if stream is not None and stream.space is Space.LOCAL and kept[slice(*stream.extent)].any():
            yield one, "it writes over what is loaded before the first lag, which happens once"


def _conflicts(operations: Round) -> Iterator[tuple[Operation, str]]:
    """Operations that come too late, and what is wrong with each.

    Bytes are read only where they have been written before for the same input. So it is enough that
    the last use of a byte comes before the next input writes it first. Times count the operations
    of all rounds; those of the next input are `length` later.
    """
    length = len(operations)
    last, first_write = _uses(operations)
    late = np.flatnonzero(last >= length + first_write)
    times, places = np.unique(last[late], return_index=True)
    for time, byte in zip(times.tolist(), late[places].tolist(), strict=True):
        _, operation = operations[time % length]
        _, writer = operations[int(first_write[byte]) % length]
        written = f"{writer.instruction} at {writer.pc} has written it for the next input"
        yield operation, f"it uses byte {byte} of local memory after {written}; {_RULE}"


def _uses(operations: Round) -> tuple[Times, Times]:
    """When an input uses each byte of a local memory last, and when it writes it first."""
    uses = list(_local(operations))
    size = max((high for _, _, (_, high) in uses), default=0)
    last, first_write = np.full(size, -1), np.full(size, _NEVER)
    for time, writes, (low, high) in uses:
        np.maximum(last[low:high], time, out=last[low:high])
        if writes:
            np.minimum(first_write[low:high], time, out=first_write[low:high])
    return last, first_write


def _local(operations: Round) -> Iterator[tuple[int, bool, tuple[int, int]]]:
    """The time of each local operand, whether it is written, and its range of bytes."""
    for position, (lag, operation) in enumerate(operations):
        time = lag * len(operations) + position
        for name, stream in operation.streams.items():
            if stream.space is Space.LOCAL:
                yield time, name == "dst", stream.extent
