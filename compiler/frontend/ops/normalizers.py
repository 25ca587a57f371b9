"""Normalization of whole tensors, over any axes."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from ...ir.graph import Value
from ...ir.ops.binary import Add, Div, Mul, Sub
from ...ir.ops.compare import Compare, Relation
from ...ir.ops.logic import Where
from ...ir.ops.normalization import (
    AlongAxis,
    BatchNormalization,
    Hardmax,
    LocalResponseNormalization,
    LogSoftmax,
    Softmax,
)
from ...ir.ops.normalize import Normalize
from ...ir.ops.reduce import Reduce, Reduction
from ...ir.ops.shape import Reshape
from ..conversion import Conversion, normal_axes, normal_axis
from ..registry import Form, Result, converts
from .normalization import statistics_per_channel

_DEVIATION = 1e-9  # what MeanVarianceNormalization adds to the deviation

_ALONG: dict[str, Callable[[int], AlongAxis]] = {
    "Softmax": Softmax,
    "LogSoftmax": LogSoftmax,
    "Hardmax": Hardmax,
}


@converts(*_ALONG, form=Form.WHOLE, since=13)
def along_axis(conversion: Conversion) -> Value:
    """Along one axis, by default the last."""
    x = conversion.value(0)
    axis = normal_axis(conversion, conversion.integer("axis", -1), x.type.rank)
    return conversion.emit(_ALONG[conversion.node.op_type](axis), x)


@converts(*_ALONG, form=Form.WHOLE)
def along_flattened(conversion: Conversion) -> Value:
    """Over all axes from `axis` (by default 1) on, taken as one."""
    x = conversion.value(0)
    shape = x.type.shape
    axis = normal_axis(conversion, conversion.integer("axis", 1), len(shape))
    flat = conversion.emit(Reshape((prod(shape[:axis]), prod(shape[axis:]))), x, step="flat")
    result = conversion.emit(_ALONG[conversion.node.op_type](1), flat, step="result")
    return conversion.emit(Reshape(shape), result)


@converts("LRN", form=Form.WHOLE)
def lrn(conversion: Conversion) -> Value:
    """Over neighbouring channels."""
    op = LocalResponseNormalization(
        conversion.real("alpha", 1e-4),
        conversion.real("beta", 0.75),
        conversion.real("bias", 1.0),
        conversion.integer("size", 1),
    )
    return conversion.emit(op, conversion.value(0))


@converts("LpNormalization", form=Form.WHOLE)
def lp_normalization(conversion: Conversion) -> Value:
    """Divided by the norm along an axis; zeros stay."""
    x, p = conversion.value(0), conversion.integer("p", 2)
    axis = normal_axis(conversion, conversion.integer("axis", -1), x.type.rank)
    if p not in (1, 2):
        raise conversion.reject(f"with p = {p}", "allowed are 1 and 2")
    if p == 2:
        rows = conversion.emit(Normalize((axis,), 0.0, False), x, step="rows")
        length = x.type.shape[axis] ** -0.5
        return conversion.emit(Mul(), rows, _number(conversion, x, length))
    norm = conversion.emit(Reduce(Reduction.L1, (axis,)), x, step="norm")
    zero, one = (_number(conversion, x, number) for number in (0, 1))
    absent = conversion.emit(Compare(Relation.EQUAL), norm, zero, step="absent")
    divisor = conversion.emit(Where(), absent, one, norm, step="divisor")
    return conversion.emit(Div(), x, divisor)


@converts("MeanVarianceNormalization", form=Form.WHOLE)
def mean_variance(conversion: Conversion) -> Value:
    """Mean 0 and variance 1 over some axes."""
    x = conversion.value(0)
    given = conversion.ints("axes")
    axes = normal_axes(conversion, (0, 2, 3) if given is None else given, x.type.rank)
    return conversion.emit(Normalize(axes, _DEVIATION**2), x)


@converts("BatchNormalization", form=Form.WHOLE, constraints=(statistics_per_channel,))
def batch_normalization(conversion: Conversion) -> Result | list[Result]:
    """With given statistics, or in training mode with those of the tensor itself."""
    operands = [conversion.value(index) for index in range(5)]
    op, momentum = BatchNormalization(conversion.real("epsilon", 1e-5)), _momentum(conversion)
    if not conversion.integer("training_mode", 0):
        return conversion.emit(op, *operands)
    x, scale, bias, *running = operands
    axes = tuple(axis for axis in range(x.type.rank) if axis != 1)
    mean = conversion.emit(Reduce(Reduction.MEAN, axes), x, step="mean")
    centered = conversion.emit(Sub(), x, mean, step="centered")
    squares = conversion.emit(Mul(), centered, centered, step="squares")
    flat = [
        conversion.emit(Reduce(Reduction.MEAN, axes, False), value, step=f"statistic{index}")
        for index, value in enumerate((x, squares))
    ]
    results: list[Result] = [conversion.emit(op, x, scale, bias, *flat)]
    for index, (old, new) in enumerate(zip(running, flat, strict=True), 1):
        results.append(_blended(conversion, old, new, momentum, f"running{index}"))
    return results


def _momentum(conversion: Conversion) -> float:
    return conversion.real("momentum", 0.9)


def _blended(conversion: Conversion, old: Value, new: Value, weight: float, step: str) -> Value:
    kept = _product(conversion, old, weight, f"{step}/old")
    added = _product(conversion, new, 1 - weight, f"{step}/new")
    return conversion.emit(Add(), kept, added, step=step)


def _product(conversion: Conversion, x: Value, factor: float, step: str) -> Value:
    return conversion.emit(Mul(), x, _number(conversion, x, factor), step=step)


def _number(conversion: Conversion, like: Value, number: float) -> Value:
    array = np.asarray(number, like.type.dtype.numpy)
    return conversion.constant(array, conversion.name("number"))
