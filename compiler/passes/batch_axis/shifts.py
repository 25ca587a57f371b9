"""Operators with one computed operand, behind a new axis 0: axes count one more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from ...ir import OPS, Op, TensorType
from ...ir.ops.cast import BitCast, Cast
from ...ir.ops.compare import Test
from ...ir.ops.constant_operand import WithConstant
from ...ir.ops.indexing import OneHot, TopK, Triangle
from ...ir.ops.integer_products import DequantizeLinear, QuantizeLinear
from ...ir.ops.layer_norm import LayerNormalization, RMSNormalization
from ...ir.ops.logic import Invert
from ...ir.ops.math import Math
from ...ir.ops.normalization import AlongAxis
from ...ir.ops.normalize import Normalize
from ...ir.ops.quant import Dequantize, Quantize
from ...ir.ops.reduce import Position, Reduce, Running
from ...ir.ops.resize import Resize
from ...ir.ops.shape import Pad, PadCopies, Slice, Tile, Transpose
from ...ir.ops.signal import DFT
from ...ir.ops.unary import Unary
from .registry import shifts

Types = Sequence[TensorType]


def kinds(*families: type[Op]) -> tuple[type[Op], ...]:
    """The operators of some families."""
    return tuple(op for op in OPS.values() if issubclass(op, families))


@shifts(
    *kinds(Unary, Test),
    Math,
    Cast,
    BitCast,
    Invert,
    Quantize,
    Dequantize,
    WithConstant,
    Triangle,
)
def same(op: Op, types: Types) -> Op:
    """Element by element, or over the last axes: nothing to shift."""
    return op


@shifts(
    *kinds(AlongAxis),
    Position,
    Running,
    TopK,
    OneHot,
    LayerNormalization,
    RMSNormalization,
    QuantizeLinear,
    DequantizeLinear,
    DFT,
)
def one_axis(op: Op, types: Types) -> Op:
    """Operators with an attribute `axis`."""
    addressed = cast(Position, op)
    return replace(addressed, axis=addressed.axis + 1)


@shifts(Reduce, Normalize)
def several_axes(op: Op, types: Types) -> Op:
    """Operators with an attribute `axes`."""
    addressed = cast(Reduce, op)
    return replace(addressed, axes=tuple(axis + 1 for axis in addressed.axes))


@shifts(Resize)
def resized_axes(op: Op, types: Types) -> Op:
    """Each resized axis."""
    assert isinstance(op, Resize)
    return replace(op, axes=tuple(replace(axis, axis=axis.axis + 1) for axis in op.axes))


@shifts(Transpose)
def permutation(op: Op, types: Types) -> Op:
    """The new axis stays first."""
    assert isinstance(op, Transpose)
    return Transpose((0, *(axis + 1 for axis in op.perm)))


@shifts(Pad, PadCopies)
def pads(op: Op, types: Types) -> Op:
    """The new axis does not grow."""
    assert isinstance(op, Pad | PadCopies)
    return replace(op, pads_begin=(0, *op.pads_begin), pads_end=(0, *op.pads_end))


@shifts(Slice)
def bounds(op: Op, types: Types) -> Op:
    """All of the new axis."""
    assert isinstance(op, Slice)
    return Slice((0, *op.starts), (1, *op.ends), (1, *op.steps))


@shifts(Tile)
def repeats(op: Op, types: Types) -> Op:
    """The new axis once."""
    assert isinstance(op, Tile)
    return Tile((1, *op.repeats))
