"""Quotients of two tensors of codes.

The vector unit divides whole numbers in units of 2^-16, rounded once; the output stage turns these
units into codes. With ``u = sa / (sb * sy) * 2^-16``, a unit in steps of the output, a code is at
most ``(1 + u) / 2`` steps from the exact quotient. Of an output whose range holds the quotient
``1 / 255`` of two codes, u is at most 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..op import Array, Op, Stage, op
from ..requant import Requant
from ..types import TensorType
from .checks import expect_count
from .codes import byte_codes
from .quantized import infer_pair

UNIT_BITS = 16
_INT32 = np.iinfo(np.int32)


@op("qdiv", Stage.QUANTIZED | Stage.TILED)
class QDiv(Op):
    """Quotient of two tensors of codes: ``requantize(rne((a - za) * 2^16 / (b - zb)))``.

    The quotient saturates to int32: x / 0 is its end on the side of x, and 0 / 0 is 0. The scale is
    ``f32(f32(sa / sb) / sy) * 2^-16``. Shapes are broadcast.
    """

    requant: Requant

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes of the broadcast shape."""
        expect_count(operands, 2)
        return infer_pair(operands, self.requant)

    def accumulator_scale(self, types: Sequence[TensorType]) -> NDArray[np.float32]:
        """Scale from quotient to output codes, without axes."""
        a, b = (byte_codes(type_) for type_ in types)
        ratio = np.float32(a.scale[0]) / np.float32(b.scale[0])
        return np.asarray(np.ldexp(ratio / self.requant.scale, -UNIT_BITS), np.float32)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Quotients in float64, then the output stage.

        A quotient that is no tie is at least ``1 / 510`` from one, far more than float64 rounds.
        """
        za, zb = (byte_codes(type_).zero_point[0] for type_ in types)
        dividend = np.ldexp(inputs[0].astype(np.float64) - za, UNIT_BITS)
        with np.errstate(divide="ignore", invalid="ignore"):
            quotient = np.rint(dividend / (inputs[1].astype(np.float64) - zb))
        whole = np.clip(np.nan_to_num(quotient, nan=0.0), _INT32.min, _INT32.max)
        return (self.requant.apply(whole.astype(np.int64), self.accumulator_scale(types)),)
