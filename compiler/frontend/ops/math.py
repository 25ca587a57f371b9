"""Mathematical functions and activations of one operand: they take every sample by itself."""

from __future__ import annotations

from ...ir.graph import Value
from ...ir.ops.activation import Elu, Shrink, Swish, Threshold
from ...ir.ops.compare import IsInfinite, IsNaN
from ...ir.ops.logic import Invert
from ...ir.ops.math import Function, Math
from ..conversion import Conversion
from ..registry import Form, converts

_FUNCTIONS = {
    "Abs": Function.ABS,
    "Sign": Function.SIGN,
    "Floor": Function.FLOOR,
    "Ceil": Function.CEIL,
    "Round": Function.ROUND,
    "Exp": Function.EXP,
    "Log": Function.LOG,
    "Sqrt": Function.SQRT,
    "Reciprocal": Function.RECIPROCAL,
    "Sin": Function.SIN,
    "Cos": Function.COS,
    "Tan": Function.TAN,
    "Asin": Function.ASIN,
    "Acos": Function.ACOS,
    "Atan": Function.ATAN,
    "Sinh": Function.SINH,
    "Cosh": Function.COSH,
    "Asinh": Function.ASINH,
    "Acosh": Function.ACOSH,
    "Atanh": Function.ATANH,
    "Erf": Function.ERF,
    "Softplus": Function.SOFTPLUS,
    "Softsign": Function.SOFTSIGN,
    "Mish": Function.MISH,
}
_SELU_ALPHA, _SELU_GAMMA = 1.6732631921768188, 1.0507010221481323  # as ONNX has them in float32


@converts(*_FUNCTIONS, form=Form.BOTH, floats_only=True)
def function(conversion: Conversion) -> Value:
    """A function without attributes."""
    op = Math(_FUNCTIONS[conversion.node.op_type])
    return conversion.emit(op, conversion.value(0))


@converts("Neg", form=Form.WHOLE)
def negate(conversion: Conversion) -> Value:
    """Any number."""
    return conversion.emit(Math(Function.NEG), conversion.value(0))


@converts("Gelu", form=Form.BOTH, floats_only=True)
def gelu(conversion: Conversion) -> Value:
    """By the error function, or by its approximation with tanh."""
    mode = conversion.text("approximate", "none")
    if mode not in ("none", "tanh"):
        raise conversion.reject(f"with approximate = '{mode}'", "allowed are none and tanh")
    kind = Function.GELU if mode == "none" else Function.GELU_TANH
    return conversion.emit(Math(kind), conversion.value(0))


@converts("Elu", form=Form.BOTH, floats_only=True)
def elu(conversion: Conversion) -> Value:
    """``alpha * (exp(x) - 1)`` below zero."""
    return conversion.emit(Elu(conversion.real("alpha", 1.0)), conversion.value(0))


@converts("Celu", form=Form.BOTH, floats_only=True)
def celu(conversion: Conversion) -> Value:
    """``alpha * (exp(x / alpha) - 1)`` below zero."""
    alpha = conversion.real("alpha", 1.0)
    return conversion.emit(Elu(alpha, 1.0, alpha), conversion.value(0))


@converts("Selu", form=Form.BOTH, floats_only=True)
def selu(conversion: Conversion) -> Value:
    """A scaled Elu."""
    alpha, gamma = conversion.real("alpha", _SELU_ALPHA), conversion.real("gamma", _SELU_GAMMA)
    return conversion.emit(Elu(alpha, gamma), conversion.value(0))


@converts("Swish", form=Form.BOTH, floats_only=True)
def swish(conversion: Conversion) -> Value:
    """``x * sigmoid(alpha * x)``."""
    return conversion.emit(Swish(conversion.real("alpha", 1.0)), conversion.value(0))


@converts("ThresholdedRelu", form=Form.BOTH, floats_only=True)
def thresholded_relu(conversion: Conversion) -> Value:
    """Zero up to `alpha`."""
    return conversion.emit(Threshold(conversion.real("alpha", 1.0)), conversion.value(0))


@converts("Shrink", form=Form.BOTH, floats_only=True)
def shrink(conversion: Conversion) -> Value:
    """Zero between `-lambd` and `lambd`."""
    op = Shrink(conversion.real("lambd", 0.5), conversion.real("bias", 0.0))
    return conversion.emit(op, conversion.value(0))


@converts("IsNaN", form=Form.BOTH, floats_only=True)
def is_nan(conversion: Conversion) -> Value:
    """Which elements are not numbers."""
    return conversion.emit(IsNaN(), conversion.value(0))


@converts("IsInf", form=Form.BOTH, floats_only=True)
def is_inf(conversion: Conversion) -> Value:
    """Which elements are infinite."""
    negative = bool(conversion.integer("detect_negative", 1))
    positive = bool(conversion.integer("detect_positive", 1))
    return conversion.emit(IsInfinite(negative, positive), conversion.value(0))


@converts("Not", "BitwiseNot", form=Form.BOTH, floats_only=True)
def invert(conversion: Conversion) -> Value:
    """The opposite truth value, or all bits inverted."""
    return conversion.emit(Invert(), conversion.value(0))
