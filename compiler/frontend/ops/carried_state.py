"""LinearAttention, CausalConvWithState and TensorScatter."""

from __future__ import annotations

import numpy as np

from ...ir.graph import Value
from ...ir.ops.carried_state import CacheUpdate, CausalConv, LinearAttention, StateOperand
from ..conversion import Conversion, Rejection, normal_axis
from ..registry import Form, converts
from .rules import chosen, emit_results

_OPTIONAL = ((3, StateOperand.STATE), (4, StateOperand.DECAY), (5, StateOperand.RATE))
_RULES = {
    "linear": set[StateOperand](),
    "gated": {StateOperand.DECAY},
    "delta": {StateOperand.RATE},
    "gated_delta": {StateOperand.DECAY, StateOperand.RATE},
}


@converts("LinearAttention", form=Form.WHOLE)
def linear_attention(conversion: Conversion) -> tuple[Value, ...]:
    """Attention through a state; the rule says which operands there are."""
    conversion.ignore("chunk_size")
    rule = chosen(conversion, "update_rule", "gated_delta", _RULES)
    given = [(index, name) for index, name in _OPTIONAL if conversion.has(index)]
    if {name for _, name in given} - {StateOperand.STATE} != rule:
        needed = " and ".join(sorted(rule)) or "neither decay nor rate"
        raise Rejection("IMC0210", f"this rule of LinearAttention takes {needed}")
    operands = [conversion.value(index) for index in (0, 1, 2, *(i for i, _ in given))]
    op = LinearAttention(
        conversion.integer("q_num_heads", 0),
        conversion.integer("kv_num_heads", 0),
        tuple(name for _, name in given),
        conversion.real("scale", 0.0) or None,
    )
    return emit_results(conversion, op, operands, 2)


@converts("CausalConvWithState", form=Form.WHOLE)
def causal_conv(conversion: Conversion) -> tuple[Value, ...]:
    """Convolution with the past; bias and past are zero where they are left out."""
    x, w = conversion.value(0), conversion.value(1)
    silu = chosen(conversion, "activation", "none", {"none": False, "silu": True, "swish": True})
    if x.type.rank != 3 or w.type.rank != 3:
        raise Rejection("IMC0209", "CausalConvWithState needs operands with three axes")
    shapes = (x.type.shape[1:2], (*x.type.shape[:2], w.type.shape[2] - 1))
    operands = [x, w]
    for index, shape in zip((2, 3), shapes, strict=True):
        if conversion.has(index):
            operands.append(conversion.value(index))
            continue
        zeros = np.zeros(shape, x.type.dtype.numpy)
        operands.append(conversion.constant(zeros, f"{conversion.node.label}/zeros{index}"))
    return emit_results(conversion, CausalConv(silu), operands, 2)


@converts("TensorScatter", form=Form.WHOLE)
def tensor_scatter(conversion: Conversion) -> Value:
    """New elements of a cache; places are 0 where they are left out."""
    cache, new = conversion.value(0), conversion.value(1)
    axis = normal_axis(conversion, conversion.integer("axis", -2), cache.type.rank)
    circular = chosen(conversion, "mode", "linear", {"linear": False, "circular": True})
    if conversion.has(2):
        first = conversion.value(2)
    else:
        zeros = np.zeros(cache.type.shape[0], np.int64)
        first = conversion.constant(zeros, f"{conversion.node.label}/places")
    return conversion.emit(CacheUpdate(axis, circular), cache, new, first)
