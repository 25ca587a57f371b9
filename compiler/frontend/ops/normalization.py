"""BatchNormalization and Softmax."""

from __future__ import annotations

from math import prod

from ...ir.graph import Value
from ...ir.ops.normalization import BatchNormalization, Softmax
from ...ir.ops.shape import Reshape
from ..conversion import Conversion, normal_axis
from ..registry import converts


def inference_form(conversion: Conversion) -> str | None:
    """It is in inference mode: attribute training_mode is 0."""
    return "in training mode" if conversion.integer("training_mode", 0) else None


def statistics_per_channel(conversion: Conversion) -> str | None:
    """Statistics are for each channel: attribute spatial (up to operator set 8) is 1."""
    return None if conversion.integer("spatial", 1) else "with attribute spatial = 0"


@converts("BatchNormalization", constraints=(inference_form, statistics_per_channel))
def batch_normalization(conversion: Conversion) -> Value:
    """Normalization with constant statistics."""
    conversion.ignore("momentum")
    for index, what in enumerate(("scale", "bias", "mean", "variance"), 1):
        conversion.floats(index, what)
    operands = [conversion.value(index) for index in range(5)]
    return conversion.emit(BatchNormalization(conversion.real("epsilon", 1e-5)), *operands)


@converts("Softmax", since=13)
def softmax(conversion: Conversion) -> Value:
    """Softmax along one axis, by default the last."""
    x = conversion.value(0)
    axis = normal_axis(conversion, conversion.integer("axis", -1), x.type.rank)
    if axis == 0:
        raise conversion.reject_batch("over axis 0")
    return conversion.emit(Softmax(axis), x)


@converts("Softmax", since=1)
def softmax_flattened(conversion: Conversion) -> Value:
    """Softmax over all axes from `axis` (by default 1) on, taken as one."""
    x = conversion.value(0)
    shape = x.type.shape
    axis = normal_axis(conversion, conversion.integer("axis", 1), len(shape))
    if axis == 0:
        raise conversion.reject_batch("over all axes")
    if axis == len(shape) - 1:
        return conversion.emit(Softmax(axis), x)
    flat = (*shape[:axis], prod(shape[axis:]))
    flattened = conversion.emit(Reshape(flat), x, step="flat")
    normal = conversion.emit(Softmax(axis), flattened, step="softmax")
    return conversion.emit(Reshape(shape), normal)
