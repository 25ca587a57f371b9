"""A function of two operands, one of which is a number: a function of one operand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..op import Array, Op, Stage, op
from ..types import TensorType
from .checks import expect_count, expect_same


@op("with_constant", Stage.FLOAT)
class WithConstant(Op):
    """``function(x, constant)``, or ``function(constant, x)`` if the constant comes `first`.

    The constant has the element type of x.
    """

    function: Op
    constant: float
    first: bool = False

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type that the function gives, in the shape of x."""
        expect_count(operands, 1)
        expect_same(operands)
        x = operands[0]
        scalar = TensorType(x.dtype, ())
        return self.function.infer([scalar, x] if self.first else [x, scalar])

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """The function, with the constant broadcast."""
        x = inputs[0]
        scalar, type_ = np.asarray(self.constant, x.dtype), TensorType(types[0].dtype, ())
        if self.first:
            return self.function.evaluate([scalar, x], [type_, types[0]])
        return self.function.evaluate([x, scalar], [types[0], type_])
