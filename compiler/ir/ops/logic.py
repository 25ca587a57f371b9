"""Logic on truth values and on bits, and choice by truth values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import DType, TensorType
from .binary import Binary
from .checks import expect_count, expect_same


class Connective(StrEnum):
    """How two truth values, or the bits of two integers, are joined."""

    AND = "and"
    OR = "or"
    XOR = "xor"


_BITS: dict[Connective, Callable[[Array, Array], Array]] = {
    Connective.AND: np.bitwise_and,
    Connective.OR: np.bitwise_or,
    Connective.XOR: np.bitwise_xor,
}


def _expect_bits(operands: Sequence[TensorType]) -> None:
    expect_same(operands)
    if operands[0].dtype.is_float:
        raise OpError(f"operand 0 is {operands[0].dtype}, needed are truth values or integers")


@op("join", Stage.FLOAT)
class Join(Binary):
    """Truth values or integers joined bit by bit."""

    connective: Connective

    def check(self, operands: Sequence[TensorType]) -> None:
        """Truth values or integers, of one type."""
        _expect_bits(operands)

    def apply(self, a: Array, b: Array) -> Array:
        """Join each pair."""
        return _BITS[self.connective](a, b)


@op("invert", Stage.FLOAT)
class Invert(Op):
    """Every truth value, or every bit of an integer, the other way round."""

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of the operand."""
        expect_count(operands, 1)
        _expect_bits(operands)
        return (operands[0],)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Invert each bit."""
        return (np.asarray(np.invert(inputs[0])),)


@op("where", Stage.FLOAT)
class Where(Op):
    """Elements of operand 1 where operand 0 holds, of operand 2 elsewhere, with broadcasting."""

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The broadcast shape."""
        expect_count(operands, 3)
        expect_same(operands[1:])
        if operands[0].dtype is not DType.BOOL:
            raise OpError(f"operand 0 is {operands[0].dtype}, needed are truth values")
        try:
            shape = np.broadcast_shapes(*(type_.shape for type_ in operands))
        except ValueError:
            listed = [list(type_.shape) for type_ in operands]
            raise OpError(f"shapes {listed} do not broadcast") from None
        return (operands[1].with_shape(shape),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Choose."""
        return (np.where(*inputs),)
