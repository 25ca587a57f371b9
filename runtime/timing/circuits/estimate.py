"""What a product costs on an array: parts that add up."""

from __future__ import annotations

import math
from dataclasses import dataclass

_UM2_PER_MM2 = 1e6


@dataclass(frozen=True)
class Part:
    """One component: energy and delay in one input step, and area."""

    name: str
    step_pj: float
    step_ns: float = 0.0
    um2: float = 0.0


@dataclass(frozen=True)
class Estimate:
    """One product with a whole array: the same parts work in each of `steps` input steps.

    A step takes the sum of the delays, as nothing is pipelined.
    """

    parts: tuple[Part, ...]
    steps: int

    def part(self, name: str) -> Part:
        """The component of that name."""
        return next(part for part in self.parts if part.name == name)

    @property
    def step_ns(self) -> float:
        """Time of one input step."""
        return math.fsum(part.step_ns for part in self.parts)

    @property
    def nanoseconds(self) -> float:
        """Time of the product."""
        return self.steps * self.step_ns

    @property
    def energy_pj(self) -> float:
        """Energy of the product."""
        return self.steps * math.fsum(part.step_pj for part in self.parts)

    @property
    def mm2(self) -> float:
        """Area of converters and logic, without the cells."""
        return math.fsum(part.um2 for part in self.parts) / _UM2_PER_MM2
