"""Constants that a model holds as codes: what stands behind their real values.

The importer computes constants, so that converters see real values. What a DequantizeLinear made
of codes keeps them here as well: weights enter the graph as codes with their scale, and their
quantization is that of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..ir.op import Array
from ..ir.types import DType, QuantParams

_RESHAPING = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
_BITS = {DType.U8: 8, DType.I8: 8, DType.U16: 16, DType.I16: 16, DType.I32: 32}


@dataclass(frozen=True, eq=False)
class Codes:
    """A constant of codes with its parameters."""

    array: Array
    params: QuantParams

    def transposed(self, perm: Sequence[int]) -> Codes:
        """The codes with their axes in another order."""
        axis = None if self.params.axis is None else tuple(perm).index(self.params.axis)
        return Codes(self.array.transpose(perm), replace(self.params, axis=axis))

    def reshaped(self, shape: Sequence[int]) -> Codes | None:
        """The codes in another shape; None where their axis of scales would be lost."""
        if self.params.axis is None:
            return Codes(self.array.reshape(shape), self.params)
        dropped = self.array.ndim - len(shape)
        axis = self.params.axis - dropped
        if dropped < 0 or axis < 0 or self.array.shape[dropped:] != tuple(shape):
            return None
        return Codes(self.array.reshape(shape), replace(self.params, axis=axis))


def constant_codes(codes: Array, scale: Array, zero: Array | None, axis: int) -> Codes | None:
    """Codes with one scale, or one for each index of `axis`; None for other element types."""
    try:
        dtype = DType.of(codes.dtype)
    except KeyError:
        return None
    if dtype not in _BITS or scale.dtype != np.float32 or not np.all(scale > 0):
        return None
    scales = tuple(float(s) for s in scale.reshape(-1))
    zeros = (0,) * len(scales) if zero is None else tuple(int(z) for z in zero.reshape(-1))
    signed = codes.dtype.kind == "i"
    along = None if len(scales) == 1 else axis
    return Codes(codes, QuantParams(scales, zeros, along, _BITS[dtype], signed))


def moved(
    op_type: str, codes: Codes, perm: Sequence[int] | None, shape: Sequence[int]
) -> Codes | None:
    """The codes behind what an operator makes of a dequantized constant, if it only moves it."""
    if op_type in ("Cast", "Identity"):
        return codes
    if op_type == "Transpose":
        return codes.transposed(perm or tuple(reversed(range(codes.array.ndim))))
    return codes.reshaped(shape) if op_type in _RESHAPING else None
