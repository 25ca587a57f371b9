"""Rows of a table by index as one step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imcc.isa.walk import Operation

from .checks import explained
from .memory import Place
from .semantics import check_indices
from .steps import Run, Worker, reshaped


@dataclass(frozen=True)
class GatherStep:
    """Copies rows of `table`, which has `rows` of them; `operation` is what an error names."""

    operation: Operation
    src: Place
    table: Place
    dst: Place
    rows: int

    @property
    def reads(self) -> tuple[Place, ...]:
        """See `Step`."""
        return (self.src, self.table)

    @property
    def writes(self) -> tuple[Place, ...]:
        """See `Step`."""
        return (self.dst,)

    def bind(self, worker: Worker) -> Run:
        """See `Step`."""
        memory = worker.memory
        dst = memory.view(self.dst)
        src = reshaped(memory.view(self.src), (memory.batch, -1))
        table = reshaped(memory.view(self.table), (memory.batch, self.rows, -1))

        def run() -> None:
            indices = src()
            with explained(worker.chip.program, self.operation):
                check_indices(indices, self.rows)
            found = [one[index] for one, index in zip(table(), indices, strict=True)]
            np.copyto(dst, np.stack(found).reshape(dst.shape))

        return run
