"""What networks keep as weights, of the operands that ONNX's node tests give as inputs.

A node test gives every operand as an input of its model. Where real networks keep an operand as a
constant (weights, statistics, scales, indices that only move elements) it is bound before the test
is compiled; data stays computed, also where an operator reads several tensors of data.
"""

from __future__ import annotations

from onnx import GraphProto, NodeProto, defs

# By ONNX's own names of the operands.
PARAMETERS: dict[str, tuple[str, ...]] = {
    "BatchNormalization": ("scale", "B", "input_mean", "input_var"),
    "CausalConvWithState": ("weight", "bias"),
    "Conv": ("W", "B"),
    "ConvInteger": ("w", "x_zero_point", "w_zero_point"),
    "ConvTranspose": ("W", "B"),
    "DeformConv": ("W", "B"),
    "DequantizeLinear": ("x_scale", "x_zero_point"),
    "GRU": ("W", "R", "B", "sequence_lens"),
    "Gather": ("indices",),
    "GatherElements": ("indices",),
    "GatherND": ("indices",),
    "GroupNormalization": ("scale", "bias"),
    "InstanceNormalization": ("scale", "B"),
    "LSTM": ("W", "R", "B", "sequence_lens", "P"),
    "LayerNormalization": ("Scale", "B"),
    "MatMulInteger": ("B", "a_zero_point", "b_zero_point"),
    "Mod": ("B",),
    "OneHot": ("values",),
    "PRelu": ("slope",),
    "Pow": ("Y",),
    "QLinearConv": (
        *("x_scale", "x_zero_point", "w", "w_scale", "w_zero_point"),
        *("y_scale", "y_zero_point", "B"),
    ),
    "QLinearMatMul": (
        *("a_scale", "a_zero_point", "b", "b_scale", "b_zero_point"),
        *("y_scale", "y_zero_point"),
    ),
    "QuantizeLinear": ("y_scale", "y_zero_point"),
    "RMSNormalization": ("scale",),
    "RNN": ("W", "R", "B", "sequence_lens"),
    "ReverseSequence": ("sequence_lens",),
    "RotaryEmbedding": ("cos_cache", "sin_cache", "position_ids"),
    "Scatter": ("indices",),
    "ScatterElements": ("indices",),
    "ScatterND": ("indices",),
    "TensorScatter": ("write_indices",),
}


def parameter_names(graph: GraphProto) -> frozenset[str]:
    """The inputs that nodes of a graph read as parameters.

    The graph must have the operators themselves, not their function bodies.
    """
    return frozenset(name for node in graph.node for name in _parameters(node))


def _parameters(node: NodeProto) -> list[str]:
    chosen = PARAMETERS.get(node.op_type, ())
    formal = [entry.name for entry in defs.get_schema(node.op_type).inputs] if chosen else []
    return [name for name, role in zip(node.input, formal, strict=False) if role in chosen]
