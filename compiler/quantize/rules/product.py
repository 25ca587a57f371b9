"""Products with constant weights: convolutions and matrix products."""

from __future__ import annotations

import numpy as np

from ...errors import UnsupportedError
from ...ir import Graph, Node, Op, Value
from ...ir.ops.exact_product import accumulator_bound
from ...ir.ops.linear import Conv, MatMul
from ...ir.ops.quantized import QConv, QMatMul
from ...ir.requant import Requant
from ..parameters import product_codes
from ..quantizer import Quantizer
from ..registry import Kind, quantizes

_ACCUMULATOR_LIMIT = 1 << 31


def constant_weights(graph: Graph, node: Node) -> str:
    """Weights and bias must be constant: they are written to arrays."""
    computed = any(graph.constant(operand) is None for operand in node.operands[1:])
    return " has computed weights; they must be constant" if computed else ""


@quantizes(Conv, MatMul, kind=Kind.FUSING, refuses=constant_weights)
def quantize_product(quantizer: Quantizer, node: Node) -> Value:
    """Conv and MatMul: weights and bias become integers."""
    axis = 0 if isinstance(node.op, Conv) else 1
    x = quantizer.codes(node.operands[0])
    weights = quantizer.constant(node.operands[1])
    channels = weights.shape[axis]
    has_bias = len(node.operands) > 2
    bias = quantizer.constant(node.operands[2]) if has_bias else np.zeros(channels, np.float32)
    assert x.type.quant is not None
    bits = quantizer.options.weight_bits
    codes = product_codes(weights, bias, axis, bits, x.type.quant.scale[0])
    bound = accumulator_bound(x.type.quant, codes.weights, codes.bias, axis)
    if bound >= _ACCUMULATOR_LIMIT:
        raise UnsupportedError(
            f"{node.label}: an accumulator can reach {bound}, which does not fit 32 bits; "
            "use fewer weight or activation bits"
        )
    name = node.operands[1].name
    bias_name = node.operands[2].name if has_bias else f"{node.result.name}.bias"
    operands = (
        x,
        quantizer.builder.constant(codes.weights, name, codes.weight_params),
        quantizer.builder.constant(codes.bias, bias_name, codes.bias_params),
    )
    return quantizer.add(_product_op(node.op, quantizer.requant(node)), operands, node)


def _product_op(op: Op, requant: Requant) -> Op:
    if isinstance(op, Conv):
        return QConv(op.strides, op.pads, op.dilations, op.group, requant)
    return QMatMul(requant)
