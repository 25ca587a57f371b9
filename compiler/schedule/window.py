"""The borders that windowed operators read beyond their input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

from ..ir.graph import Node
from ..ir.op import Op
from ..ir.ops.parallel_windows import QParallelConv, counted
from ..ir.ops.pooling import MaxPool
from ..ir.ops.quantized import QConv
from ..ir.ops.quantized_pooling import QAveragePool
from ..ir.ops.tiled import Tiled
from ..ir.types import TensorType
from .layout import ELEMENTS, Layout, layout_of


@dataclass(frozen=True)
class Window:
    """Kernel geometry over the spatial axes (axis 2 and up)."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]


class Border(NamedTuple):
    """Elements needed before and after each axis of a value, and the code that they hold."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    fill: int

    @property
    def empty(self) -> bool:
        """Whether nothing is needed."""
        return not any(self.before) and not any(self.after)

    def covers(self, other: Border) -> bool:
        """Whether a buffer with this border serves a reader that needs `other`."""
        if other.empty:
            return True
        wide = all(a >= b for a, b in zip(self.before, other.before, strict=True))
        far = all(a >= b for a, b in zip(self.after, other.after, strict=True))
        return self.fill == other.fill and wide and far

    def union(self, other: Border) -> Border:
        """The smallest border that covers both, which must agree on the fill or be empty."""
        if self.empty:
            return other
        if other.empty:
            return self
        before = tuple(max(a, b) for a, b in zip(self.before, other.before, strict=True))
        after = tuple(max(a, b) for a, b in zip(self.after, other.after, strict=True))
        return Border(before, after, self.fill)


def bordered(type_: TensorType, border: Border) -> Layout:
    """The memory layout of a tensor with a border around it."""
    return layout_of(ELEMENTS[type_.dtype], type_.shape, border.before, border.after)


@cache
def no_border(rank: int) -> Border:
    """The border of a value that is read as it is."""
    return Border((0,) * rank, (0,) * rank, 0)


def product_of(op: Op) -> Op:
    """The operator itself, or the product inside a tiled one."""
    return op.product if isinstance(op, Tiled) else op


def window_of(node: Node) -> Window | None:
    """The window of a convolution or pooling node; None for other operators.

    A convolution with parallel windows has the window of one output here.
    """
    op = product_of(node.op)
    match op:
        case QConv(strides, pads, dilations):
            weights = node.operands[1].type
            kernel = op.kernel(weights) if isinstance(op, QParallelConv) else weights.shape[2:]
            return Window(kernel, strides, dilations, pads[: len(kernel)])
        case MaxPool(kernel, strides, pads, dilations):
            return Window(kernel, strides, dilations, pads[: len(kernel)])
        case QAveragePool(kernel, strides, pads):
            return Window(kernel, strides, op.windows.dilations, pads[: len(kernel)])
    return None


def driven_window_of(node: Node) -> Window | None:
    """What `window_of` gives, of parallel windows the whole one that is driven at a time."""
    window, op = window_of(node), product_of(node.op)
    if window is None or not isinstance(op, QParallelConv):
        return window
    return replace(window, kernel=node.operands[1].type.shape[2:], strides=op.steps)


def windows_at_once(node: Node) -> tuple[int, ...]:
    """How many neighbouring windows are computed at a time along each spatial axis."""
    op = product_of(node.op)
    if isinstance(op, QParallelConv):
        return op.parallel
    return (1,) * (node.result.type.rank - 2)


def windows_along(node: Node, axis: int) -> int:
    """How many neighbouring windows are computed at a time along an axis of the result."""
    return windows_at_once(node)[axis - 2]


def window_counts(node: Node) -> tuple[int, ...]:
    """Windows along each spatial axis; parallel ones count once."""
    return counted(node.result.type.shape[2:], windows_at_once(node))


def border_of(node: Node, operand: int) -> Border:
    """The border that `node` reads around its operand."""
    type_ = node.operands[operand].type
    window = driven_window_of(node)
    if window is None or operand != 0:
        return no_border(type_.rank)
    reach = _reach(window, window_counts(node))
    after = tuple(
        max(0, last - begin - extent)
        for last, begin, extent in zip(reach, window.before, type_.shape[2:], strict=True)
    )
    return Border((0, 0, *window.before), (0, 0, *after), _fill(node, type_))


def _reach(window: Window, outputs: Sequence[int]) -> list[int]:
    """Elements from the first that any window reads to the last, along each axis."""
    return [
        (count - 1) * stride + (kernel - 1) * dilation + 1
        for count, stride, kernel, dilation in zip(
            outputs, window.strides, window.kernel, window.dilations, strict=True
        )
    ]


def _fill(node: Node, type_: TensorType) -> int:
    assert type_.quant is not None  # the quantized stage has codes only
    if isinstance(node.op, MaxPool):
        return type_.quant.low
    return type_.quant.zero_point[0]
