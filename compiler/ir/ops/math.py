"""Mathematical functions of one operand, one operator for all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import cache

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import TensorType
from .checks import expect_count, expect_number

_ERF_REACH = 6  # where erf is 1 in float64
_ERF_POINTS = 128  # for each unit of x
_ERF_TERMS = 8  # enough for float64 at a distance of 1/256
_ERF_CHUNK = 1 << 13


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
    """The error function in float64, to within one unit in the last place or two.

    Taylor series about the nearest multiple of ``1 / _ERF_POINTS``, which is at most half of that
    away; beyond 6 the result is 1 or -1 in float64. It is made in chunks that stay in cache.
    """
    flat = np.ravel(np.asarray(x, np.float64))
    found = np.empty_like(flat)
    for start in range(0, flat.size, _ERF_CHUNK):
        part = np.s_[start : start + _ERF_CHUNK]
        found[part] = _erf(flat[part])
    return found.reshape(np.shape(x))


def _erf(x: Array) -> Array:
    magnitude = np.fmin(np.abs(x), _ERF_REACH)
    place = np.rint(magnitude * _ERF_POINTS)
    distance = magnitude - place / _ERF_POINTS
    index = place.astype(np.intp)
    *others, last = _erf_series()
    total = last.take(index)
    for coefficients in reversed(others):
        total *= distance
        total += coefficients.take(index)
    return np.where(np.isnan(x), x, np.copysign(total, x))


@cache
def _erf_series() -> tuple[Array, ...]:
    """Taylor coefficients of each order at all points.

    The derivative of order k + 1 is ``2 / sqrt(pi) * (-1)^k * H_k(x) * exp(-x^2)`` with the
    Hermite polynomials ``H_(k+1) = 2 x H_k - 2 k H_(k-1)`` (Abramowitz and Stegun 7.1.19, 22.7.13).
    """
    points = np.arange(_ERF_REACH * _ERF_POINTS + 1) / _ERF_POINTS
    slope = 2 / np.sqrt(np.pi) * np.exp(-points * points)
    series = [np.array([math.erf(point) for point in points.tolist()])]
    before, hermite = np.zeros_like(points), np.ones_like(points)
    for k in range(_ERF_TERMS - 1):
        series.append((-1) ** k * slope * hermite / math.factorial(k + 1))
        before, hermite = hermite, 2 * points * hermite - 2 * k * before
    return tuple(series)


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
