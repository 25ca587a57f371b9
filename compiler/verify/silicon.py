"""The contents of ``docs/reference/silicon.md``: the circuit model against published values."""

from __future__ import annotations

from collections.abc import Iterator

from imcc.runtime.timing.circuits.chips import CHIPS
from imcc.runtime.timing.circuits.silicon import Comparison, Series, mean_error
from imcc.runtime.timing.circuits.zigzag import GOLDEN, Golden

Row = tuple[str, ...]


def golden_rows() -> list[Row]:
    """ZigZag's values, the model's, and the error."""
    return [
        (golden.name, name, f"{published:g} {unit}", f"{model:.6g} {unit}", _percent(error))
        for golden in GOLDEN
        for name, unit, published, model in _quantities(golden)
        if published is not None
        for error in (model / published - 1,)
    ]


def _quantities(golden: Golden) -> Iterator[tuple[str, str, float | None, float]]:
    estimate = golden.array.estimate()
    yield "energy", "nJ", golden.energy_nj, estimate.energy_pj / 1000
    yield "step", "ns", golden.step_ns, estimate.step_ns
    yield "area", "mm2", golden.mm2, estimate.mm2


def silicon_summary() -> str:
    """How the errors were made and what they are, chip by chip."""
    compared = [row for chip in CHIPS for row in chip.compare()]
    chips = [_summary_row(chip.name, chip.compare()) for chip in CHIPS]
    mean = sum(mean_error(chip.compare()) for chip in CHIPS) / len(CHIPS)
    lines = [
        "| chip | points predicted | mean error | largest |",
        "| --- | --- | --- | --- |",
        *(f"| {' | '.join(row)} |" for row in [*chips, _summary_row("all points", compared)]),
        f"| mean of the chips | | {mean:.1%} | |",
    ]
    return "\n".join(["## Measured chips", "", _METHOD, "", *lines, "", _colonnade_note()])


def silicon_tables() -> Iterator[tuple[str, str, list[Row]]]:
    """Title, text and rows of every chip."""
    for chip in CHIPS:
        factors = "; ".join(f"{series.quantity} {series.factor:.4g}" for series in chip.series)
        lead = (
            f"{chip.citation}.\n\nPublished of the circuit: {chip.published}.\n\n"
            f"Fitted: {chip.fitted}. Factors: {factors}. "
            f"Mean error of the predicted points: {mean_error(chip.compare()):.1%}. {chip.remark}."
        )
        yield chip.name, lead, [_row(comparison) for comparison in chip.compare()]


_METHOD = (
    "A chip has one factor for energy and one for time, Colonnade one for each voltage. They stand "
    "for what the model does not know: wires, control, activity, margins; how far one is from 1 "
    "says how far the model is off before it is fitted. The first point in the order of "
    "publication fixes the factor, the others are predicted and only they are counted. Published "
    "values and parameters are as CiMLoop's models of the chips give them. Threshold and exponent "
    "of the delay law are assumed once for all chips. What is modelled of a chip was chosen with "
    "its points in sight: this is no blind test."
)


def _colonnade_note() -> str:
    chip = next(chip for chip in CHIPS if chip.name == "Colonnade")
    points = tuple(point for series in chip.series for point in series.points)
    single = mean_error(Series("energy", points).compare())
    return (
        "Colonnade has a factor for each voltage, since its energy does not go with the square of "
        f"the voltage: one factor for all would give a mean error of {single:.0%}."
    )


def _summary_row(name: str, compared: tuple[Comparison, ...] | list[Comparison]) -> Row:
    predicted = [row for row in compared if not row.fitted]
    largest = max((row.error for row in predicted), key=abs)
    return name, str(len(predicted)), f"{mean_error(predicted):.1%}", _percent(largest)


def _row(compared: Comparison) -> Row:
    point = compared.point
    return (
        point.condition,
        f"{point.published:g} {point.unit.name}",
        f"{compared.model:.4g} {point.unit.name}",
        _percent(compared.error),
        "fitted" if compared.fitted else "predicted",
    )


def _percent(error: float) -> str:
    return f"{error:+.1%}"
