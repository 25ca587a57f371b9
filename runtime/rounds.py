"""Programs with phases or lags, executed as the chip runs them: in rounds, inputs side by side.

The machine takes inputs one for one through all of a program, which gives the same results if they
leave each other's memory alone. Here they do not: a core has one local memory, in which it works on
different inputs in turn, and every input on its way has its own global memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from imcc.isa.instructions import Phase, Recv, Send
from imcc.isa.program import Program
from imcc.isa.setup import setup_end
from imcc.isa.walk import Exchange, Operation, interleave, interleave_walks, walk_round

from .bindings import check_inputs, codes_of, place_of
from .checks import explained, parts
from .crossbar import Crossbars
from .memory import Elements, Memory, Place, layout_of
from .semantics import Chip, Integers, execute


def run_in_rounds(program: Program, inputs: Mapping[str, Elements]) -> dict[str, Elements]:
    """Output codes [batch, ...] by name for inputs [batch, ...] by name, as `Machine.run`.

    Executes literally, which is slow. Raises `MachineError` as the machine does.
    """
    batch = check_inputs(program, inputs)
    chips = _chips(program, batch)
    for number, chip in enumerate(chips):
        for binding in program.inputs:
            codes = codes_of(binding, np.asarray(inputs[binding.name][number : number + 1]))
            view = chip.memory.view(place_of(binding))
            view[...] = codes.reshape(view.shape)
    order = _with_lags(program, batch) if program.lags else _in_phases(program, batch)
    for number, operation in order:
        with explained(program, operation):
            execute(chips[number], operation)
    return {
        b.name: np.concatenate([chip.memory.view(place_of(b)) for chip in chips]).reshape(
            batch, *b.shape[1:]
        )
        for b in program.outputs
    }


def _in_phases(program: Program, batch: int) -> Iterator[tuple[int, Operation | Exchange]]:
    """All operations with their inputs, where all cores wait for each other behind each round."""
    order = tuple(_phases(program))
    for round_ in range(batch + program.phases - 1):
        for phase, operation in order:
            if 0 <= round_ - phase < batch:
                yield round_ - phase, operation


def _phases(program: Program) -> Iterator[tuple[int, Operation | Exchange]]:
    """The operations of a round, each with its phase."""
    phases: Counter[int] = Counter()
    for operation in interleave(program, in_rounds=True):
        core = parts(operation)[0].core
        yield phases[core], operation
        if isinstance(operation, Operation) and isinstance(operation.instruction, Phase):
            phases[core] += 1


@dataclass(frozen=True)
class _Numbered(Operation):
    """An operation for the input `number`."""

    number: int


def _with_lags(program: Program, batch: int) -> Iterator[tuple[int, Operation]]:
    """All operations with their inputs, where each core runs its rounds by itself."""
    walks: dict[int, Iterator[Operation]] = {
        core: _rounds(program, core, batch) for core in sorted(program.cores)
    }
    for operation in interleave_walks(walks, (Send, Recv)):
        for part in parts(operation):
            assert isinstance(part, _Numbered)
            yield part.number, part


def _rounds(program: Program, core: int, batch: int) -> Iterator[_Numbered]:
    """All operations of a core; those of the setup happen once."""
    code = program.cores[core]
    order, setup = tuple(walk_round(core, code)), setup_end(code, program.matrices)
    for round_ in range(batch + max((lag for lag, _ in order), default=0)):
        for lag, one in order:
            exists = 0 <= round_ - lag < batch
            if exists and not (round_ and one.pc < setup):
                streams, stage = one.streams, one.stage
                yield _Numbered(core, one.pc, one.instruction, streams, stage, round_ - lag)


def _chips(program: Program, batch: int) -> list[Chip]:
    """The chip as each input sees it: the global memory is its own, all else is there once."""
    operations: Iterable[Operation | Exchange] = interleave(program)
    places = (
        Place(part.core, stream)
        for operation in operations
        for part in parts(operation)
        for stream in part.streams.values()
    )
    layout, crossbars = layout_of(program, places), Crossbars(program.target)
    memories = [Memory(layout, 1) for _ in range(batch)]
    for memory in memories[1:]:
        memory.local = memories[0].local
    network: list[Integers] = []
    return [Chip(program, memory, crossbars, network) for memory in memories]
