"""LayerNormalization, RMSNormalization, GroupNormalization and InstanceNormalization."""

from __future__ import annotations

import numpy as np

from ...ir.graph import Value
from ...ir.ops.layer_norm import GroupNormalization, LayerNormalization, RMSNormalization
from ..conversion import Conversion, Rejection, normal_axis
from ..registry import Form, Result, converts
from .rules import emit_results


def samples_apart(conversion: Conversion) -> str | None:
    """Axis 0 is not normalized, since it is the batch."""
    rank = conversion.type(0).rank
    axis = normal_axis(conversion, conversion.integer("axis", -1), rank)
    return "over axis 0, which is the batch" if conversion.builder.batched and not axis else None


def float32_statistics(conversion: Conversion) -> str | None:
    """Statistics are computed in float32: attribute stash_type is 1."""
    kind = conversion.integer("stash_type", 1)
    return f"with attribute stash_type = {kind}" if kind != 1 else None


@converts("LayerNormalization", form=Form.BOTH, constraints=(float32_statistics, samples_apart))
def layer_normalization(conversion: Conversion) -> Result | tuple[Result, ...]:
    """Normalization over trailing axes, with mean and inverse deviation where they are read."""
    x = conversion.value(0)
    axis = normal_axis(conversion, conversion.integer("axis", -1), x.type.rank)
    epsilon = conversion.real("epsilon", 1e-5)
    operands = [conversion.value(index) for index in range(3) if conversion.has(index)]
    if not (conversion.wants(1) or conversion.wants(2)):
        return conversion.emit(LayerNormalization(axis, epsilon), *operands)
    return emit_results(conversion, LayerNormalization(axis, epsilon, True), operands, 3)


@converts("RMSNormalization", form=Form.BOTH, constraints=(float32_statistics, samples_apart))
def rms_normalization(conversion: Conversion) -> Value:
    """Normalization by the root of the mean square over trailing axes."""
    x = conversion.value(0)
    axis = normal_axis(conversion, conversion.integer("axis", -1), x.type.rank)
    op = RMSNormalization(axis, conversion.real("epsilon", 1e-5))
    return conversion.emit(op, x, conversion.value(1))


@converts("InstanceNormalization", form=Form.BOTH)
def instance_normalization(conversion: Conversion) -> Value:
    """A group for each channel."""
    operands = [conversion.value(index) for index in range(3)]
    if operands[0].type.rank < 3:
        raise Rejection("IMC0209", "InstanceNormalization needs spatial axes")
    op = GroupNormalization(operands[0].type.shape[1], conversion.real("epsilon", 1e-5))
    return conversion.emit(op, *operands)


@converts("GroupNormalization", since=21, form=Form.BOTH, constraints=(float32_statistics,))
def group_normalization(conversion: Conversion) -> Value:
    """Groups of channels, with a scale and a bias for each channel."""
    operands = [conversion.value(index) for index in range(3)]
    return conversion.emit(_grouped(conversion), *operands)


@converts("GroupNormalization", since=18, form=Form.BOTH)
def group_normalization_by_group(conversion: Conversion) -> Value:
    """Groups of channels, with a constant scale and bias for each group."""
    op, x = _grouped(conversion), conversion.value(0)
    channels = x.type.shape[1] if x.type.rank > 1 else 0
    operands = [x]
    for index, what in ((1, "scale"), (2, "bias")):
        array = conversion.floats(index, what)
        if op.groups < 1 or array.shape != (op.groups,) or channels % op.groups:
            raise Rejection("IMC0209", f"{what} of GroupNormalization needs one element a group")
        spread = np.repeat(array, channels // op.groups)
        operands.append(conversion.constant(spread, conversion.node.proto.input[index]))
    return conversion.emit(op, *operands)


def _grouped(conversion: Conversion) -> GroupNormalization:
    return GroupNormalization(conversion.integer("num_groups", 0), conversion.real("epsilon", 1e-5))
