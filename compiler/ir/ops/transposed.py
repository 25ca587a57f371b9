"""Transposed convolution and its bare core, the summing of overlapping columns.

One spatial axis of extent ``d``, stride ``s``, dilation ``l``, kernel ``k`` and padding ``b``
before and ``a`` after gives ``s * (d - 1) + output_padding + (k - 1) * l + 1 - b - a`` elements:
input position p adds ``x[p] * w[j]`` to output position ``p * s + j * l - b``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import TensorType
from .checks import expect_count, expect_lengths, expect_spatial, expect_vector
from .real import expect_real
from .windows import Windows


@op("conv_transpose", Stage.FLOAT)
class ConvTranspose(Op):
    """Transposed convolution of x ``[N, C, ...]`` with w ``[C, M/group, ...]`` to M channels.

    Operands: x, w[, bias ``[M]``]. Positions added by `output_padding` lie at the end.
    """

    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    output_padding: tuple[int, ...]
    group: int = 1

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[N, M, ...]``."""
        expect_count(operands, 2, 3)
        dtype = expect_real(operands)
        x, w = operands[:2]
        expect_spatial(x, w.rank - 2)
        expect_lengths({"output_padding": self.output_padding}, w.rank - 2)
        if self.group < 1 or x.shape[1] % self.group or w.shape[0] != x.shape[1]:
            raise OpError(
                f"weights {list(w.shape)} in {self.group} groups do not fit {x.shape[1]} channels"
            )
        channels = w.shape[1] * self.group
        if len(operands) == 3:
            expect_vector(operands[2], channels, "bias")
        extents = self._cropped(x.shape[2:], w.shape[2:])
        return (TensorType(dtype, (x.shape[0], channels, *extents)),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """One matrix product a group, then a sum over the kernel elements."""
        x, w = inputs[:2]
        kernel, spatial = w.shape[2:], x.shape[2:]
        matrix = x.reshape(len(x), self.group, -1, prod(spatial))
        weights = w.reshape(self.group, len(w) // self.group, -1)
        columns = np.matmul(weights.transpose(0, 2, 1), matrix)
        columns = columns.reshape(len(x), w.shape[1] * self.group, prod(kernel), *spatial)
        whole = overlap_add(columns, self._windows(kernel), self._extents(spatial, kernel))
        y = whole[(slice(None), slice(None), *self._crop(spatial, kernel))]
        if len(inputs) == 3:
            y = y + inputs[2].reshape(-1, *(1,) * len(kernel))
        return (np.ascontiguousarray(y),)

    def _windows(self, kernel: tuple[int, ...]) -> Windows:
        return Windows(kernel, self.strides, self.pads, self.dilations)

    def _extents(self, spatial: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[int, ...]:
        """Extents before padding is cut off."""
        windows = self._windows(kernel)
        windows.check()
        return tuple(
            stride * (extent - 1) + span + extra
            for stride, extent, span, extra in zip(
                self.strides, spatial, windows.spans, self.output_padding, strict=True
            )
        )

    def _crop(self, spatial: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[slice, ...]:
        rank = len(kernel)
        extents = self._extents(spatial, kernel)
        return tuple(
            slice(self.pads[axis], extent - self.pads[axis + rank])
            for axis, extent in enumerate(extents)
        )

    def _cropped(self, spatial: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[int, ...]:
        extents = tuple(part.stop - part.start for part in self._crop(spatial, kernel))
        if min(extents) < 1:
            raise OpError(f"padding {list(self.pads)} leaves extents {list(extents)}")
        return extents


@op("col2im", Stage.FLOAT)
class Col2Im(Op):
    """Columns ``[N, C * prod(kernel), L]`` summed up to an image ``[N, C, *image]``.

    L counts the positions of the window in the padded image, in row-major order.
    """

    image: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]

    @property
    def windows(self) -> Windows:
        """The geometry."""
        return Windows(self.kernel, self.strides, self.pads, self.dilations)

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[N, C, *image]``."""
        expect_count(operands, 1)
        (x,) = operands
        size, positions = prod(self.kernel), prod(self.windows.output(self.image))
        if x.rank != 3 or x.shape[1] % size or x.shape[2] != positions:
            raise OpError(
                f"operand 0 has shape {list(x.shape)}, needed is [N, C * {size}, {positions}]"
            )
        return (x.with_shape((x.shape[0], x.shape[1] // size, *self.image)),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A sum over the kernel elements."""
        x = inputs[0]
        rank, size = len(self.kernel), prod(self.kernel)
        positions = self.windows.output(self.image)
        columns = x.reshape(len(x), x.shape[1] // size, size, *positions)
        before = self.pads[:rank]
        extents = [e + self.pads[a] + self.pads[a + rank] for a, e in enumerate(self.image)]
        whole = overlap_add(columns, self.windows, extents)
        inside = tuple(slice(b, b + e) for b, e in zip(before, self.image, strict=True))
        return (np.ascontiguousarray(whole[(slice(None), slice(None), *inside)]),)


def overlap_add(columns: Array, windows: Windows, extents: Sequence[int]) -> Array:
    """Sum columns ``[B, C, prod(kernel), *positions]`` into ``[B, C, *extents]``, unpadded."""
    positions = columns.shape[3:]
    total = np.zeros((*columns.shape[:2], *extents), columns.dtype)
    offsets = product(*(range(k) for k in windows.kernel))
    for index, offset in enumerate(offsets):
        steps = tuple(
            slice(o * d, o * d + (n - 1) * s + 1, s)
            for o, d, n, s in zip(
                offset, windows.dilations, positions, windows.strides, strict=True
            )
        )
        total[(slice(None), slice(None), *steps)] += columns[:, :, index]
    return total
