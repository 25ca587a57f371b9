"""Products of computed matrices, normalizations and embeddings."""

from __future__ import annotations

import numpy as np

from ...ir import Node
from ...ir.ops.embedding import QEmbedding
from ...ir.ops.quantized_dot import QDot
from ...ir.ops.quantized_normalize import UNIT_BITS, QNormalize
from ..onnx_writer import OnnxWriter
from .registry import exports, finish, node_name


@exports(QDot)
def export_dot(writer: OnnxWriter, node: Node) -> str:
    """MatMul; its factor is in the scale of the codes, so that onnxruntime has a kernel for it."""
    op = node.op
    assert isinstance(op, QDot)
    reals = [writer.real(operand) for operand in node.operands]
    real = writer.add("MatMul", reals, node_name(node))
    requant, name = op.requant, node.result.name
    return writer.codes(real, op.unscaled, name, requant.low, requant.high)


@exports(QNormalize)
def export_normalize(writer: OnnxWriter, node: Node) -> str:
    """The formula in the form that onnxruntime fuses to LayerNormalization where it can."""
    op, name = node.op, node_name(node)
    assert isinstance(op, QNormalize)
    x = writer.real(node.operands[0])
    if op.center:
        mean = writer.add("ReduceMean", [x], f"{name}/mean", axes=op.axes, keepdims=1)
        x = writer.add("Sub", [x, mean], f"{name}/centred")
    numbers = {"two": 2.0, "epsilon": op.epsilon}
    two, epsilon = (writer.initializer(f"{name}.{k}", np.float32(v)) for k, v in numbers.items())
    square = writer.add("Pow", [x, two], f"{name}/square")
    variance = writer.add("ReduceMean", [square], f"{name}/variance", axes=op.axes, keepdims=1)
    sum_ = writer.add("Add", [variance, epsilon], f"{name}/sum")
    deviation = writer.add("Sqrt", [sum_], f"{name}/deviation")
    normalized = writer.add("Div", [x, deviation], f"{name}/normalized")
    gamma, beta = _affine(writer, node, op)
    scaled = writer.add("Mul", [normalized, gamma], f"{name}/scaled")
    return finish(writer, node, writer.add("Add", [scaled, beta], name))


def _affine(writer: OnnxWriter, node: Node, op: QNormalize) -> tuple[str, str]:
    """Scale and offset as real numbers."""
    bias, scale = (writer.constant(operand).astype(np.float64) for operand in node.operands[1:])
    gamma = scale * 2.0**UNIT_BITS * float(op.requant.scale)
    beta = bias * 2.0**-UNIT_BITS * gamma
    name = node_name(node)
    return (
        writer.initializer(f"{name}.gamma", gamma.astype(np.float32)),
        writer.initializer(f"{name}.beta", beta.astype(np.float32)),
    )


@exports(QEmbedding)
def export_embedding(writer: OnnxWriter, node: Node) -> str:
    """Gather, which works on codes."""
    tensors = [writer.tensor(operand) for operand in node.operands]
    return writer.add("Gather", tensors, node.result.name, axis=0)
