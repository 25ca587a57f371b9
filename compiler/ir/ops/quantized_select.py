"""Extremes of two tensors of codes, and choice between them: exact on codes of one scale."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import QuantParams, TensorType
from .checks import expect_count
from .codes import activation, truth_codes

_STAGES = Stage.QUANTIZED | Stage.TILED


def _one_scale(a: TensorType, b: TensorType) -> QuantParams:
    """The parameters that both operands have."""
    params = activation(a, "operand a")
    if activation(b, "operand b") != params:
        raise OpError("operands a and b have codes of different parameters; they must be the same")
    return params


def _broadcast(operands: Sequence[TensorType]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*(type_.shape for type_ in operands))
    except ValueError:
        listed = [list(type_.shape) for type_ in operands]
        raise OpError(f"shapes {listed} do not broadcast") from None


class QExtreme(Op):
    """One of each pair of codes, which have the same parameters; shapes are broadcast."""

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes of the broadcast shape."""
        expect_count(operands, 2)
        _one_scale(*operands)
        return (operands[0].with_shape(_broadcast(operands)),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Compare codes."""
        return (self.apply(inputs[0], inputs[1]),)

    @abstractmethod
    def apply(self, a: Array, b: Array) -> Array:
        """The function on arrays of codes."""


@op("qmaximum", _STAGES)
class QMaximum(QExtreme):
    """The larger of two codes."""

    def apply(self, a: Array, b: Array) -> Array:
        """The maximum."""
        return np.maximum(a, b)


@op("qminimum", _STAGES)
class QMinimum(QExtreme):
    """The smaller of two codes."""

    def apply(self, a: Array, b: Array) -> Array:
        """The minimum."""
        return np.minimum(a, b)


@op("qselect", _STAGES)
class QSelect(Op):
    """Codes of operand 1 where operand 0 is 1, of operand 2 where it is 0, with broadcasting.

    Operand 0 is truth values, the others have the same parameters.
    """

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes of the broadcast shape."""
        expect_count(operands, 3)
        truth_codes(operands[0], "operand 0")
        _one_scale(*operands[1:])
        return (operands[1].with_shape(_broadcast(operands)),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Choose."""
        mask, a, b = inputs
        return (np.where(mask == 1, a, b),)
