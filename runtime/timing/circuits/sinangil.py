"""Sinangil JSSC'21: inputs as trains of pulses, so that energy depends on the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .analog import AnalogArray, Drive
from .silicon import (
    GOPS,
    TOPS_PER_WATT,
    Chip,
    Point,
    Series,
    at_supply,
    energy_point,
    operations,
    pj_per_product,
    time_point,
)
from .technology import Technology

_FULL_OUTPUT = 15
_ARRAY = AnalogArray(
    rows=64,
    outputs=16,
    weight_bits=4,
    input_bits=4,
    step_bits=4,
    sum_bits=4,
    adc_bits=4,
    drive=Drive.PULSES,
    technology=Technology(7),
)
_TABLE = (  # Table I
    (0.8, 15, 262.3),
    (0.8, 6, 351.0),
    (0.8, 0, 610.5),
    (1.0, 15, 189.3),
    (1.0, 6, 321.0),
    (1.0, 0, 435.5),
)
_BY_OUTPUT = (  # Fig. 13a, without the points of Table I
    (1, 4.563),
    (2, 5.033),
    (4, 5.443),
    (8, 6.285),
    (10, 6.657),
    (12, 7.044),
)
_BY_SUPPLY = (  # Fig. 13b, without the point of Table I at 0.8 V
    (0.65, 5.109),
    (0.7, 5.875),
    (0.75, 6.797),
    (0.85, 9.031),
    (0.9, 10.25),
    (0.95, 11.75),
    (1.0, 13.125),
)
_THROUGHPUT = ((0.8, 372.4), (1.0, 455.1))


def _at(vdd: float, output: int) -> AnalogArray:
    """Inputs and weights are both the root of the mean output, as CiMLoop takes them."""
    level = (output / _FULL_OUTPUT) ** 0.5
    return replace(at_supply(_ARRAY, vdd), input_level=level, weight_level=level)


def _energies() -> Iterator[Point]:
    product = pj_per_product(operations(_ARRAY))
    for vdd, output, efficiency in _TABLE:
        condition = f"{vdd} V, output {output}"
        yield energy_point(_at(vdd, output), condition, TOPS_PER_WATT, efficiency)
    for output, energy in _BY_OUTPUT:
        yield energy_point(_at(0.8, output), f"0.8 V, output {output} (Fig. 13a)", product, energy)
    for vdd, energy in _BY_SUPPLY:
        condition = f"{vdd} V, output {_FULL_OUTPUT} (Fig. 13b)"
        yield energy_point(_at(vdd, _FULL_OUTPUT), condition, product, energy)


def _times() -> Iterator[Point]:
    for vdd, throughput in _THROUGHPUT:
        yield time_point(_at(vdd, _FULL_OUTPUT), f"{vdd} V", GOPS, throughput)


SINANGIL = Chip(
    "Sinangil JSSC'21",
    "Sinangil et al., JSSC 2021: 7 nm SRAM, inputs as pulses, 4 by 4 bits",
    "64 x 16 weights of 4 cells, a 4-bit ADC a column of weights, the mean output",
    "one factor for energy and one for time, at 0.8 V with output 15",
    "The publication has two values for 1 V and output 15: 10.8 pJ in Table I and 13.1 pJ in "
    "Fig. 13b",
    (Series("energy", tuple(_energies())), Series("time", tuple(_times()))),
)
