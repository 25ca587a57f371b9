"""Normalization by statistics of the sample itself: over trailing axes, or over channel groups.

``mean = sum(x) / n``, ``var = sum((x - mean)^2) / n`` over the n elements of one group, and
``y = (x - mean) / sqrt(var + epsilon) * scale + bias``. float16 is computed in float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import DType, TensorType
from .checks import expect_count, expect_vector
from .real import expect_real, working_type


@op("layer_normalization", Stage.FLOAT)
class LayerNormalization(Op):
    """Normalization over the axes from `axis` on.

    Operands: x, scale[, bias]; the latter two broadcast to x. With `statistics` the mean and
    ``1 / sqrt(var + epsilon)`` follow as results in float32, the normalized axes of extent 1.
    """

    axis: int
    epsilon: float = 1e-5
    statistics: bool = False

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of x, and with `statistics` those of mean and inverse deviation."""
        expect_count(operands, 2, 3)
        expect_real(operands)
        x = operands[0]
        _expect_axis(self.axis, x)
        for what, type_ in zip(("scale", "bias"), operands[1:], strict=False):
            _expect_broadcast(type_, x, what)
        if not self.statistics:
            return (x,)
        reduced = TensorType(DType.F32, (*x.shape[: self.axis], *(1,) * (x.rank - self.axis)))
        return (x, reduced, reduced)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Statistics over axis 0 are taken over all samples."""
        return "" if self.axis else "axis 0 is the batch, it is normalized here"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Two passes: the mean, then the squares of the differences."""
        x = inputs[0].astype(working_type(inputs[0].dtype))
        axes = tuple(range(self.axis, x.ndim))
        mean = x.mean(axis=axes, keepdims=True)
        centred = x - mean
        inverse = 1 / np.sqrt(np.square(centred).mean(axis=axes, keepdims=True) + self.epsilon)
        y = centred * inverse * inputs[1]
        if len(inputs) == 3:
            y = y + inputs[2]
        y = y.astype(inputs[0].dtype)
        if not self.statistics:
            return (y,)
        return (y, mean.astype(np.float32), inverse.astype(np.float32))


@op("rms_normalization", Stage.FLOAT)
class RMSNormalization(Op):
    """``x / sqrt(mean(x^2) + epsilon) * scale``, the mean over the axes from `axis` on.

    Operands: x, scale, which broadcasts to x.
    """

    axis: int
    epsilon: float = 1e-5

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of x."""
        expect_count(operands, 2)
        expect_real(operands)
        _expect_axis(self.axis, operands[0])
        _expect_broadcast(operands[1], operands[0], "scale")
        return (operands[0],)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Statistics over axis 0 are taken over all samples."""
        return "" if self.axis else "axis 0 is the batch, it is normalized here"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """One mean of squares a group."""
        x = inputs[0].astype(working_type(inputs[0].dtype))
        axes = tuple(range(self.axis, x.ndim))
        power = np.square(x).mean(axis=axes, keepdims=True)
        y = x / np.sqrt(power + self.epsilon) * inputs[1]
        return (y.astype(inputs[0].dtype),)


@op("group_normalization", Stage.FLOAT)
class GroupNormalization(Op):
    """Normalization of x ``[N, C, ...]`` over each of `groups` groups of neighbouring channels.

    Operands: x, scale ``[C]``, bias ``[C]``. With a group for each channel this is instance
    normalization.
    """

    groups: int
    epsilon: float = 1e-5

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of x."""
        expect_count(operands, 3)
        expect_real(operands)
        x = operands[0]
        if x.rank < 3:
            raise OpError(f"operand 0 has shape {list(x.shape)}, it needs spatial axes")
        if self.groups < 1 or x.shape[1] % self.groups:
            raise OpError(f"{x.shape[1]} channels do not split into {self.groups} groups")
        for what, type_ in zip(("scale", "bias"), operands[1:], strict=True):
            expect_vector(type_, x.shape[1], what)
        return (x,)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Two passes: the mean, then the squares of the differences."""
        x, scale, bias = (array.astype(working_type(inputs[0].dtype)) for array in inputs)
        grouped = x.reshape(len(x), self.groups, -1)
        centred = grouped - grouped.mean(axis=2, keepdims=True)
        variance = np.square(centred).mean(axis=2, keepdims=True)
        normal = (centred / np.sqrt(variance + self.epsilon)).reshape(x.shape)
        channels = (-1, *(1,) * (x.ndim - 2))
        y = normal * scale.reshape(channels) + bias.reshape(channels)
        return (y.astype(inputs[0].dtype),)


def _expect_axis(axis: int, x: TensorType) -> None:
    if not 0 <= axis < x.rank:
        raise OpError(f"axis is {axis}, allowed are 0 to {x.rank - 1}")


def _expect_broadcast(type_: TensorType, x: TensorType, what: str) -> None:
    own = x.shape[x.rank - type_.rank :] if type_.rank <= x.rank else ()
    fits = len(own) == type_.rank and all(
        e in (1, extent) for e, extent in zip(type_.shape, own, strict=True)
    )
    if not fits:
        raise OpError(f"{what} has shape {list(type_.shape)}, it must broadcast to {list(x.shape)}")
