"""Element-wise functions of two operands: with one constant number they are functions of one."""

from __future__ import annotations

from math import inf, log

import numpy as np

from ...ir import Array, Node, Op, Value
from ...ir.ops.binary import Add, Div, Maximum, Minimum, Modulo, Mul, Power, Sub
from ...ir.ops.constant_operand import WithConstant
from ...ir.ops.logic import Where
from ...ir.ops.math import Function
from .registry import decomposes
from .steps import Steps, is_f32

_CHOICES = 16  # more constant numbers would make too long a chain
_PLAIN = {0.5: Function.SQRT, -1.0: Function.RECIPROCAL}


@decomposes(Add, Sub, Mul, Div)
def by_a_number(steps: Steps, node: Node) -> Value | None:
    """Add, Sub, Mul and Div with a constant number are an affine map."""
    a, b = steps.operands
    if not is_f32(a, b):
        return None
    right, left = steps.scalar(b), steps.scalar(a)
    if right is not None and b.type.rank <= a.type.rank:
        return _right(steps, node, a, right)
    if left is not None and a.type.rank <= b.type.rank:
        return _left(steps, node, b, left)
    return None


def _right(steps: Steps, node: Node, x: Value, number: float) -> Value | None:
    """``x (op) number``."""
    match node.op:
        case Add():
            return steps.affine(x, 1.0, number)
        case Sub():
            return steps.affine(x, 1.0, -number)
        case Mul():
            return steps.affine(x, number)
    return _divided(steps, x, number)


def _divided(steps: Steps, x: Value, number: float) -> Value | None:
    finite = number != 0 and np.isfinite(np.float32(1) / np.float32(number))
    return steps.affine(x, float(np.float32(1) / np.float32(number))) if finite else None


def _left(steps: Steps, node: Node, x: Value, number: float) -> Value | None:
    """``number (op) x``."""
    match node.op:
        case Add():
            return steps.affine(x, 1.0, number)
        case Sub():
            return steps.affine(x, -1.0, number)
        case Mul():
            return steps.affine(x, number)
    return steps.affine(steps.math(Function.RECIPROCAL, x), number)


@decomposes(Div)
def quotient(steps: Steps, node: Node) -> Value | None:
    """By constants a product with the reciprocals."""
    a, b = steps.operands
    array = steps.array(b)
    if not is_f32(a, b) or array is None:
        return None
    if not np.all(np.abs(array) >= np.finfo(np.float32).tiny):
        return None
    return steps.times(a, steps.constant(1 / array, "inverse"))


@decomposes(Maximum, Minimum)
def bound(steps: Steps, node: Node) -> Value | None:
    """The larger or smaller of x and a constant number is a Clip."""
    a, b = steps.operands
    for x, other in ((a, b), (b, a)):
        number = steps.scalar(other)
        if number is None or not is_f32(x) or other.type.rank > x.type.rank or np.isnan(number):
            continue
        upper = isinstance(node.op, Minimum)
        return steps.clip(x, -inf, number) if upper else steps.clip(x, number, inf)
    return None


@decomposes(Power)
def power_by_a_number(steps: Steps, node: Node) -> Value | None:
    """A constant exponent or base makes a function of one operand."""
    a, b = steps.operands
    exponent, base = steps.scalar(b), steps.scalar(a)
    if exponent is not None and is_f32(a) and b.type.rank <= a.type.rank:
        return power(steps, a, exponent)
    if base is not None and base > 0 and is_f32(a, b) and a.type.rank <= b.type.rank:
        return steps.math(Function.EXP, steps.affine(b, log(base)))
    return None


def power(steps: Steps, x: Value, exponent: float) -> Value:
    """``x ** exponent`` with a constant exponent."""
    if exponent in _PLAIN:
        return steps.math(_PLAIN[exponent], x)
    return x if exponent == 1 else steps.add(WithConstant(Power(), exponent), x)


@decomposes(Power, Modulo)
def by_several_numbers(steps: Steps, node: Node) -> Value | None:
    """A choice between the functions for each number that the constant holds.

    Elsewhere each function gets a harmless operand, so that it does not widen the range.
    """
    x, b = steps.operands
    array, shape = steps.array(b), node.results[0].type.shape
    if array is None or steps.array(x) is not None or x.type.rank < len(shape):
        return None
    numbers = np.unique(array)
    if not 1 < len(numbers) <= _CHOICES or not _are_defined(node.op, x, numbers):
        return None
    harmless = steps.like(x, np.full((1,) * len(shape), isinstance(node.op, Power)), "harmless")
    chosen: Value | None = None
    for number in numbers:
        places = np.broadcast_to(array == number, shape)
        mask = steps.constant(np.ascontiguousarray(places), "places")
        operand = steps.add(Where(), mask, x, harmless)
        found = steps.add(WithConstant(node.op, float(number)), operand)
        chosen = found if chosen is None else steps.add(Where(), mask, found, chosen)
    return chosen


def _are_defined(op: Op, x: Value, numbers: Array) -> bool:
    """Whether the numbers can be operands of the type of x."""
    whole = bool(np.all(numbers == np.rint(numbers)))
    return (x.type.dtype.is_float or whole) and (isinstance(op, Power) or bool(numbers.all()))
