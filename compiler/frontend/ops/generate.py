"""Tensors that depend on shapes and constants only: they are made at import."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from ...ir.op import Array
from ..conversion import Conversion, Rejection
from ..folding import expect_fold_size
from ..registry import Form, converts
from ..tensors import numpy_type, type_name
from .constants import constant, constant_of_shape, range_, shape, size

converts("Constant", form=Form.WHOLE)(constant)
converts("Shape", form=Form.WHOLE)(shape)
converts("Size", form=Form.WHOLE)(size)
converts("ConstantOfShape", form=Form.WHOLE, constants=(0,))(constant_of_shape)
converts("Range", form=Form.WHOLE, constants=(0, 1, 2))(range_)

# Coefficients of 1, cos(2 pi i / N) and cos(4 pi i / N).
_WINDOWS = {
    "HannWindow": (0.5, -0.5, 0.0),
    "HammingWindow": (25 / 46, -21 / 46, 0.0),
    "BlackmanWindow": (0.42, -0.5, 0.08),
}


@converts("EyeLike", form=Form.WHOLE)
def eye_like(conversion: Conversion) -> Array:
    """Ones on a diagonal, in the shape of the operand."""
    x = conversion.type(0)
    if x.rank != 2:
        raise Rejection("IMC0209", f"EyeLike has an operand with {x.rank} axes")
    dtype = _element_type(conversion, "dtype", x.dtype.numpy)
    rows, columns = x.shape
    return np.eye(rows, columns, conversion.integer("k", 0), dtype=dtype)


@converts(*_WINDOWS, form=Form.WHOLE, constants=(0,))
def window(conversion: Conversion) -> Array:
    """A sum of cosines."""
    (length,) = conversion.integers(0, "size")
    expect_fold_size(conversion, (length,), 8)
    period = length if conversion.integer("periodic", 1) else length - 1
    angle = 2 * np.pi * np.arange(length) / max(period, 1)
    a, b, c = _WINDOWS[conversion.node.op_type]
    dtype = _element_type(conversion, "output_datatype", np.dtype(np.float32))
    return np.asarray(a + b * np.cos(angle) + c * np.cos(2 * angle)).astype(dtype)


def _element_type(
    conversion: Conversion, name: str, default: np.dtype[np.generic]
) -> np.dtype[np.generic]:
    target = conversion.integer(name, TensorProto.UNDEFINED)
    if target == TensorProto.UNDEFINED:
        return default
    dtype = numpy_type(target)
    if dtype is None:
        raise conversion.reject(f"in {type_name(target)}", "the IR has no such type", "IMC0405")
    return dtype
