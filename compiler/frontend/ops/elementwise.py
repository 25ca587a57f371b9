"""Element-wise functions of several whole tensors, with broadcasting across all axes."""

from __future__ import annotations

import numpy as np

from ...ir.graph import Value
from ...ir.op import Op
from ...ir.ops.binary import (
    Add,
    BitShift,
    Div,
    Maximum,
    Minimum,
    Modulo,
    Mul,
    Power,
    PRelu,
    Sub,
)
from ...ir.ops.compare import Compare, Relation
from ...ir.ops.logic import Connective, Join, Where
from ..conversion import Conversion
from ..registry import Form, Result, converts

_BINARY: dict[str, Op] = {
    "Add": Add(),
    "Sub": Sub(),
    "Mul": Mul(),
    "Div": Div(),
    "Pow": Power(),
    "PRelu": PRelu(),
    "Equal": Compare(Relation.EQUAL),
    "Less": Compare(Relation.LESS),
    "LessOrEqual": Compare(Relation.LESS_EQUAL),
    "Greater": Compare(Relation.GREATER),
    "GreaterOrEqual": Compare(Relation.GREATER_EQUAL),
    "And": Join(Connective.AND),
    "Or": Join(Connective.OR),
    "Xor": Join(Connective.XOR),
    "BitwiseAnd": Join(Connective.AND),
    "BitwiseOr": Join(Connective.OR),
    "BitwiseXor": Join(Connective.XOR),
}
_VARIADIC: dict[str, Op] = {"Sum": Add(), "Max": Maximum(), "Min": Minimum(), "Mean": Add()}


@converts(*_BINARY, form=Form.WHOLE)
def binary(conversion: Conversion) -> Value:
    """A function of two tensors."""
    op = _BINARY[conversion.node.op_type]
    return conversion.emit(op, conversion.value(0), conversion.value(1))


@converts("Mod", form=Form.WHOLE)
def modulo(conversion: Conversion) -> Value:
    """The rest, with the sign that attribute fmod asks for."""
    op = Modulo(bool(conversion.integer("fmod", 0)))
    return conversion.emit(op, conversion.value(0), conversion.value(1))


@converts("BitShift", form=Form.WHOLE)
def bit_shift(conversion: Conversion) -> Value:
    """To the left or to the right."""
    direction = conversion.text("direction", "")
    if direction not in ("LEFT", "RIGHT"):
        raise conversion.reject(f"in direction '{direction}'", "allowed are LEFT and RIGHT")
    return conversion.emit(BitShift(direction == "LEFT"), conversion.value(0), conversion.value(1))


@converts(*_VARIADIC, form=Form.WHOLE)
def variadic(conversion: Conversion) -> Result:
    """A chain of functions of two tensors."""
    name, count = conversion.node.op_type, len(conversion.operands)
    total = conversion.value(0)
    for index in range(1, count):
        step = "" if index == count - 1 and name != "Mean" else f"step{index}"
        total = conversion.emit(_VARIADIC[name], total, conversion.value(index), step=step)
    if name != "Mean" or count == 1:
        return total
    number = np.asarray(count, total.type.dtype.numpy)
    return conversion.emit(Div(), total, conversion.constant(number, conversion.name("count")))


@converts("Where", form=Form.WHOLE)
def where(conversion: Conversion) -> Value:
    """Choose element by element."""
    return conversion.emit(Where(), *(conversion.value(index) for index in range(3)))


@converts("Clip", form=Form.WHOLE, since=11)
def clip(conversion: Conversion) -> Result:
    """Bounds may be computed; a low bound above the high one counts for nothing."""
    x = conversion.value(0)
    if conversion.has(1):
        step = "low" if conversion.has(2) else ""
        x = conversion.emit(Maximum(), x, conversion.value(1), step=step)
    if conversion.has(2):
        x = conversion.emit(Minimum(), x, conversion.value(2))
    return x
