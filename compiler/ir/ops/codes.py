"""What operators on codes demand of their operands."""

from __future__ import annotations

import numpy as np

from ..op import Array, OpError
from ..types import DType, QuantParams, TensorType

# Truth values on codes: one bit in an element of one byte.
TRUTH = QuantParams((1.0,), (0,), None, 1, False)


def activation(type_: TensorType, what: str = "the operand") -> QuantParams:
    """Parameters of unsigned codes with one scale; raises `OpError` for any other type."""
    quant = type_.quant
    if quant is None or type_.dtype is not DType.U8 or quant.axis is not None:
        raise OpError(f"{what} is {type_.dtype}; it must be ui8 codes with one scale")
    return quant


def byte_codes(type_: TensorType, what: str = "the operand") -> QuantParams:
    """Parameters of codes of one byte, signed or not, with one scale; else raises `OpError`."""
    quant = type_.quant
    if quant is None or type_.dtype not in (DType.U8, DType.I8) or quant.axis is not None:
        raise OpError(f"{what} is {type_.dtype}; it must be ui8 or i8 codes with one scale")
    return quant


def truth_codes(type_: TensorType, what: str = "the operand") -> QuantParams:
    """Parameters of truth values, which are `TRUTH`; raises `OpError` for any other type."""
    if type_.quant != TRUTH or type_.dtype is not DType.U8:
        raise OpError(f"{what} is {type_.dtype}; it must be truth values: codes 0 and 1, scale 1")
    return TRUTH


def all_codes(params: QuantParams) -> Array:
    """The 256 codes in the order of their bytes: tables are indexed by byte."""
    patterns = np.arange(256, dtype=np.uint8)
    return patterns.view(np.int8) if params.signed else patterns
