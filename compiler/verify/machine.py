"""Running programs on samples: inputs by binding, batch by batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imcc.isa import Program
from imcc.runtime import Machine

from ..data import Samples, find_beside, load_samples, random_samples, with_rows
from ..ir import Array, DType, TensorType, Value
from ..options import read_facts


def program_inputs(program: Program) -> tuple[Value, ...]:
    """The inputs of a program as values, for reading samples, in the types that the host has."""
    types = (TensorType(DType[b.dtype.name], b.shape) for b in program.inputs)
    return tuple(Value(b.name, type_) for b, type_ in zip(program.inputs, types, strict=True))


def load_program_samples(path: Path, program: Program) -> Samples:
    """Samples for a program from a data file; indices are checked where the program notes them."""
    samples = load_samples(path, program_inputs(program))
    noted = "indices" in dict(program.notes)
    return with_rows(samples, read_facts(program).indices, str(path)) if noted else samples


def find_samples(
    program: Program, model: Path, data: Path | None, seed: int, count: int
) -> Samples:
    """Samples from `data`, from the data file beside the model, or else seeded random ones."""
    path = data or find_beside(model)
    if path is None:
        indices = read_facts(program).indices
        return random_samples(program_inputs(program), seed, count, indices)
    return load_program_samples(path, program)


def run_all(
    program: Program, samples: Samples, codes: bool = False, threads: int | None = None
) -> dict[str, Array]:
    """Outputs [samples, ...] by name: real values, or codes."""
    machine = Machine(program, threads=threads)
    parts = [machine.run(batch, codes=codes) for batch in samples.batches()]
    return {b.name: np.concatenate([part[b.name] for part in parts]) for b in program.outputs}
