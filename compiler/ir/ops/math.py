"""Mathematical functions of one operand, one operator for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import TensorType
from .checks import expect_count, expect_number

_ERF_TERMS = 120  # enough for the series at 6, where erf is 1 in float64


class Function(StrEnum):
    """The functions; those of `EXACT` work on integers as well."""

    ABS = "abs"
    NEG = "neg"
    SIGN = "sign"
    FLOOR = "floor"
    CEIL = "ceil"
    ROUND = "round"
    EXP = "exp"
    LOG = "log"
    SQRT = "sqrt"
    RECIPROCAL = "reciprocal"
    SIN = "sin"
    COS = "cos"
    TAN = "tan"
    ASIN = "asin"
    ACOS = "acos"
    ATAN = "atan"
    SINH = "sinh"
    COSH = "cosh"
    ASINH = "asinh"
    ACOSH = "acosh"
    ATANH = "atanh"
    ERF = "erf"
    SOFTPLUS = "softplus"
    SOFTSIGN = "softsign"
    MISH = "mish"
    GELU = "gelu"
    GELU_TANH = "gelu_tanh"


def erf(x: Array) -> Array:
    """The error function in float64: ``2 / sqrt(pi) * exp(-x^2) * sum 2^n x^(2n+1) / (2n+1)!!``.

    All terms of the series (Abramowitz and Stegun 7.1.6) have one sign, so nothing cancels.
    """
    bounded = np.clip(x, -6.0, 6.0)
    term = bounded.copy()
    total = term.copy()
    for n in range(1, _ERF_TERMS):
        term = term * (2 * bounded * bounded / (2 * n + 1))
        total += term
    series = 2 / np.sqrt(np.pi) * np.exp(-bounded * bounded) * total
    return np.asarray(np.where(np.abs(x) >= 6, np.sign(x), series))


def softplus(x: Array) -> Array:
    """``log(1 + exp(x))`` without overflow."""
    return np.logaddexp(x, 0.0)


def _gelu(x: Array) -> Array:
    return np.asarray(0.5 * x * (1 + erf(x / np.sqrt(2))))


def _gelu_tanh(x: Array) -> Array:
    inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    return np.asarray(0.5 * x * (1 + np.tanh(inner)))


_EXACT: dict[Function, Callable[[Array], Array]] = {
    Function.ABS: np.abs,
    Function.NEG: np.negative,
    Function.SIGN: np.sign,
    Function.FLOOR: np.floor,
    Function.CEIL: np.ceil,
    Function.ROUND: np.rint,
}
_ROUNDED: dict[Function, Callable[[Array], Array]] = {
    Function.EXP: np.exp,
    Function.LOG: np.log,
    Function.SQRT: np.sqrt,
    Function.RECIPROCAL: np.reciprocal,
    Function.SIN: np.sin,
    Function.COS: np.cos,
    Function.TAN: np.tan,
    Function.ASIN: np.arcsin,
    Function.ACOS: np.arccos,
    Function.ATAN: np.arctan,
    Function.SINH: np.sinh,
    Function.COSH: np.cosh,
    Function.ASINH: np.arcsinh,
    Function.ACOSH: np.arccosh,
    Function.ATANH: np.arctanh,
    Function.ERF: erf,
    Function.SOFTPLUS: softplus,
    Function.SOFTSIGN: lambda x: x / (1 + np.abs(x)),
    Function.MISH: lambda x: x * np.tanh(softplus(x)),
    Function.GELU: _gelu,
    Function.GELU_TANH: _gelu_tanh,
}


@op("math", Stage.FLOAT)
class Math(Op):
    """A function of every element, in the type of the operand.

    Transcendental functions are evaluated in float64 and rounded once.
    """

    function: Function

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of the operand."""
        expect_count(operands, 1)
        expect_number(operands)
        if self.function in _ROUNDED and not operands[0].dtype.is_float:
            raise OpError(f"{self.function} takes floats, operand 0 is {operands[0].dtype}")
        return (operands[0],)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Apply the function."""
        x = inputs[0]
        with np.errstate(all="ignore"):
            if self.function in _EXACT:
                return (np.asarray(_EXACT[self.function](x)).astype(x.dtype),)
            return (np.asarray(_ROUNDED[self.function](x.astype(np.float64))).astype(x.dtype),)
