"""Programs with phases, executed as the chip runs them: round by round, inputs side by side.

The machine takes inputs one for one through all phases, which gives the same results if phases
leave each other's memory alone. Here they do not: a core has one local memory, in which its phases
follow each other on different inputs, and every input on its way has its own global memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from imcc.isa.instructions import Phase
from imcc.isa.program import Program
from imcc.isa.walk import Exchange, Operation, interleave

from .bindings import check_inputs, codes_of, place_of
from .checks import explained, parts
from .crossbar import Crossbars
from .memory import Elements, Memory, Place, layout_of
from .semantics import Chip, execute


def run_in_rounds(program: Program, inputs: Mapping[str, Elements]) -> dict[str, Elements]:
    """Output codes [batch, ...] by name for inputs [batch, ...] by name, as `Machine.run`.

    Executes literally, which is slow. Raises `MachineError` as the machine does.
    """
    batch = check_inputs(program, inputs)
    order = tuple(_in_phases(program))
    chips = _chips(program, order, batch)
    for number, chip in enumerate(chips):
        for binding in program.inputs:
            codes = codes_of(binding, np.asarray(inputs[binding.name][number : number + 1]))
            view = chip.memory.view(place_of(binding))
            view[...] = codes.reshape(view.shape)
    for round_ in range(batch + program.phases - 1):
        for phase, operation in order:
            if 0 <= round_ - phase < batch:
                with explained(program, operation):
                    execute(chips[round_ - phase], operation)
    return {
        b.name: np.concatenate([chip.memory.view(place_of(b)) for chip in chips]).reshape(
            batch, *b.shape[1:]
        )
        for b in program.outputs
    }


def _in_phases(program: Program) -> Iterator[tuple[int, Operation | Exchange]]:
    """The operations of a round, each with its phase."""
    phases: Counter[int] = Counter()
    for operation in interleave(program, in_rounds=True):
        core = parts(operation)[0].core
        yield phases[core], operation
        if isinstance(operation, Operation) and isinstance(operation.instruction, Phase):
            phases[core] += 1


def _chips(
    program: Program, order: tuple[tuple[int, Operation | Exchange], ...], batch: int
) -> list[Chip]:
    """The chip as each input sees it: the global memory is its own, all else is there once."""
    places = (
        Place(part.core, stream)
        for _, operation in order
        for part in parts(operation)
        for stream in part.streams.values()
    )
    layout, crossbars = layout_of(program, places), Crossbars(program.target)
    memories = [Memory(layout, 1) for _ in range(batch)]
    for memory in memories[1:]:
        memory.local = memories[0].local
    return [Chip(program, memory, crossbars) for memory in memories]
