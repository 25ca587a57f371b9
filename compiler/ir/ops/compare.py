"""Comparisons of two operands of one type, and tests of one: results are truth values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum

import numpy as np

from ..op import Array, Op, Stage, op
from ..types import DType, TensorType
from .binary import Binary
from .checks import expect_count, expect_floating, expect_number, expect_same


class Relation(StrEnum):
    """How two elements are compared."""

    EQUAL = "equal"
    LESS = "less"
    LESS_EQUAL = "less_equal"
    GREATER = "greater"
    GREATER_EQUAL = "greater_equal"


_RELATIONS: dict[Relation, Callable[[Array, Array], Array]] = {
    Relation.EQUAL: np.equal,
    Relation.LESS: np.less,
    Relation.LESS_EQUAL: np.less_equal,
    Relation.GREATER: np.greater,
    Relation.GREATER_EQUAL: np.greater_equal,
}


@op("compare", Stage.FLOAT)
class Compare(Binary):
    """Whether the relation holds for each pair of elements; never for NaN."""

    relation: Relation

    def check(self, operands: Sequence[TensorType]) -> None:
        """Numbers of one type; truth values may be equal."""
        if self.relation is Relation.EQUAL:
            expect_same(operands)
        else:
            expect_number(operands)

    def result(self, dtype: DType) -> DType:
        """Truth values."""
        return DType.BOOL

    def apply(self, a: Array, b: Array) -> Array:
        """Compare."""
        return _RELATIONS[self.relation](a, b)


class Test(Op):
    """A property of each element of a float tensor."""

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Truth values in the shape of the operand."""
        expect_count(operands, 1)
        expect_floating(operands)
        return (TensorType(DType.BOOL, operands[0].shape),)


@op("is_nan", Stage.FLOAT)
class IsNaN(Test):
    """Whether an element is not a number."""

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Test each element."""
        return (np.asarray(np.isnan(inputs[0])),)


@op("is_infinite", Stage.FLOAT)
class IsInfinite(Test):
    """Whether an element is infinite, of the signs that are asked for."""

    negative: bool = True
    positive: bool = True

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Test each element."""
        x = inputs[0]
        below, above = np.isneginf(x) & self.negative, np.isposinf(x) & self.positive
        return (np.asarray(below | above),)
