"""What operators on codes demand of their operands."""

from __future__ import annotations

from ..op import OpError
from ..types import DType, QuantParams, TensorType


def activation(type_: TensorType, what: str = "the operand") -> QuantParams:
    """Parameters of unsigned codes with one scale; raises `OpError` for any other type."""
    quant = type_.quant
    if quant is None or type_.dtype is not DType.U8 or quant.axis is not None:
        raise OpError(f"{what} is {type_.dtype}; it must be ui8 codes with one scale")
    return quant
