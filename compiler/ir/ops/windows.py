"""Sliding windows over the spatial axes: shapes, padding and strided views.

For one spatial axis of extent ``d`` with padding ``b`` before and ``a`` after, a kernel of ``k``
elements with dilation ``l`` spans ``s = (k - 1) * l + 1``, and there are
``floor((d + b + a - s) / stride) + 1`` windows; with `ceil` the quotient is rounded up, and a last
window that would start in the padding after the input is dropped, as ONNX defines it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from ..op import Array, OpError


@dataclass(frozen=True)
class Windows:
    """The geometry of a convolution or pooling over n spatial axes; `pads` has 2n elements."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]
    ceil: bool = False

    def check(self) -> None:
        """Raise `OpError` where lengths differ or an attribute is out of range."""
        rank = len(self.kernel)
        for name, value, length, least in (
            ("kernel", self.kernel, rank, 1),
            ("strides", self.strides, rank, 1),
            ("dilations", self.dilations, rank, 1),
            ("pads", self.pads, 2 * rank, 0),
        ):
            if len(value) != length:
                raise OpError(f"{name} has {len(value)} elements, needed are {length}")
            if any(element < least for element in value):
                raise OpError(f"{name} is {list(value)}, each element must be at least {least}")

    @property
    def spans(self) -> tuple[int, ...]:
        """Extent of the input that one window covers, along each axis."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    def output(self, spatial: Sequence[int]) -> tuple[int, ...]:
        """Number of windows along each axis for an input of these spatial extents."""
        self.check()
        if len(spatial) != len(self.kernel):
            raise OpError(
                f"kernel has {len(self.kernel)} spatial axes, operand 0 has {len(spatial)}"
            )
        return tuple(self._count(axis, extent) for axis, extent in enumerate(spatial))

    def padded(self, x: Array, value: float) -> Array:
        """The input with its padding, long enough for all windows: ``[B, C, ...]``."""
        widths = self._widths(x.shape[2:])
        if not any(before or after for before, after in widths):
            return x
        return np.pad(x, [(0, 0), (0, 0), *widths], constant_values=value)

    def taps(self, padded: Array, output: Sequence[int]) -> Iterator[Array]:
        """For each kernel element in row-major order, what it meets: views ``[B, C, *output]``."""
        for offset in product(*(range(k) for k in self.kernel)):
            steps = tuple(
                slice(o * d, o * d + (n - 1) * s + 1, s)
                for o, d, n, s in zip(offset, self.dilations, output, self.strides, strict=True)
            )
            yield padded[(slice(None), slice(None), *steps)]

    def _count(self, axis: int, extent: int) -> int:
        before, after = self.pads[axis], self.pads[axis + len(self.kernel)]
        room = extent + before + after - self.spans[axis]
        if room < 0:
            raise OpError(
                f"the kernel spans {self.spans[axis]} elements of spatial axis {axis}, which has "
                f"{extent + before + after} with padding"
            )
        stride = self.strides[axis]
        if not self.ceil:
            return room // stride + 1
        count = -(-room // stride) + 1
        return count - ((count - 1) * stride >= extent + before)

    def _widths(self, spatial: Sequence[int]) -> list[tuple[int, int]]:
        rank = len(self.kernel)
        widths = []
        for axis, (extent, count) in enumerate(zip(spatial, self.output(spatial), strict=True)):
            reach = (count - 1) * self.strides[axis] + self.spans[axis]
            before, after = self.pads[axis], self.pads[axis + rank]
            widths.append((before, max(after, reach - before - extent)))
        return widths
