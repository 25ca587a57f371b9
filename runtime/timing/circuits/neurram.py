"""NeuRRAM: integrating neurons, whose time and energy go by the number of their small steps.

An input of b bits has b - 1 bits of magnitude (at least one). In one phase, n of them are
integrated in 2^n - 1 samples; with two phases, which begin at four bits of magnitude, the bits
are halved. Each phase takes a change, its samples, and a charge decrement for every output bit
that earlier phases have not yet given.
"""

from __future__ import annotations

from dataclasses import dataclass

from .analog import adc_ff
from .silicon import TOPS, TOPS_PER_WATT, Chip, Point, Series
from .technology import Technology

_ROWS, _COLUMNS, _CORES = 256, 256, 48
_OPERATIONS = _ROWS * _COLUMNS  # two of a weight, which is a pair of rows
_WORD_LINE_FF = 48 + (1.5 + 0.6) * _COLUMNS
_READ_V = 0.5
_TECHNOLOGY = Technology(130, 1.8)
_ONE_PHASE_BITS = 3


@dataclass(frozen=True)
class _Mode:
    """How the neurons were set."""

    outputs: int
    inputs: int
    two_phases: bool = True

    @property
    def magnitude(self) -> int:
        return max(1, self.inputs - 1)

    @property
    def phases(self) -> tuple[int, ...]:
        """Bits of magnitude of each phase."""
        bits = self.magnitude
        if not self.two_phases or bits <= _ONE_PHASE_BITS:
            return (bits,)
        return (bits - bits // 2, bits // 2)

    @property
    def samples(self) -> int:
        return sum((1 << bits) - 1 for bits in self.phases)

    @property
    def decrements(self) -> int:
        return sum(self.outputs - sum(self.phases[:index]) for index in range(len(self.phases)))

    @property
    def energy_pj(self) -> float:
        """Word lines and source lines switch once a bit, converters once a decrement."""
        lines = _COLUMNS * _TECHNOLOGY.energy_pj(_WORD_LINE_FF)
        pulses = Technology(_TECHNOLOGY.node_nm, _READ_V).energy_pj(
            _ROWS * _COLUMNS * _TECHNOLOGY.line_ff
        )
        converters = _COLUMNS * _TECHNOLOGY.energy_pj(adc_ff(1)) * self.decrements
        return self.magnitude * (lines + pulses) + converters

    @property
    def micro_steps(self) -> int:
        """Phase changes, samples and decrements: each is taken to last equally long."""
        return len(self.phases) + self.samples + self.decrements

    def __str__(self) -> str:
        phase = "" if self.two_phases else ", one phase"
        return f"input {self.inputs} b, output {self.outputs} b{phase}"


_POINTS = (
    (_Mode(3, 1), 2.12231, 43.0788),
    (_Mode(4, 2), 1.79308, 40.3341),
    (_Mode(5, 3), 1.16540, 23.0907),
    (_Mode(6, 4), 0.743868, 15.9541),
    (_Mode(7, 5), 0.525409, 11.0317),
    (_Mode(8, 6), 0.417718, 8.25720),
    (_Mode(9, 7), 0.343873, 7.75004),
    (_Mode(10, 8), 0.263874, 6.43739),
    (_Mode(7, 5, two_phases=False), 0.451564, 11.3300),
    (_Mode(8, 6, two_phases=False), 0.260798, 9.12235),
)

NEURRAM = Chip(
    "NeuRRAM",
    "Wan et al., Nature 608, 2022: 130 nm RRAM, 48 cores, 4-bit weights in pairs of rows",
    "256 x 256 cells, 48 fF a word line driver and 2.1 fF a cell on it, 1.8 V, read at 0.5 V, "
    "the order of phases, samples and decrements",
    "one factor for energy, and the time of one small step of a neuron in ns, with 1 input bit and "
    "3 output bits",
    "That phase changes, samples and decrements last equally long is read from the points",
    (
        Series(
            "energy",
            tuple(Point(str(m), TOPS_PER_WATT, w, _OPERATIONS, m.energy_pj) for m, _, w in _POINTS),
        ),
        Series(
            "time",
            tuple(
                Point(str(m), TOPS, t, _CORES * _OPERATIONS, m.micro_steps) for m, t, _ in _POINTS
            ),
        ),
    ),
)
