"""Measured points of a chip against the model: one factor from the first, the rest predicted.

Points of a `Series` share one factor. It makes the model meet the first point in the order of
publication, whichever that is, and is applied unchanged to all others. It stands for what the
model does not know of the chip: wires, control, activity, margins.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from .analog import AnalogArray


@dataclass(frozen=True)
class Unit:
    """What a publication states; `per_cost` tells operations a cost from costs an operation."""

    name: str
    scale: float
    per_cost: bool

    def value(self, cost: float, operations: float) -> float:
        """The stated value of a product that costs so many pJ or ns.

        >>> TOPS_PER_WATT.value(cost=10.0, operations=2048)
        204.8
        """
        return self.scale * (operations / cost if self.per_cost else cost / operations)


TOPS_PER_WATT = Unit("TOPS/W", 1.0, per_cost=True)
TOPS = Unit("TOPS", 1e-3, per_cost=True)
GOPS = Unit("GOPS", 1.0, per_cost=True)
FJ_PER_MAC = Unit("fJ/MAC", 2000.0, per_cost=False)


def pj_per_product(operations: float) -> Unit:
    """Energy of a product of so many operations."""
    return Unit("pJ", operations, per_cost=False)


def tops_per_mm2(mm2: float) -> Unit:
    """Throughput of a macro of that area."""
    return Unit("TOPS/mm2", 1e-3 / mm2, per_cost=True)


@dataclass(frozen=True)
class Point:
    """One published value, and what the model says before the factor: pJ or ns a product."""

    condition: str
    unit: Unit
    published: float
    operations: float
    cost: float


def energy_point(array: AnalogArray, condition: str, unit: Unit, published: float) -> Point:
    """A point about the energy of a product with the whole array."""
    return Point(condition, unit, published, operations(array), array.estimate().energy_pj)


def time_point(array: AnalogArray, condition: str, unit: Unit, published: float) -> Point:
    """A point about the time of a product with the whole array."""
    return Point(condition, unit, published, operations(array), array.estimate().nanoseconds)


def operations(array: AnalogArray) -> int:
    """Multiplications and additions of a product."""
    return 2 * array.rows * array.outputs


def at_supply(array: AnalogArray, vdd: float) -> AnalogArray:
    """The array at another voltage."""
    return replace(array, technology=replace(array.technology, vdd=vdd))


@dataclass(frozen=True)
class Comparison:
    """A point, the model's value in the same unit, and whether the point fixed the factor."""

    point: Point
    model: float
    fitted: bool

    @property
    def error(self) -> float:
        """Signed relative error."""
        return self.model / self.point.published - 1


@dataclass(frozen=True)
class Series:
    """Points that share one factor; the first fixes it."""

    quantity: str
    points: tuple[Point, ...]

    @property
    def factor(self) -> float:
        """Cost of the first point as published over cost in the model."""
        first = self.points[0]
        ratio = first.unit.value(first.cost, first.operations) / first.published
        return ratio if first.unit.per_cost else 1 / ratio

    def compare(self) -> tuple[Comparison, ...]:
        """Every point with the fitted model."""
        return tuple(
            Comparison(p, p.unit.value(p.cost * self.factor, p.operations), index == 0)
            for index, p in enumerate(self.points)
        )


@dataclass(frozen=True)
class Chip:
    """A measured chip: what is published of its circuit, what was fitted, and its points.

    `remark` says what to know when reading the errors.
    """

    name: str
    citation: str
    published: str
    fitted: str
    remark: str
    series: tuple[Series, ...]

    def compare(self) -> tuple[Comparison, ...]:
        """Every point of every series."""
        return tuple(row for series in self.series for row in series.compare())


def mean_error(rows: Iterable[Comparison]) -> float:
    """Mean absolute relative error of the points that were predicted."""
    errors = [abs(row.error) for row in rows if not row.fitted]
    return math.fsum(errors) / len(errors)
