"""Analog arrays: charge on bit lines, converters, and digital sums over places and steps.

A converter of b bits takes (100 b + 0.001 4^b) fF V^2, b (0.00653 rows + 0.640) ns and
10^(1.206 - 0.0369 b) 2^b um2; a DAC of more than one bit takes 50 b fF V^2. These constants are
ZigZag's, fitted by its authors on chips of 28 nm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import ceil

from .adders import Tree, accumulators, place_value_tree
from .estimate import Estimate, Part
from .technology import Technology

CONVERTERS, DRIVERS = "converters", "row drivers"
PRODUCTS, BIT_LINES, PLACE_SUMS = "products", "bit lines", "place sums"


class Drive(Enum):
    """How several input bits enter a row in one step."""

    LEVELS = "levels of a DAC"
    PULSES = "unit pulses"


@dataclass(frozen=True)
class AnalogArray:
    """An analog array of `rows` by `outputs` weights; `step_bits` input bits enter at a time.

    A weight takes `weight_bits / cell_bits` cells; `sum_bits` bits of it meet before a converter
    (ZigZag: one), and digital adders join the rest. `converters` are shared by all columns, one
    round after the other; by default each column sum has its own. `cell_ff` is what a cell
    charges, by default its piece of bit line. `input_level` and `weight_level` are the means of
    the values over full scale: they weigh what depends on data, which is with `Drive.PULSES`
    the word lines too; at the default of one everything switches, as in ZigZag.
    """

    rows: int
    outputs: int
    weight_bits: int = 8
    input_bits: int = 8
    step_bits: int = 2
    adc_bits: int = 8
    cell_bits: int = 1
    sum_bits: int = 1
    drive: Drive = Drive.LEVELS
    converters: int | None = None
    cell_ff: float | None = None
    input_level: float = 1.0
    weight_level: float = 1.0
    technology: Technology = field(default_factory=Technology)

    @property
    def steps(self) -> int:
        """Input steps of a product."""
        return ceil(self.input_bits / self.step_bits)

    @property
    def sums(self) -> int:
        """Column sums that are converted in a step."""
        return self.outputs * self._places

    @property
    def rounds(self) -> int:
        """Conversions that follow each other in a step."""
        return ceil(self.sums / (self.converters or self.sums))

    def estimate(self) -> Estimate:
        """Energy, delay and area of every part."""
        place = place_value_tree(self._places, self.adc_bits, self.technology)
        parts = [
            self._drivers(),
            self._products(),
            self._bit_lines(),
            self._converters(),
            place.part(PLACE_SUMS, self.outputs, self.technology),
        ]
        if self.steps > 1:
            parts.append(self._accumulators(place))
        return Estimate(tuple(parts), self.steps)

    @property
    def _places(self) -> int:
        return ceil(self.weight_bits / self.sum_bits)

    @property
    def _row_cells(self) -> int:
        return self.outputs * ceil(self.weight_bits / self.cell_bits)

    @property
    def _pulses(self) -> int:
        return (1 << self.step_bits) - 1 if self.drive is Drive.PULSES else 1

    def _drivers(self) -> Part:
        if self.drive is Drive.PULSES:
            charge = self._row_cells * self.technology.line_ff * self._pulses * self.input_level
        else:
            charge = dac_ff(self.step_bits)
        return Part(DRIVERS, self.technology.energy_pj(self.rows * charge))

    def _products(self) -> Part:
        technology, cells = self.technology, self.rows * self._row_cells
        return Part(
            PRODUCTS,
            technology.energy_pj(cells * technology.multiplier_ff),
            technology.nand_ns * self._pulses,
            cells * technology.multiplier_um2,
        )

    def _bit_lines(self) -> Part:
        charge = self.technology.line_ff if self.cell_ff is None else self.cell_ff
        times = self._pulses * self.input_level * self.weight_level
        cells = self.rows * self._row_cells
        return Part(BIT_LINES, self.technology.energy_pj(cells * charge * times))

    def _converters(self) -> Part:
        return Part(
            CONVERTERS,
            self.technology.energy_pj(self.sums * adc_ff(self.adc_bits)),
            self.rounds * adc_ns(self.adc_bits, self.rows) * self.technology.slowness,
            (self.converters or self.sums) * adc_um2(self.adc_bits),
        )

    def _accumulators(self, place: Tree) -> Part:
        bits = self.input_bits + self.adc_bits + self.weight_bits
        return accumulators(self.outputs, bits, place.result_bits, self.technology)


def adc_ff(bits: int) -> float:
    """Capacitance that one conversion charges."""
    return 100 * bits + 0.001 * 4.0**bits


def adc_ns(bits: int, rows: int) -> float:
    """Time of one conversion at 28 nm and 0.9 V, the settling of a column of `rows` included."""
    return bits * (0.00653 * rows + 0.640)


def adc_um2(bits: int) -> float:
    """Area of a converter; one of a single bit is a sense amplifier, which counts as nothing."""
    return float(10 ** (1.206 - 0.0369 * bits) * 2**bits) if bits > 1 else 0.0


def dac_ff(bits: int) -> float:
    """Capacitance that one input value charges; one bit needs no DAC."""
    return 50.0 * bits if bits > 1 else 0.0
