"""Colonnade: a full adder and a one-bit product at every cell, sums running through the array.

A weight of b bits takes b + 7 columns, so that 128 products fit, and as many weights as fit lie
beside each other. Inputs are bit-serial, and the whole array switches for every bit.
"""

from __future__ import annotations

from .silicon import FJ_PER_MAC, Chip, Point, Series
from .technology import Technology

_ROWS, _COLUMNS = 128, 128
_CARRY_COLUMNS = 7
# Inputs and weights of 1 to 16 bits, fJ/MAC.
_PUBLISHED = {
    0.6: (
        *(17.132, 39.750, 72.359, 104.127, 143.177, 198.370, 215.625, 292.027),
        *(310.290, 420.233, 439.794, 613.967, 632.874, 642.545, 960.366, 989.941),
    ),
    0.7: (
        *(42.558, 101.785, 183.884, 260.631, 369.410, 507.946, 543.820, 725.425),
        *(788.527, 1067.923, 1109.189, 1536.767, 1584.092, 1645.303, 2459.118, 2515.699),
    ),
    0.8: (
        *(68.101, 161.645, 292.027, 423.432, 591.125, 788.527, 844.218, 1169.653),
        *(1252.261, 1695.970, 1748.198, 2422.106, 2554.141, 2632.795, 3905.328, 3995.184),
    ),
}


def _point(vdd: float, bits: int, published: float) -> Point:
    technology = Technology(65, vdd)
    cell = technology.energy_pj(technology.full_adder_ff + technology.multiplier_ff)
    operations = 2 * _ROWS * (_COLUMNS // (bits + _CARRY_COLUMNS))
    energy = bits * _ROWS * _COLUMNS * cell
    return Point(f"{vdd} V, {bits} b", FJ_PER_MAC, published, operations, energy)


def _series(vdd: float) -> Series:
    points = (_point(vdd, bits, fj) for bits, fj in enumerate(_PUBLISHED[vdd], start=1))
    return Series(f"energy at {vdd} V", tuple(points))


COLONNADE = Chip(
    "Colonnade",
    "Kim et al., JSSC 2021: 65 nm digital SRAM, bit-serial, 1 to 16 bits",
    "128 x 128 cells, one full adder each, columns of a weight, 100 MHz",
    "one factor for energy at each voltage, with 1 bit",
    "The published energy grows fourfold from 0.6 to 0.8 V, and the square of the voltage by 1.8 "
    "only",
    tuple(_series(vdd) for vdd in _PUBLISHED),
)
