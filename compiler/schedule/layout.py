"""How a tensor lies in a core's local memory: channels innermost, with a border for windows.

A value of shape (1, C, d1..dn) is stored in the order d1..dn, C, so that the taps of a window
are runs of channels. Around the spatial axes lies a halo: windows that reach over the edge read
it, and it holds the value that padding stands for. So padding costs no copy and no special case
in an instruction.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod

from imcc.isa import ElementType

from ..ir.types import DType

ELEMENTS = {
    DType.U8: ElementType.U8,
    DType.I8: ElementType.I8,
    DType.U16: ElementType.U16,
    DType.I16: ElementType.I16,
    DType.I32: ElementType.I32,
    DType.U32: ElementType.U32,
}


@dataclass(frozen=True)
class Layout:
    """Strides of a tensor of `shape` (batch axis 1 included) with a halo on its spatial axes.

    `before` and `after` count halo elements for each axis of the shape; they are zero for the
    batch and channel axes.
    """

    element: ElementType
    shape: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Axes from slowest to fastest; the batch axis is not stored."""
        rank = len(self.shape)
        return (*range(2, rank), 1) if rank > 1 else ()

    @cached_property
    def strides(self) -> tuple[int, ...]:
        """Bytes from one index to the next, for each axis of the shape."""
        strides = [0] * len(self.shape)
        step = self.element.size
        for axis in reversed(self.order):
            strides[axis] = step
            step *= self._stored(axis)
        return tuple(strides)

    @cached_property
    def size(self) -> int:
        """Bytes of the tensor with its halo."""
        return prod(self._stored(axis) for axis in self.order) * self.element.size

    @cached_property
    def start(self) -> int:
        """Bytes from the beginning of the buffer to element (0, ..., 0)."""
        return sum(b * s for b, s in zip(self.before, self.strides, strict=True))

    @cached_property
    def has_halo(self) -> bool:
        """Whether any element of the buffer is border."""
        return any(self.before) or any(self.after)

    def _stored(self, axis: int) -> int:
        return self.before[axis] + self.shape[axis] + self.after[axis]


@lru_cache(1 << 16)
def layout_of(
    element: ElementType, shape: tuple[int, ...], before: tuple[int, ...], after: tuple[int, ...]
) -> Layout:
    """A layout; those of parts of tensors are few, and asked for very often."""
    return Layout(element, shape, before, after)


def plain_layout(element: ElementType, shape: tuple[int, ...]) -> Layout:
    """The layout of a tensor without a halo."""
    none = (0,) * len(shape)
    return layout_of(element, shape, none, none)
