"""Conversion of whole tensors between element types."""

from __future__ import annotations

from onnx import TensorProto

from ...ir.graph import Value
from ...ir.ops.cast import BitCast, Cast
from ...ir.types import DType
from ..conversion import Conversion, Rejection
from ..registry import Form, Result, converts
from ..tensors import numpy_type, type_name


@converts("Cast", form=Form.BOTH)
def cast(conversion: Conversion) -> Result:
    """To a type of the IR."""
    conversion.ignore("saturate", "round_mode")  # they speak of float8 only
    return _emitted(conversion, conversion.value(0), _target(conversion))


@converts("CastLike", form=Form.WHOLE)
def cast_like(conversion: Conversion) -> Result:
    """To the type of another tensor."""
    conversion.ignore("saturate", "round_mode")
    return _emitted(conversion, conversion.value(0), conversion.type(1).dtype)


@converts("BitCast", form=Form.WHOLE)
def bit_cast(conversion: Conversion) -> Value:
    """The same bits."""
    x, to = conversion.value(0), _target(conversion)
    if to.numpy.itemsize != x.type.dtype.numpy.itemsize:
        text = f"BitCast from {x.type.dtype} to {to}"
        raise Rejection("IMC0209", text, "both need the same width")
    return conversion.emit(BitCast(to), x)


def _emitted(conversion: Conversion, x: Value, to: DType) -> Value:
    return x if x.type.dtype is to else conversion.emit(Cast(to), x)


def _target(conversion: Conversion) -> DType:
    target = conversion.integer("to", TensorProto.UNDEFINED)
    dtype = numpy_type(target)
    if dtype is None:
        known = ", ".join(DType)
        raise conversion.reject(f"to {type_name(target)}", f"the IR has {known}", "IMC0405")
    return DType.of(dtype)
