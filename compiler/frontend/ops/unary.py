"""Element-wise functions of one operand."""

from __future__ import annotations

from math import inf

import numpy as np

from ...ir.graph import Value
from ...ir.ops.unary import (
    Affine,
    Clip,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Relu,
    Sigmoid,
    Tanh,
)
from ..conversion import Conversion
from ..registry import Form, Result, converts
from .quant import clipped_codes


def scalar_slope(conversion: Conversion) -> str | None:
    """The slope is one constant number."""
    single = conversion.is_constant(1) and conversion.array(1, "slope").size == 1
    return None if single else "with a slope for each channel"


@converts("Relu", form=Form.BOTH)
def relu(conversion: Conversion) -> Value:
    """``max(x, 0)``."""
    return conversion.emit(Relu(), conversion.value(0))


@converts("Sigmoid", form=Form.BOTH)
def sigmoid(conversion: Conversion) -> Value:
    """Logistic function."""
    return conversion.emit(Sigmoid(), conversion.value(0))


@converts("Tanh", form=Form.BOTH)
def tanh(conversion: Conversion) -> Value:
    """Hyperbolic tangent."""
    return conversion.emit(Tanh(), conversion.value(0))


@converts("LeakyRelu", form=Form.BOTH)
def leaky_relu(conversion: Conversion) -> Value:
    """Slope `alpha` below zero."""
    return conversion.emit(LeakyRelu(conversion.real("alpha", 0.01)), conversion.value(0))


@converts("PRelu", form=Form.SHARED, constraints=(scalar_slope,))
def prelu(conversion: Conversion) -> Value:
    """With one slope this is a leaky ReLU."""
    slope = float(conversion.floats(1, "slope").reshape(-1)[0])
    return conversion.emit(LeakyRelu(slope), conversion.value(0))


@converts("HardSigmoid", form=Form.BOTH)
def hard_sigmoid(conversion: Conversion) -> Value:
    """Clipped straight line."""
    alpha = conversion.real("alpha", float(np.float32(0.2)))
    return conversion.emit(HardSigmoid(alpha, conversion.real("beta", 0.5)), conversion.value(0))


@converts("HardSwish", since=14, form=Form.BOTH)
def hard_swish(conversion: Conversion) -> Value:
    """Multiply x by its hard sigmoid."""
    return conversion.emit(HardSwish(), conversion.value(0))


@converts("Neg", form=Form.SHARED)
def neg(conversion: Conversion) -> Value:
    """``-x``."""
    return conversion.emit(Affine(-1.0, 0.0), conversion.value(0))


@converts("Clip", since=1, form=Form.BOTH)
def clip_by_attributes(conversion: Conversion) -> Value:
    """Bounds are attributes."""
    low, high = conversion.real("min", -inf), conversion.real("max", inf)
    return conversion.emit(Clip(low, high), conversion.value(0))


@converts("Clip", since=11, form=Form.SHARED)
def clip(conversion: Conversion) -> Value:
    """Bounds are constant operands."""
    if conversion.value(0).type.quant is not None:
        return clipped_codes(conversion)
    low, high = _bound(conversion, 1, -inf), _bound(conversion, 2, inf)
    return conversion.emit(Clip(low, high), conversion.value(0))


def _bound(conversion: Conversion, index: int, default: float) -> float:
    if not conversion.has(index):
        return default
    found = conversion.floats(index, "bounds")
    if found.size != 1:
        raise conversion.reject(f"with {found.size} bounds", "a bound is one number")
    return float(found.reshape(-1)[0])


@converts("Identity")
def identity(conversion: Conversion) -> Result:
    """The operand itself: no node."""
    return conversion.operand(0)


@converts("Dropout", form=Form.SHARED)
def dropout(conversion: Conversion) -> Result:
    """Nothing happens in inference: no node."""
    conversion.ignore("ratio", "seed")
    conversion.has(1)  # the ratio means nothing in inference
    if conversion.has(2) and np.any(conversion.array(2, "training_mode")):
        raise conversion.reject("in training mode", "only inference is compiled")
    return conversion.operand(0)
