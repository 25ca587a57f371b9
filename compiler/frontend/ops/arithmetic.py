"""Add, Sub, Mul, Div and relatives: with a constant number an affine map, else element-wise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np

from ...ir.graph import Value
from ...ir.op import Array, Op
from ...ir.ops.binary import Add, Div, Mul, Sub
from ...ir.ops.shape import Reshape
from ...ir.ops.unary import Affine, Clip
from ..conversion import Conversion
from ..registry import Form, Result, converts


@dataclass(frozen=True)
class _Arithmetic:
    """The IR operator, and what it is with a constant number on the right or on the left."""

    op: Op
    right: Callable[[np.float32], Affine]
    left: Callable[[np.float32], Affine | None]


_OPERATORS = {
    "Add": _Arithmetic(Add(), lambda c: Affine(1.0, float(c)), lambda c: Affine(1.0, float(c))),
    "Sub": _Arithmetic(Sub(), lambda c: Affine(1.0, float(-c)), lambda c: Affine(-1.0, float(c))),
    "Mul": _Arithmetic(Mul(), lambda c: Affine(float(c), 0.0), lambda c: Affine(float(c), 0.0)),
    "Div": _Arithmetic(Div(), lambda c: Affine(float(np.float32(1) / c), 0.0), lambda c: None),
}


def samples_alone(conversion: Conversion) -> str | None:
    """Broadcasting does not reach across the batch axis, axis 0 of a computed operand."""
    ranks = [conversion.type(index).rank for index in range(len(conversion.operands))]
    for index in range(len(ranks)):
        shape = conversion.type(index).shape
        if not conversion.is_constant(index) and len(shape) == max(ranks):
            continue
        if conversion.is_constant(index) and (len(shape) < max(ranks) or shape[:1] == (1,)):
            if len(shape) <= _computed_rank(conversion) or conversion.single:
                continue
        elif not conversion.is_constant(index) and conversion.single:
            continue
        return f"of shapes {[list(conversion.type(i).shape) for i in range(len(ranks))]}"
    return None


def scalar_bound(conversion: Conversion) -> str | None:
    """One operand is computed, the other one constant number."""
    constants = [i for i in range(len(conversion.operands)) if conversion.is_constant(i)]
    scalar = len(constants) == 1 and conversion.type(constants[0]).size == 1
    return None if scalar and len(conversion.operands) == 2 else "of computed operands"


def _computed_rank(conversion: Conversion) -> int:
    computed = (i for i in range(len(conversion.operands)) if not conversion.is_constant(i))
    return max((conversion.type(i).rank for i in computed), default=0)


@converts("Add", "Sub", "Mul", "Div", form=Form.SHARED, constraints=(samples_alone,))
def arithmetic(conversion: Conversion) -> Result:
    """Element-wise arithmetic."""
    kind = _OPERATORS[conversion.node.op_type]
    affine = _affine(conversion, kind)
    if affine is not None:
        return affine
    a, b = _aligned(conversion, [conversion.value(0), conversion.value(1)])
    return conversion.emit(kind.op, a, b)


@converts("Sum", form=Form.SHARED, constraints=(samples_alone,))
def sum_of(conversion: Conversion) -> Result:
    """A chain of additions."""
    values = [conversion.value(index) for index in range(len(conversion.operands))]
    total, *rest = _aligned(conversion, values)
    for index, value in enumerate(rest, 1):
        step = "" if index == len(rest) else f"sum{index}"
        total = conversion.emit(Add(), total, value, step=step)
    return total


@converts("Max", form=Form.SHARED, constraints=(scalar_bound,))
def maximum(conversion: Conversion) -> Value:
    """The larger of x and a number."""
    x, bound = _bound(conversion)
    return conversion.emit(Clip(bound, inf), x)


@converts("Min", form=Form.SHARED, constraints=(scalar_bound,))
def minimum(conversion: Conversion) -> Value:
    """The smaller of x and a number."""
    x, bound = _bound(conversion)
    return conversion.emit(Clip(-inf, bound), x)


def _affine(conversion: Conversion, kind: _Arithmetic) -> Value | None:
    """The result as an affine map, if one operand is a number that changes no shape."""
    for constant, make in ((1, kind.right), (0, kind.left)):
        if not conversion.is_constant(constant) or conversion.is_constant(1 - constant):
            continue
        if conversion.codes_of(constant) is not None:
            return None  # arithmetic of codes in a quantized model
        number = _number(conversion, constant)
        x = conversion.value(1 - constant)
        if (
            number is None
            or conversion.type(constant).rank > x.type.rank
            or (not number and (conversion.node.op_type == "Div"))
        ):
            return None
        op = make(number)
        return None if op is None else conversion.emit(op, x)
    return None


def _number(conversion: Conversion, index: int) -> np.float32 | None:
    array: Array = conversion.floats(index, "operand")
    return np.float32(array.reshape(-1)[0]) if array.size == 1 else None


def _bound(conversion: Conversion) -> tuple[Value, float]:
    constant = 0 if conversion.is_constant(0) else 1
    number = conversion.floats(constant, "bound").reshape(-1)[0]
    return conversion.value(1 - constant), float(number)


def _aligned(conversion: Conversion, values: list[Value]) -> list[Value]:
    """Give computed operands the same number of axes, so that their batch axes meet."""
    rank = max(value.type.rank for value in values)
    return [_lifted(conversion, index, value, rank) for index, value in enumerate(values)]


def _lifted(conversion: Conversion, index: int, value: Value, rank: int) -> Value:
    missing = rank - value.type.rank
    if not missing or conversion.is_constant(index):
        return value
    shape = (1,) * missing + value.type.shape
    return conversion.emit(Reshape(shape), value, step="aligned")
