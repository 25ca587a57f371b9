"""Running programs on samples: inputs by binding, batch by batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imcc.isa import ElementType, Program
from imcc.runtime import Machine

from ..data import Samples, find_beside, load_samples, random_samples
from ..ir import Array, DType, TensorType, Value

_CODES = {ElementType.U8: DType.U8, ElementType.I8: DType.I8}


def program_inputs(program: Program) -> tuple[Value, ...]:
    """The inputs of a program as values, for reading samples: reals, or the codes themselves."""
    return tuple(
        Value(b.name, TensorType(DType.F32 if b.scale else _CODES[b.element], b.shape))
        for b in program.inputs
    )


def load_program_samples(path: Path, program: Program) -> Samples:
    """Samples for a program from a data file."""
    return load_samples(path, program_inputs(program))


def find_samples(
    program: Program, model: Path, data: Path | None, seed: int, count: int
) -> Samples:
    """Samples from `data`, from the data file beside the model, or else seeded random ones."""
    path = data or find_beside(model)
    if path is None:
        return random_samples(program_inputs(program), seed, count)
    return load_program_samples(path, program)


def run_all(
    program: Program, samples: Samples, codes: bool = False, threads: int | None = None
) -> dict[str, Array]:
    """Outputs [samples, ...] by name: real values, or codes."""
    machine = Machine(program, threads=threads)
    parts = [machine.run(batch, codes=codes) for batch in samples.batches()]
    return {b.name: np.concatenate([part[b.name] for part in parts]) for b in program.outputs}
