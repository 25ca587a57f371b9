"""Average pooling of codes: exact sums, then one scale a window position."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..op import Array, Op, OpError, Stage, op
from ..requant import Requant
from ..types import TensorType
from .codes import activation
from .pooling import window_counts, window_sum
from .windows import Windows

_STAGES = Stage.QUANTIZED | Stage.TILED


def _scale(types: Sequence[TensorType], requant: Requant, counts: Array) -> NDArray[np.float32]:
    """``f32(sx) / f32(sy * count)``."""
    sx = np.float32(activation(types[0]).scale[0])
    return np.asarray(sx / (requant.scale * counts.astype(np.float32)), np.float32)


@op("qglobal_average_pool", _STAGES)
class QGlobalAveragePool(Op):
    """Mean over all spatial axes: ``requantize(sum (x - zx), f32(sx) / f32(sy * count))``."""

    requant: Requant

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes ``[1, C, 1, ...]``."""
        (x,) = operands
        activation(x)
        if x.rank < 3:
            raise OpError(f"the operand is {x.shape}; it must be [1, C, *spatial]")
        return (self.requant.type((*x.shape[:2], *(1 for _ in x.shape[2:]))),)

    def count(self, types: Sequence[TensorType]) -> int:
        """Elements of one mean."""
        return math.prod(types[0].shape[2:])

    def scale(self, types: Sequence[TensorType]) -> NDArray[np.float32]:
        """Scale from sum to output codes, without axes."""
        return _scale(types, self.requant, np.array(self.count(types)))

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Exact sums, then the output stage."""
        (x,) = inputs
        axes = tuple(range(2, x.ndim))
        sums = x.sum(axis=axes, keepdims=True, dtype=np.int64)
        zero = activation(types[0]).zero_point[0] * self.count(types)
        return (self.requant.apply(sums - zero, self.scale(types)),)


@op("qaverage_pool", _STAGES)
class QAveragePool(Op):
    """Mean over windows; the zero point is added before the last rounding.

    ``clip(rint(f32(sum (x - zx)) * s + zy))`` with ``s = f32(sx) / f32(sy * count)`` of the
    window position: at the borders only elements inside the tensor count, unless
    `count_include_pad`. Padding adds 0 to the sum. `pads` are all begins, then all ends.

    onnxruntime sums rounded floats instead, and differs by one step in 1e-5 of the codes; in 1 %
    where operand and result have the same scale and windows of four, so that ties are common.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    ceil: bool
    count_include_pad: bool
    requant: Requant
    dilations: tuple[int, ...] | None = None

    @property
    def windows(self) -> Windows:
        """The geometry."""
        dilations = self.dilations or (1,) * len(self.kernel)
        return Windows(self.kernel, self.strides, self.pads, dilations, self.ceil)

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes ``[1, C, *positions]``."""
        (x,) = operands
        activation(x)
        positions = self.windows.output(x.shape[2:])
        return (self.requant.type((*x.shape[:2], *positions)),)

    def counts(self, types: Sequence[TensorType]) -> NDArray[np.int64]:
        """Elements of the mean at each window position."""
        counts = window_counts(self.windows, types[0].shape[2:], self.count_include_pad)
        return np.asarray(counts, np.int64)

    def scale(self, types: Sequence[TensorType]) -> NDArray[np.float32]:
        """Scale from sum to output codes at each window position."""
        return _scale(types, self.requant, self.counts(types))

    def is_uniform(self, types: Sequence[TensorType]) -> bool:
        """Whether all windows have as many elements, and so one scale."""
        counts = self.counts(types)
        return bool((counts == counts.flat[0]).all())

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Exact sums, then the output stage."""
        (x,) = inputs
        centred = x.astype(np.int32) - activation(types[0]).zero_point[0]
        sums = window_sum(self.windows, centred)
        return (self.requant.apply(sums, self.scale(types), biased=True),)
