"""The circuit estimate against the values of ZigZag's model, and against sums made by hand."""

from __future__ import annotations

import json

import pytest

from imcc.isa import Adc, Matrix, Slice, Target, Tile, load_target
from imcc.isa.cost import energy_pj
from imcc.runtime.timing import Work, product_cost
from imcc.runtime.timing.circuits import AnalogArray, DigitalArray, Drive, Technology, derive
from imcc.runtime.timing.circuits.adders import place_value_tree, plain_tree
from imcc.runtime.timing.circuits.analog import CONVERTERS, DRIVERS

ANALOG, DIGITAL = AnalogArray(128, 128), DigitalArray(128, 128)


@pytest.mark.parametrize(
    ("array", "nanojoule"),
    [
        (ANALOG, 3.41),
        (AnalogArray(128, 128, step_bits=1), 6.73),
        (AnalogArray(128, 128, step_bits=1, adc_bits=6), 4.93),
        (DIGITAL, 4.38),
    ],
)
def test_energy_of_a_product_is_zigzags(
    array: AnalogArray | DigitalArray, nanojoule: float
) -> None:
    assert array.estimate().energy_pj / 1000 == pytest.approx(nanojoule, rel=0.02)


@pytest.mark.parametrize(
    ("array", "step_ns", "product_ns", "mm2"),
    [(ANALOG, 14.07244, 56, 2.28781), (DIGITAL, 3.75708, 30, 0.80181)],
)
def test_time_and_area_are_zigzags(
    array: AnalogArray | DigitalArray, step_ns: float, product_ns: float, mm2: float
) -> None:
    estimate = array.estimate()
    assert estimate.step_ns == pytest.approx(step_ns, rel=1e-5)
    assert estimate.nanoseconds == pytest.approx(product_ns, rel=0.02)
    assert estimate.mm2 == pytest.approx(mm2, rel=1e-5)


def test_converters_take_84_percent_of_zigzags_analog_product() -> None:
    estimate = ANALOG.estimate()
    share = estimate.steps * estimate.part(CONVERTERS).step_pj / estimate.energy_pj
    assert share == pytest.approx(0.84, abs=0.005)


def test_full_adders_of_a_tree_of_four_one_bit_numbers() -> None:
    """Two pairs of one bit, then one pair of two bits."""
    tree = plain_tree(4, 1, Technology())
    assert (tree.full_adders, tree.result_bits) == (1 + 1 + 2, 3)


def test_one_number_needs_no_adder() -> None:
    for make in (plain_tree, place_value_tree):
        tree = make(1, 5, Technology())
        assert (tree.full_adders, tree.result_bits, tree.ns) == (0.0, 5, 0.0)


@pytest.mark.parametrize("make", [AnalogArray, DigitalArray])
def test_energy_goes_with_the_square_of_the_supply(
    make: type[AnalogArray] | type[DigitalArray],
) -> None:
    low, high = (make(64, 32, technology=Technology(28, vdd)) for vdd in (0.6, 1.2))
    assert high.estimate().energy_pj == pytest.approx(4 * low.estimate().energy_pj)
    assert high.estimate().step_ns < low.estimate().step_ns


def test_logic_shrinks_with_the_node() -> None:
    large = DigitalArray(64, 32, technology=Technology(28)).estimate()
    small = DigitalArray(64, 32, technology=Technology(14)).estimate()
    assert small.energy_pj == pytest.approx(large.energy_pj / 2)
    assert small.step_ns == pytest.approx(large.step_ns / 2)
    assert small.mm2 == pytest.approx(large.mm2 / 4)


def test_converters_do_not_shrink_with_the_node() -> None:
    parts = [
        AnalogArray(64, 32, technology=Technology(node)).estimate().part(CONVERTERS)
        for node in (28, 7)
    ]
    assert parts[0].step_pj == parts[1].step_pj
    assert parts[0].um2 == parts[1].um2


def test_shared_converters_take_turns() -> None:
    own = ANALOG.estimate().part(CONVERTERS)
    shared = AnalogArray(128, 128, converters=256).estimate().part(CONVERTERS)
    assert shared.step_ns == pytest.approx(4 * own.step_ns)
    assert shared.um2 == pytest.approx(own.um2 / 4)
    assert shared.step_pj == own.step_pj


def test_pulses_charge_the_word_lines_as_often_as_the_input_says() -> None:
    """64 rows of 16 x 4 cells, 15 pulses of half a NAND a cell, at half of full scale."""
    array = AnalogArray(
        64, 16, weight_bits=4, input_bits=4, step_bits=4, drive=Drive.PULSES, input_level=0.5
    )
    expected = 64 * 16 * 4 * 15 * 0.35 * 0.5 * 0.9**2 / 1000
    assert array.estimate().part(DRIVERS).step_pj == pytest.approx(expected)


def test_a_supply_below_the_threshold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^a supply of 0\.3 V; the delay law holds above 0\.35 V"):
        Technology(28, 0.3)


def test_a_node_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^a node of 0 nm; it must be positive$"):
        Technology(0)


def target_of(array: AnalogArray | DigitalArray, adc_bits: int) -> Target:
    """ISAAC's target with arrays of 128 x 1024 one-bit cells and the numbers of a circuit."""
    tables = json.loads(load_target("isaac").to_json())
    tables["array"] |= {"rows": 128, "cols": 1024, "cell_bits": 1, "step_bits": array.step_bits}
    tables["adc"] |= {"bits": adc_bits, "per_array": 1024}
    for key, value in derive(array).settings.items():
        table, name = key.split(".")
        tables[table][name] = value
    return Target.from_tables(tables, "derived")


@pytest.mark.parametrize(
    ("array", "adc_bits", "picojoule", "nanoseconds"),
    [(ANALOG, 8, 3410, 4 * 14.07244), (DIGITAL, 0, 4380, 8 * 3.75708)],
)
def test_a_derived_target_profiles_a_product_as_zigzag_does(
    array: AnalogArray | DigitalArray, adc_bits: int, picojoule: float, nanoseconds: float
) -> None:
    weights = Matrix(
        core=0,
        rows=128,
        cols=128,
        input_bits=8,
        step_bits=array.step_bits,
        slices=tuple(Slice(1, 1 << index) for index in range(8)),
        adcs=(Adc(adc_bits, 0, 1),) * 8,
        tiles=tuple(Tile(0, 0, 128 * index, 0, 128, 0, 128, index) for index in range(8)),
        center=0,
        subtract_analog=False,
        bound=0,
    )
    target = target_of(array, adc_bits)
    cost = product_cost(weights, target)
    work = Work(
        conversions=cost.conversions,
        row_steps=cost.row_steps,
        array_steps=cost.array_steps,
        shift_adds=cost.shift_adds,
    )
    assert energy_pj(work, target.energy) == pytest.approx(picojoule, rel=0.02)
    assert cost.nanoseconds == pytest.approx(nanoseconds, rel=1e-5)


def test_columns_joined_before_a_converter_have_no_target() -> None:
    with pytest.raises(ValueError, match="a target converts every column, so both must be equal"):
        derive(AnalogArray(64, 16, sum_bits=8))
