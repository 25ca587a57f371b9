"""The output stage in floating point, where that is exact: requantization of whole arrays.

FLOAT24 is float32 arithmetic: one rounding of the accumulator, one product, `rint`, then the
zero point (`../imcc.isa.instructions.Requant`). FIXED modes are exact in float64 while
accumulator times mantissa stays below 2^52. Accumulators beyond 2^24 get their bias in float64,
which holds them exactly, and are then rounded once to float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcc.isa.fields import ElementType, Rounding
from imcc.isa.walk import OutputStage

from .memory import DTYPES
from .numerics import split_scale
from .products import FLOAT32_LIMIT
from .scratch import Scratch, Slot

Floats = NDArray[Any]

_FIXED_LIMIT = 1 << 52
# Rows shorter than this are repeated side by side: ufuncs pay for each row of a broadcast.
_WIDE_ROW = 512
_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)


@dataclass(frozen=True)
class Requantizer:
    """Parameters of a requantization: bias [N] and scale [N], or scalar arrays.

    `wide_bias` says that accumulators plus bias may reach 2^24, so that the sum needs float64.
    """

    bias: Floats
    scale: Floats
    stage: OutputStage
    wide_bias: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type in which the scaled values are exact."""
        return self.scale.dtype

    def finish(self, accumulators: Floats, scratch: Scratch) -> Floats:
        """Return the codes, as floats, of accumulators [M, N] (overwritten)."""
        values = self._with_bias(accumulators, scratch)
        rows = _wide_rows(values)
        np.multiply(rows, _repeated(self.scale, rows), out=rows)
        stage, number = self.stage, self.dtype.type
        offset = stage.zero_point
        if stage.rounding is Rounding.FLOAT24_BIASED:
            np.add(rows, number(offset), out=rows)
            offset = 0
        np.clip(rows, number(stage.low - offset), number(stage.high - offset), out=rows)
        if stage.rounding is Rounding.FIXED_HALF_UP:
            np.floor(np.add(rows, number(0.5), out=rows), out=rows)
        else:
            np.rint(rows, out=rows)
        if offset:
            np.add(rows, number(offset), out=rows)
        return values

    def _with_bias(self, accumulators: Floats, scratch: Scratch) -> Floats:
        exact = _FLOAT64 if self.wide_bias else self.dtype
        if accumulators.dtype != exact:
            widened = scratch.array(Slot.SCALED, exact, accumulators.shape)
            np.copyto(widened, accumulators, casting="unsafe")
            accumulators = widened
        if self.bias.any():
            rows = _wide_rows(accumulators)
            np.add(rows, _repeated(self.bias, rows), out=rows)
        if exact == self.dtype:
            return accumulators
        narrowed = scratch.array(Slot.DRIVEN, self.dtype, accumulators.shape)
        np.copyto(narrowed, accumulators, casting="unsafe")
        return narrowed


def requantizer(
    bias: NDArray[np.int64],
    words: NDArray[np.integer[Any]],
    stage: OutputStage,
    bound: int,
    element: ElementType,
) -> Requantizer | None:
    """Return the exact floating-point form for accumulators up to `bound`, or None.

    `bias` and `words` have one shape, [N] or []. There is none where codes could lie outside
    `element`, or a FIXED product beyond 2^52.
    """
    limits = np.iinfo(DTYPES[element])
    if stage.low < limits.min or stage.high > limits.max or stage.low > stage.high:
        return None
    reach = bound + int(np.abs(bias).max(initial=0))
    mantissa, shift = split_scale(words)
    scale = np.ldexp(mantissa.astype(np.float64), -shift)
    if stage.rounding in (Rounding.FLOAT24, Rounding.FLOAT24_BIASED):
        wide = reach >= FLOAT32_LIMIT
        kind = _FLOAT64 if wide else _FLOAT32
        return Requantizer(bias.astype(kind), scale.astype(np.float32), stage, wide)
    if reach * int(np.abs(mantissa).max(initial=0)) >= _FIXED_LIMIT:
        return None
    return Requantizer(bias.astype(np.float64), scale, stage, wide_bias=True)


def _wide_rows(values: Floats) -> Floats:
    """View [M, N] as [M / r, r * N], with rows long enough for a broadcast to cost nothing."""
    rows, columns = values.shape
    together = gcd(rows, max(_WIDE_ROW // columns, 1))
    return values.reshape(rows // together, together * columns)


def _repeated(parameter: Floats, rows: Floats) -> Floats:
    if parameter.ndim == 0:
        return parameter
    return np.tile(parameter, rows.shape[1] // len(parameter))
