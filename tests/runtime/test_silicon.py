"""The circuit model against measured chips: what one factor predicts of all other points."""

from __future__ import annotations

import pytest

from imcc.runtime.timing.circuits.chips import CHIPS
from imcc.runtime.timing.circuits.silicon import Comparison, Series, mean_error

SERIES = [
    pytest.param(series, id=f"{chip.name}, {series.quantity}")
    for chip in CHIPS
    for series in chip.series
]


def compared(chip: str, condition: str, unit: str) -> Comparison:
    """The one point of a chip with a condition and a unit."""
    (found,) = (
        row
        for each in CHIPS
        if each.name == chip
        for row in each.compare()
        if row.point.condition == condition and row.point.unit.name == unit
    )
    return found


def test_mean_error_of_the_predicted_points() -> None:
    """At most 15 %, over all points and over the chips."""
    errors = [mean_error(chip.compare()) for chip in CHIPS]
    assert mean_error(row for chip in CHIPS for row in chip.compare()) <= 0.15
    assert sum(errors) / len(errors) <= 0.15


@pytest.mark.parametrize("name", ["NeuRRAM", "Wang VLSI'22", "Sinangil JSSC'21", "Colonnade"])
def test_mean_error_of_a_chip(name: str) -> None:
    """At most 15 % for each but Jia's, whose second throughput follows a clock that was set."""
    (chip,) = (chip for chip in CHIPS if chip.name == name)
    assert mean_error(chip.compare()) <= 0.15


@pytest.mark.parametrize("series", SERIES)
def test_the_first_point_and_no_other_is_fitted(series: Series) -> None:
    first, *others = series.compare()
    assert first.error == pytest.approx(0)
    assert first.fitted
    assert not any(row.fitted for row in others)


def test_energy_of_an_analog_chip_is_predicted_by_the_square_of_the_supply() -> None:
    row = compared("Jia JSSC'20", "1.2 V", "TOPS/W")
    assert row.model == pytest.approx(400 * (0.85 / 1.2) ** 2)
    assert row.error == pytest.approx(400 * (0.85 / 1.2) ** 2 / 192 - 1)


def test_neurram_takes_the_small_steps_of_its_neurons() -> None:
    """1 phase + 1 sample + 3 decrements, against two phases of 15 + 7 samples and 10 + 6."""
    row = compared("NeuRRAM", "input 8 b, output 10 b", "TOPS")
    assert row.model == pytest.approx(2.12231 * 5 / (2 + 15 + 7 + 10 + 6))


def test_colonnade_fits_as_many_weights_as_its_columns_hold() -> None:
    """16 weights of 1 bit and 8 columns, 8 of 8 bits and 15 columns; 8 bits take 8 cycles."""
    row = compared("Colonnade", "0.8 V, 8 b", "fJ/MAC")
    assert row.model == pytest.approx(68.101 * 8 * 16 / 8)


def test_wangs_throughput_is_that_of_its_area() -> None:
    row = compared("Wang VLSI'22", "1.0 V", "TOPS/mm2")
    delay = (1.0 / (1.0 - 0.35) ** 1.3) / (0.7 / (0.7 - 0.35) ** 1.3)
    assert row.model == pytest.approx(2.377 / delay)


def test_published_values_in_every_unit() -> None:
    """65536 operations at 43.08 TOPS/W are 1521 pJ; 2048 at 262.3 TOPS/W are 7.808 pJ."""
    neurram = compared("NeuRRAM", "input 1 b, output 3 b", "TOPS/W").point
    assert neurram.unit.value(1521, neurram.operations) == pytest.approx(43.08, rel=1e-3)
    sinangil = compared("Sinangil JSSC'21", "0.8 V, output 15", "TOPS/W").point
    assert sinangil.unit.value(7.808, sinangil.operations) == pytest.approx(262.3, rel=1e-3)
    joule = compared("Sinangil JSSC'21", "0.7 V, output 15 (Fig. 13b)", "pJ").point
    assert joule.unit.value(5.875, joule.operations) == pytest.approx(5.875)
