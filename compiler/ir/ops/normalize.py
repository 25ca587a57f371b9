"""Normalization by a sample's own statistics: what all such operators of ONNX share.

``mean = sum(x) / K`` and ``var = sum((x - mean)^2) / K`` over the K elements of one row, and
``y = (x - mean) / sqrt(var + epsilon)``: stage one of LayerNormalization in ONNX. Without a centre
``y = x / sqrt(sum(x^2) / K + epsilon)``, which is RMSNormalization without scale.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import TensorType
from .checks import broadcasts, expect_axis, expect_count
from .real import expect_real, working_type


@op("normalize", Stage.FLOAT)
class Normalize(Op):
    """Rows along `axes` divided by their deviation, or by their root mean square.

    Operands: x, and as far as given a scale and a bias that broadcast to x. With `center` the mean
    is taken off first. Where the divisor is 0, so is the quotient. float16 is computed in float32.
    """

    axes: tuple[int, ...]
    epsilon: float = 1e-5
    center: bool = True

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of x."""
        expect_count(operands, 1, 3)
        expect_real(operands)
        for type_ in operands[1:]:
            if not broadcasts(type_.shape, operands[0].shape):
                raise OpError(
                    f"{list(type_.shape)} does not broadcast to {list(operands[0].shape)}"
                )
        for axis in self.axes:
            expect_axis(axis, operands[0].rank)
        if not self.axes or len(set(self.axes)) < len(self.axes):
            raise OpError(f"axes are {list(self.axes)}, needed is at least one, each once")
        if not self.epsilon >= 0:
            raise OpError(f"epsilon is {self.epsilon}, it must not be negative")
        return (operands[0],)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Statistics over axis 0 are taken over all samples."""
        return "axis 0 is the batch, it is normalized here" if 0 in self.axes else ""

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Two passes: the mean, then the squares of the differences."""
        x = inputs[0].astype(working_type(inputs[0].dtype))
        if self.center:
            x = x - x.mean(axis=self.axes, keepdims=True)
        power = np.square(x).mean(axis=self.axes, keepdims=True) + x.dtype.type(self.epsilon)
        divisor = np.sqrt(power)
        y = np.divide(x, divisor, out=np.zeros_like(x), where=divisor != 0)
        for function, operand in zip((np.multiply, np.add), inputs[1:], strict=False):
            y = function(y, operand.astype(y.dtype))
        return (y.astype(inputs[0].dtype),)
