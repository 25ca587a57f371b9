"""Operators that must vanish: constants, shapes and the arithmetic on them.

Shape arithmetic sees batch 1. Results that could be larger than their operands are measured
before they are made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import AttributeProto
from onnx.helper import get_attribute_value

from ...ir.op import Array
from ..conversion import Conversion, Rejection, normal_axis
from ..folding import expect_fold_size
from ..registry import folds
from ..tensors import numpy_type, type_name

_NUMBERS = (
    ("value_float", AttributeProto.FLOAT, np.float32),
    ("value_floats", AttributeProto.FLOATS, np.float32),
    ("value_int", AttributeProto.INT, np.int64),
    ("value_ints", AttributeProto.INTS, np.int64),
)


@folds("Constant")
def constant(conversion: Conversion) -> Array:
    """A tensor, a number or a list of numbers."""
    tensor = conversion.attribute("value", AttributeProto.TENSOR)
    if tensor is not None:
        return conversion.tensors.read(tensor.t)
    for name, kind, dtype in _NUMBERS:
        found = conversion.attribute(name, kind)
        if found is not None:
            return np.asarray(get_attribute_value(found), dtype)
    raise conversion.reject("of this kind", "it holds a dense tensor of numbers")


@folds("Shape")
def shape(conversion: Conversion) -> Array:
    """The shape with batch 1, since operator set 15 a part of it."""
    extents = conversion.type(0).shape
    start, end = conversion.integer("start", 0), conversion.integer("end", len(extents))
    return np.asarray(extents[start:end], np.int64)


@folds("Size")
def size(conversion: Conversion) -> Array:
    """The number of elements with batch 1."""
    return np.asarray(conversion.type(0).size, np.int64)


@folds("ConstantOfShape")
def constant_of_shape(conversion: Conversion) -> Array:
    """One number everywhere."""
    extents = given_extents(conversion, 0)
    found = conversion.attribute("value", AttributeProto.TENSOR)
    value: Array = np.zeros(1, np.float32) if found is None else conversion.tensors.read(found.t)
    if value.size != 1:
        raise Rejection("IMC0210", f"ConstantOfShape has a value of {value.size} elements")
    expect_fold_size(conversion, extents, value.itemsize)
    return np.full(extents, value.reshape(-1)[0], value.dtype)


@folds("Expand")
def expand(conversion: Conversion) -> Array:
    """Broadcast to a shape."""
    array, target = conversion.array(0, "data"), given_extents(conversion, 1)
    extents = broadcast_extents(conversion, array.shape, target)
    expect_fold_size(conversion, extents, array.itemsize)
    return np.broadcast_to(array, extents).copy()


@folds("Tile")
def tile(conversion: Conversion) -> Array:
    """Repeat along each axis."""
    array, repeats = conversion.array(0, "data"), given_extents(conversion, 1)
    if len(repeats) != array.ndim:
        raise Rejection("IMC0209", f"Tile needs {array.ndim} repeats, got {len(repeats)}")
    extents = [extent * count for extent, count in zip(array.shape, repeats, strict=True)]
    expect_fold_size(conversion, extents, array.itemsize)
    return np.tile(array, repeats)


@folds("Range")
def range_(conversion: Conversion) -> Array:
    """Numbers from start in steps."""
    start, limit, delta = (array.reshape(-1) for array in conversion.arrays())
    if not start.size == limit.size == delta.size == 1 or not delta[0]:
        raise Rejection("IMC0209", "Range needs three numbers and a step other than 0")
    count = np.ceil((float(limit[0]) - float(start[0])) / float(delta[0]))
    if not np.isfinite(count):
        raise Rejection("IMC0209", "Range needs finite bounds")
    expect_fold_size(conversion, [max(int(count), 0)], start.itemsize)
    steps = np.arange(max(int(count), 0)).astype(start.dtype)
    return np.asarray(start + steps * delta.astype(start.dtype))


@folds("Gather")
def gather(conversion: Conversion) -> Array:
    """Elements by index."""
    array, indices = conversion.array(0, "data"), conversion.array(1, "indices")
    axis = normal_axis(conversion, conversion.integer("axis", 0), array.ndim)
    extent = array.shape[axis]
    if indices.dtype.kind not in "iu" or np.any((indices < -extent) | (indices >= extent)):
        raise Rejection("IMC0209", f"Gather reaches outside axis {axis} of extent {extent}")
    extents = (*array.shape[:axis], *indices.shape, *array.shape[axis + 1 :])
    expect_fold_size(conversion, extents, array.itemsize)
    return np.take(array, indices, axis)


@folds("Cast")
def cast(conversion: Conversion) -> Array:
    """Another element type."""
    conversion.ignore("saturate", "round_mode")
    target = conversion.integer("to", 0)
    dtype = numpy_type(target)
    if dtype is None:
        raise conversion.reject(f"to {type_name(target)}", "it is no type of weights", "IMC0405")
    array = conversion.array(0, "data")
    with np.errstate(invalid="ignore", over="ignore"):
        return array.astype(dtype)


@folds("Where")
def where(conversion: Conversion) -> Array:
    """Choose element by element."""
    condition, yes, no = conversion.arrays()
    extents = broadcast_extents(conversion, condition.shape, yes.shape, no.shape)
    expect_fold_size(conversion, extents, yes.itemsize)
    return np.where(condition.astype(bool), yes, no)


@folds("Identity", "Dropout")
def identity(conversion: Conversion) -> Array:
    """The operand."""
    conversion.ignore("ratio", "seed")
    conversion.has(1)  # the ratio means nothing in inference
    if conversion.has(2) and np.any(conversion.array(2, "training_mode")):
        raise conversion.reject("in training mode", "only inference is compiled")
    return conversion.array(0, "data")


def _divide(a: Array, b: Array) -> Array:
    """Division as ONNX has it: integers are cut towards zero."""
    if a.dtype.kind == "f":
        return np.asarray(a / b)
    if not np.all(b):
        raise Rejection("IMC0209", "Div of constants divides by zero")
    quotient = np.abs(a) // np.abs(b)
    return np.asarray(np.where((a < 0) ^ (b < 0), -quotient, quotient)).astype(a.dtype)


def _power(a: Array, b: Array) -> Array:
    return np.asarray(np.power(a.astype(np.float64), b.astype(np.float64))).astype(a.dtype)


_BINARY: dict[str, Callable[[Array, Array], Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": _divide,
    "Pow": _power,
    "Equal": np.equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Min": np.minimum,
    "Max": np.maximum,
    "Sum": np.add,
}
_UNARY: dict[str, Callable[[Array], Any]] = {
    "Sqrt": np.sqrt,
    "Neg": np.negative,
    "Abs": np.abs,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Exp": np.exp,
    "Log": np.log,
    "Not": np.logical_not,
    "Reciprocal": np.reciprocal,
}


@folds(*_BINARY)
def binary(conversion: Conversion) -> Array:
    """Element by element with broadcasting; Sum, Min and Max take any number of operands."""
    arrays = conversion.arrays()
    function = _BINARY[conversion.node.op_type]
    if not arrays:
        raise Rejection("IMC0210", f"{conversion.node.op_type} lacks operand 0")
    result = arrays[0]
    for array in arrays[1:]:
        extents = broadcast_extents(conversion, result.shape, array.shape)
        expect_fold_size(conversion, extents, result.itemsize)
        with np.errstate(all="ignore"):
            result = np.asarray(function(result, array))
    return result


@folds(*_UNARY)
def unary(conversion: Conversion) -> Array:
    """Element by element."""
    with np.errstate(all="ignore"):
        return np.asarray(_UNARY[conversion.node.op_type](conversion.array(0, "data")))


def given_extents(conversion: Conversion, index: int) -> tuple[int, ...]:
    """A constant operand that is a shape."""
    extents = conversion.integers(index, "shape")
    if min([0, *extents]) < 0:
        raise Rejection("IMC0209", f"{conversion.node.op_type} gets extents {list(extents)}")
    return extents


def broadcast_extents(conversion: Conversion, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape to which these shapes broadcast."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    extents = tuple(next((e for e in column if e != 1), 1) for column in zip(*padded, strict=True))
    if any(e not in (1, extent) for s in padded for e, extent in zip(s, extents, strict=True)):
        text = f"shapes {[list(shape) for shape in shapes]} of {conversion.node.op_type}"
        raise Rejection("IMC0209", f"{text} do not broadcast")
    return extents
