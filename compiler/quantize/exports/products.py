"""Products with constant weights."""

from __future__ import annotations

import numpy as np

from ...ir import Node
from ...ir.ops.quantized import QConv, QMatMul
from ..onnx_writer import OnnxWriter
from .registry import exports, finish, node_name
from .shifted import export_shifted


@exports(QConv)
def export_conv(writer: OnnxWriter, node: Node) -> str:
    """Conv with bias."""
    op = node.op
    assert isinstance(op, QConv)
    if op.shift:
        return export_shifted(writer, node, op)
    real = writer.add(
        "Conv",
        [writer.real(operand) for operand in node.operands],
        node_name(node),
        kernel_shape=node.operands[1].type.shape[2:],
        strides=op.strides,
        pads=op.pads,
        dilations=op.dilations,
        group=op.group,
    )
    return finish(writer, node, real)


@exports(QMatMul)
def export_matmul(writer: OnnxWriter, node: Node) -> str:
    """Gemm, for onnxruntime's integer MatMul has no bias; higher ranks are flattened around it."""
    x, weights, bias = node.operands
    assert isinstance(node.op, QMatMul)
    if node.op.shift:
        return export_shifted(writer, node, node.op)
    rows, deep = writer.tensor(x), x.type.rank != 2
    if deep:
        flat = writer.initializer(
            f"{node_name(node)}.rows", np.array([-1, weights.type.shape[0]], np.int64)
        )
        rows = writer.add("Reshape", [rows, flat], f"{node_name(node)}.flat")
    assert x.type.quant is not None
    inputs = [
        writer.dequantized(rows, x.type.quant, x.name),
        writer.real(weights),
        writer.real(bias),
    ]
    codes = finish(writer, node, writer.add("Gemm", inputs, node_name(node)))
    if not deep:
        return codes
    shape = np.array([-1, *node.result.type.shape[1:]], np.int64)
    target = writer.initializer(f"{node_name(node)}.shape", shape)
    return writer.add("Reshape", [codes, target], f"{node_name(node)}.deep")
