"""Operators of quantized models on codes: one function an operator class.

A rule gets the operator between Dequantize and Quantize and yields the value of codes that takes
the place of the Quantize, or None where an operand has no codes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..ir import Array, Node, Op, QuantParams, Value
from ..ir.ops.binary import Add, Mul
from ..ir.ops.exact_product import accumulator_bound
from ..ir.ops.linear import Conv, MatMul
from ..ir.ops.normalization import Softmax
from ..ir.ops.pooling import AveragePool, GlobalAveragePool
from ..ir.ops.quant import Dequantize
from ..ir.ops.quantized import (
    QAdd,
    QAveragePool,
    QConcat,
    QConv,
    QGlobalAveragePool,
    QMatMul,
    QMul,
    QSoftmax,
    QUnary,
)
from ..ir.ops.shape import Concat
from ..ir.ops.unary import Identity
from ..ir.requant import Requant, dequantize
from .adopt import Adopter, Rule, Site, unsigned
from .registry import Kind, is_kind
from .rules.unary import UNARY

_ACCUMULATOR_LIMIT = 1 << 31
_LARGEST_BIAS = 1 << 30
_MOST_WEIGHT_BITS = 9


@dataclass(frozen=True, eq=False)
class _Weights:
    """Signed weight codes with their parameters, and the scale of each output channel."""

    codes: Array
    params: QuantParams
    scales: NDArray[np.float32]


def _product(adopter: Adopter, site: Site) -> Value | None:
    """Conv and MatMul with the codes of their weights and bias."""
    node = site.node
    axis = 0 if isinstance(node.op, Conv) else 1
    x, weights = adopter.codes(node.operands[0]), _weights(adopter, node, axis)
    bias = _bias(adopter, site)
    if x is None or weights is None:
        return None
    assert x.type.quant is not None
    steps = np.float32(x.type.quant.scale[0]) * weights.scales
    codes = _bias_codes(adopter, node, bias, steps)
    if codes is None:
        return None
    bound = accumulator_bound(x.type.quant, weights.codes, codes, axis)
    if bound >= _ACCUMULATOR_LIMIT:
        adopter.note(node, f"not adopted: an accumulator can reach {bound}, beyond 32 bits")
        return None
    output = site.output if adopter.wants_signed(site) else unsigned(site.output)
    requant = adopter.requant(site, output)
    operands = (
        x,
        adopter.builder.constant(weights.codes, node.operands[1].name, weights.params),
        adopter.builder.constant(codes, f"{node.result.name}/bias", _channel_params(steps, 0, 32)),
    )
    return adopter.add(_product_op(node.op, requant), operands, site)


def _product_op(op: Op, requant: Requant) -> Op:
    if isinstance(op, Conv):
        return QConv(op.strides, op.pads, op.dilations, op.group, requant)
    return QMatMul(requant)


def _weights(adopter: Adopter, node: Node, axis: int) -> _Weights | None:
    """The weights less their zero point, in as many bits as they need."""
    found = adopter.constant(node.operands[1])
    if found is None:
        adopter.note(node, "not adopted: its weights are not dequantized constants")
        return None
    array, params = found
    if params.axis not in (None, axis):
        adopter.note(node, f"not adopted: its weights have scales along axis {params.axis}")
        return None
    centred = array.astype(np.int64) - params.zero_points(array.ndim)
    low, high = int(centred.min(initial=0)), int(centred.max(initial=0))
    bits = max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0, 1) + 1
    if bits > _MOST_WEIGHT_BITS:
        adopter.note(node, f"not adopted: its weights need {bits} bits, at most 9 are held")
        return None
    channels = array.shape[axis]
    scales = np.broadcast_to(np.asarray(params.scale, np.float32), (channels,))
    codes = centred.astype(np.int8 if bits <= 8 else np.int16)
    return _Weights(codes, _channel_params(scales, axis, bits), scales)


def _bias(adopter: Adopter, site: Site) -> Value | None:
    """The bias of a product: its third operand, or what is added behind it."""
    if site.bias is not None:
        a, b = site.bias.operands
        return b if adopter.graph.producer(a) is site.node else a
    return site.node.operands[2] if len(site.node.operands) > 2 else None


def _bias_codes(
    adopter: Adopter, node: Node, bias: Value | None, steps: NDArray[np.float32]
) -> NDArray[np.int32] | None:
    """The model's own codes, or ``rint(b / f32(sx * sw))`` for another scale, as onnxruntime."""
    if bias is None:
        return np.zeros(len(steps), np.int32)
    reals = adopter.graph.constant(bias)
    if reals is None:
        found = adopter.constant(bias)
        if found is None:
            adopter.note(node, "not adopted: its bias is computed")
            return None
        array, params = found
        scales = np.broadcast_to(np.asarray(params.scale, np.float32), steps.shape)
        if np.array_equal(scales, steps) and not any(params.zero_point):
            return np.asarray(_one_a_channel(array, len(steps)), np.int32)
        reals = dequantize(array, params)
    counts = np.rint(_one_a_channel(reals, len(steps)).astype(np.float32) / steps)
    return np.asarray(np.clip(counts, -_LARGEST_BIAS, _LARGEST_BIAS), np.int32)


def _one_a_channel(array: Array, channels: int) -> Array:
    """A bias as one number for each output channel."""
    return np.broadcast_to(array.reshape(-1), (channels,))


def _channel_params(scales: NDArray[np.float32], axis: int, bits: int) -> QuantParams:
    values = tuple(float(scale) for scale in scales)
    return QuantParams(values, (0,) * len(values), axis, bits, True)


def _pair(adopter: Adopter, site: Site) -> Value | None:
    """Add and Mul of two tensors, with the signs that the model gives them."""
    a, b = (adopter.signed_codes(operand) for operand in site.node.operands)
    if a is None or b is None:
        return None
    shape = site.node.result.type.shape
    requant = adopter.requant(site, site.output)
    if isinstance(site.node.op, Mul):
        return adopter.add(QMul(requant), (a, b), site)
    # The operand of full shape comes first, as onnxruntime orders them.
    if a.type.shape != shape and b.type.shape == shape:
        a, b = b, a
    return adopter.add(QAdd(requant), (a, b), site)


def _average(adopter: Adopter, site: Site) -> Value | None:
    op, x = site.node.op, adopter.codes(site.node.operands[0])
    if x is None:
        return None
    requant = adopter.requant(site, unsigned(site.output))
    if isinstance(op, GlobalAveragePool):
        return adopter.add(QGlobalAveragePool(requant), (x,), site)
    assert isinstance(op, AveragePool)
    pooled = QAveragePool(op.kernel, op.strides, op.pads, op.ceil, op.count_include_pad, requant)
    return adopter.add(pooled, (x,), site)


def _concat(adopter: Adopter, site: Site) -> Value | None:
    assert isinstance(site.node.op, Concat)
    found = [adopter.codes(operand) for operand in site.node.operands]
    operands = [value for value in found if value is not None]
    if len(operands) < len(found) or site.bounds.nodes:
        return None
    return adopter.add(QConcat(site.node.op.axis, unsigned(site.output)), operands, site)


def _softmax(adopter: Adopter, site: Site) -> Value | None:
    assert isinstance(site.node.op, Softmax)
    x = adopter.codes(site.node.operands[0])
    if x is None or site.bounds.nodes:
        return None
    return adopter.add(QSoftmax(site.node.op.axis, unsigned(site.output)), (x,), site)


def _unary(adopter: Adopter, site: Site) -> Value | None:
    """Functions of one operand as a table."""
    x = adopter.codes(site.node.operands[0])
    if x is None or site.bounds.nodes:
        return None
    return adopter.add(QUnary(site.node.op, unsigned(site.output)), (x,), site)


def _requantized(adopter: Adopter, site: Site) -> Value | None:
    """Codes that only move, or get other parameters; the same parameters are no operation."""
    x, output = adopter.codes(site.node.result), unsigned(site.output)
    if x is None or site.bounds.nodes:
        return None
    if x.type.quant == output:
        return x
    return adopter.add(QUnary(Identity(), output), (x,), site)


_RULES: dict[type[Op], Rule] = {
    Conv: _product,
    MatMul: _product,
    Add: _pair,
    Mul: _pair,
    AveragePool: _average,
    GlobalAveragePool: _average,
    Concat: _concat,
    Softmax: _softmax,
    Dequantize: _requantized,
    **dict.fromkeys(UNARY, _unary),
}


def find_rule(op: Op) -> Rule | None:
    """The rule of an operator; None where it cannot be adopted."""
    return _requantized if is_kind(op, Kind.MOVING) else _RULES.get(type(op))
