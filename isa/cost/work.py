"""What operations do, in countable units, and what that costs in energy."""

from __future__ import annotations

import math
from operator import add
from typing import NamedTuple

from ..target import Energy

# Decimal target numbers are not exact in binary; what is this close to a whole cycle is one.
_CYCLE_DIGITS = 6


class Work(NamedTuple):
    """Counts of one operation, or of many together.

    `conversions` are made by converters, `shift_adds` count partial sums of columns,
    `row_steps` rows driven for one input step, `array_steps` reads of one array. `noc_bytes`
    count once a hop.
    """

    cycles: int = 0
    windows: int = 0
    macs: int = 0
    conversions: int = 0
    row_steps: int = 0
    array_steps: int = 0
    shift_adds: int = 0
    vector_ops: int = 0
    local_bytes: int = 0
    global_bytes: int = 0
    noc_bytes: int = 0
    cells: int = 0

    @property
    def bytes_moved(self) -> int:
        """Bytes read and written in memories, and bytes sent, once a hop."""
        return self.local_bytes + self.global_bytes + self.noc_bytes

    def plus(self, other: Work) -> Work:
        """The sum, count by count."""
        return Work._make(map(add, self, other))

    def times(self, count: int) -> Work:
        """The work of `count` such operations."""
        return Work._make(count * value for value in self)


def energies(work: Work, energy: Energy) -> tuple[tuple[str, float], ...]:
    """Energy in pJ of each component of the chip, by name."""
    return (
        ("converters", work.conversions * energy.e_adc_pj),
        ("row drivers", work.row_steps * energy.e_row_step_pj),
        ("arrays", work.array_steps * energy.e_array_step_pj),
        ("shift and add", work.shift_adds * energy.e_shift_add_pj),
        ("vector unit", work.vector_ops * energy.e_vector_op_pj),
        ("local memory", work.local_bytes * energy.e_local_byte_pj),
        ("global memory", work.global_bytes * energy.e_global_byte_pj),
        ("network", work.noc_bytes * energy.e_noc_byte_pj),
        ("cell writing", work.cells * energy.e_write_cell_pj),
    )


def energy_pj(work: Work, energy: Energy) -> float:
    """Energy in pJ of all components together."""
    return math.fsum(value for _, value in energies(work, energy))


def whole_cycles(cycles: float) -> int:
    """Cycles rounded up to a whole number.

    >>> whole_cycles(3 * 0.1 * 10), whole_cycles(3.2)
    (3, 4)
    """
    return math.ceil(round(cycles, _CYCLE_DIGITS))
