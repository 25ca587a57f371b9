"""Wang VLSI'22: multi-bit inputs from DACs, weights on ladders of capacitors, one ADC a column."""

from __future__ import annotations

from .analog import AnalogArray
from .silicon import (
    TOPS_PER_WATT,
    Chip,
    Series,
    at_supply,
    energy_point,
    time_point,
    tops_per_mm2,
)
from .technology import Technology

_UNIT_FF = 2.0
_UNITS_PER_CELL = 3  # C and 2C
_ARRAY = AnalogArray(
    rows=64,
    outputs=16,
    step_bits=8,
    sum_bits=8,
    cell_ff=_UNITS_PER_CELL * _UNIT_FF,
    technology=Technology(22),
)
_DENSITY = tops_per_mm2(0.124)
_POINTS = (
    (0.7, 2.377, 31.998),
    (0.8, 2.858, 22.590),
    (0.9, 3.200, 18.439),
    (1.0, 3.596, 16.376),
    (1.1, 3.941, 15.467),
)

WANG = Chip(
    "Wang VLSI'22",
    "Wang et al., VLSI 2022: 22 nm SRAM with C-2C ladders, 8 by 8 bits",
    "64 x 16 weights at a time, 8-bit DACs, an 8-bit ADC a column of weights, unit capacitors of "
    "2 fF, 0.124 mm2",
    "one factor for energy and one for time, at 0.7 V",
    "The published energy grows a little slower than the square of the voltage",
    (
        Series(
            "energy",
            tuple(
                energy_point(at_supply(_ARRAY, vdd), f"{vdd} V", TOPS_PER_WATT, efficiency)
                for vdd, _, efficiency in _POINTS
            ),
        ),
        Series(
            "time",
            tuple(
                time_point(at_supply(_ARRAY, vdd), f"{vdd} V", _DENSITY, density)
                for vdd, density, _ in _POINTS
            ),
        ),
    ),
)
