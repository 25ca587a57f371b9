"""Products whose bias counts fractions of an accumulator: written in integers, step by step.

onnxruntime's fused kernels add a bias in units of ``sx * sw``. Here the product of codes is an
int32 tensor, which is multiplied, added to and scaled once in float32, as on the machine.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from onnx import TensorProto

from ...errors import UnsupportedError
from ...ir import DType, Node
from ...ir.ops.quantized import QConv, QMatMul
from ..onnx_writer import EXACT_NODE, OnnxWriter
from .registry import node_name


def export_shifted(writer: OnnxWriter, node: Node, op: QConv | QMatMul) -> str:
    """ConvInteger or MatMulInteger, then shift, bias, scale and rounding."""
    name, deep = node_name(node), node.result.type.rank - 2
    shape = (-1, *(1 for _ in range(deep))) if isinstance(op, QConv) else (-1,)
    products = _products(writer, node, op)
    factor = writer.initializer(f"{name}.factor", np.asarray(1 << op.shift, np.int32))
    bias = writer.constant(node.operands[2]).reshape(shape)
    offset = writer.initializer(f"{name}.offset", bias)
    scales = op.accumulator_scale([operand.type for operand in node.operands]).reshape(shape)
    scale = writer.initializer(f"{name}.scales", scales)
    shifted = _exact(writer, "Mul", [products, factor], f"{name}/shifted")
    total = _exact(writer, "Add", [shifted, offset], f"{name}/total")
    real = writer.add("Cast", [total], f"{name}/float", to=TensorProto.FLOAT)
    scaled = _exact(writer, "Mul", [real, scale], f"{name}/scaled")
    steps = replace(op.requant.output, scale=(1.0,))
    return writer.codes(scaled, steps, node.result.name, op.requant.low, op.requant.high)


def _products(writer: OnnxWriter, node: Node, op: QConv | QMatMul) -> str:
    x, weights, _ = node.operands
    if weights.type.dtype is not DType.I8:
        text = "weights of 9 bits and a bias of fractions have no integer form in ONNX"
        raise UnsupportedError(f"{node.label}: {text}")
    assert x.type.quant is not None
    zero = writer.params(x.type.quant, f"{x.name}/integer")[1]
    inputs, name = [writer.tensor(x), writer.tensor(weights), zero], f"{node_name(node)}/products"
    if isinstance(op, QMatMul):
        return writer.add("MatMulInteger", inputs, name)
    return writer.add(
        "ConvInteger",
        inputs,
        name,
        kernel_shape=weights.type.shape[2:],
        strides=op.strides,
        pads=op.pads,
        dilations=op.dilations,
        group=op.group,
    )


def _exact(writer: OnnxWriter, op_type: str, inputs: list[str], name: str) -> str:
    return writer.add(op_type, inputs, name, doc_string=EXACT_NODE)
