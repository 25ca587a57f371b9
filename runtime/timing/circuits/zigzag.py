"""ZigZag's own values for one product of 128 inputs and 128 outputs, 8 by 8 bits.

From its tests `tests/main/test_imc/test_{aimc,dimc}.py`, and from runs of its `ImcArray`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .analog import AnalogArray
from .digital import DigitalArray


@dataclass(frozen=True)
class Golden:
    """An array and what ZigZag says of it, as far as it is published."""

    name: str
    array: AnalogArray | DigitalArray
    energy_nj: float
    step_ns: float | None = None
    mm2: float | None = None


GOLDEN = (
    Golden("analog, 2 bits a step, 8-bit ADC", AnalogArray(128, 128), 3.41, 14.07244, 2.28781),
    Golden("analog, 1 bit a step, 8-bit ADC", AnalogArray(128, 128, step_bits=1), 6.73),
    Golden("analog, 1 bit a step, 6-bit ADC", AnalogArray(128, 128, step_bits=1, adc_bits=6), 4.93),
    Golden("digital, 1 bit a step", DigitalArray(128, 128), 4.38, 3.75708, 0.80181),
)
