"""Export of a quantized graph as an ONNX model that onnxruntime runs in the same integers.

Arithmetic is written as DequantizeLinear, float operator, QuantizeLinear, in the patterns that
onnxruntime fuses into its QLinear kernels. Operators that only move codes work on codes. Clip
bounds that uint8 does not imply become a Clip of codes. The datapath is always that of
onnxruntime: a graph whose mode is FIXED differs from its export by single steps. What an
operator is written as is said by its rule in `exports`.
"""

from __future__ import annotations

import onnx

from ..errors import UnsupportedError
from ..ir import Graph
from . import exports
from .exports.registry import EXPORTS
from .onnx_writer import OnnxWriter

__all__ = ["export_qdq", "exports"]


def export_qdq(graph: Graph) -> onnx.ModelProto:
    """The quantized graph as an ONNX model with the same inputs and outputs.

    Its batch is free, or 1 where a part runs on the host, which takes one sample at a time.
    Raises `UnsupportedError` naming every node that has no ONNX form.
    """
    missing = [node for node in graph.nodes if type(node.op) not in EXPORTS]
    if missing:
        listed = "\n".join(f"  {node.label}: imcc.{node.op.name}" for node in missing)
        raise UnsupportedError(f"these nodes cannot be exported to ONNX:\n{listed}")
    writer = OnnxWriter(graph)
    for node in graph.nodes:
        made = EXPORTS[type(node.op)](writer, node)
        tensors = made if isinstance(made, tuple) else (made,)
        for value, tensor in zip(node.results, tensors, strict=True):
            writer.bind(value, tensor)
    for value, name in zip(graph.outputs, graph.output_names, strict=True):
        writer.output(value, name)
    return writer.model()
