"""Numbers of a target file from a circuit estimate.

A target counts what `product` counts: conversions, rows driven, array steps, column sums. `derive`
divides the parts of an estimate by these counts, so that a profile of a product that fills the
array gives the energy and the time of the estimate again.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from . import analog, digital
from .adders import ACCUMULATORS
from .analog import AnalogArray, adc_ns
from .digital import DigitalArray
from .estimate import Estimate


@dataclass(frozen=True)
class TargetNumbers:
    """What an array decides of `[timing]` and `[energy]`, under the names of the target file."""

    t_step_ns: float
    t_adc_ns: float
    e_adc_pj: float
    e_row_step_pj: float
    e_array_step_pj: float
    e_shift_add_pj: float

    @property
    def settings(self) -> dict[str, float]:
        """Values by dotted key, as `--set` takes them.

        >>> derive(DigitalArray(128, 128)).settings["timing.t_adc_ns"]
        0.0
        """
        tables = {"t": "timing", "e": "energy"}
        return {f"{tables[f.name[0]]}.{f.name}": getattr(self, f.name) for f in fields(self)}


def derive(array: AnalogArray | DigitalArray) -> TargetNumbers:
    """The numbers of a target whose arrays are this one.

    The target has `rows` rows, a column for every cell of a row, and steps of `step_bits`.
    Raises `ValueError` if columns are joined before a converter, as targets cannot say that.
    """
    return _analog(array) if isinstance(array, AnalogArray) else _digital(array)


def _analog(array: AnalogArray) -> TargetNumbers:
    if array.sum_bits != array.cell_bits:
        raise ValueError(
            f"cells of {array.cell_bits} bits, and {array.sum_bits} bits of a weight meet before "
            "a converter; a target converts every column, so both must be equal"
        )
    estimate = array.estimate()
    return TargetNumbers(
        t_step_ns=estimate.step_ns,
        t_adc_ns=adc_ns(array.adc_bits, array.rows) * array.technology.slowness,
        e_adc_pj=_energy(estimate, analog.CONVERTERS) / array.sums,
        e_row_step_pj=_energy(estimate, analog.DRIVERS) / array.rows,
        e_array_step_pj=_energy(estimate, analog.PRODUCTS, analog.BIT_LINES),
        e_shift_add_pj=_energy(estimate, analog.PLACE_SUMS, ACCUMULATORS) / array.sums,
    )


def _digital(array: DigitalArray) -> TargetNumbers:
    estimate = array.estimate()
    columns = array.outputs * array.weight_bits
    return TargetNumbers(
        t_step_ns=estimate.step_ns,
        t_adc_ns=0.0,
        e_adc_pj=0.0,
        e_row_step_pj=0.0,
        e_array_step_pj=_energy(estimate, digital.PRODUCTS, digital.TREES),
        e_shift_add_pj=_energy(estimate, digital.STEP_SUMS, ACCUMULATORS) / columns,
    )


def _energy(estimate: Estimate, *names: str) -> float:
    return sum(part.step_pj for part in estimate.parts if part.name in names)
