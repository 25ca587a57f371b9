"""Jia JSSC'20: a capacitor at every cell, all rows at once, an ADC for every column."""

from __future__ import annotations

from .analog import AnalogArray
from .silicon import TOPS, TOPS_PER_WATT, Chip, Series, at_supply, energy_point, time_point
from .technology import Technology

_ARRAY = AnalogArray(
    rows=2304,
    outputs=256,
    weight_bits=1,
    input_bits=1,
    step_bits=1,
    cell_ff=2.0,
    technology=Technology(65),
)
_POINTS = ((0.85, 0.874, 400.0), (1.2, 2.185, 192.0))

JIA = Chip(
    "Jia JSSC'20",
    "Jia et al., JSSC 2020: 65 nm SRAM with capacitors, 1 by 1 bit",
    "2304 x 256 cells, an 8-bit ADC a column, 2 fF a cell",
    "one factor for energy and one for time, at 0.85 V",
    "Throughput at 1.2 V follows the clock that was set, 2.5 times that at 0.85 V; the delay law "
    "knows the gates only",
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
                time_point(at_supply(_ARRAY, vdd), f"{vdd} V", TOPS, tops)
                for vdd, tops, _ in _POINTS
            ),
        ),
    ),
)
