"""The pass `fuse-elementwise`: functions of one value are one function."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from onnx import NodeProto
from support.onnx_models import f32, node, run_onnxruntime, weights
from support.whole_models import whole_model

from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import (
    Array,
    DType,
    Graph,
    OpError,
    TensorType,
    evaluate,
    parse_graph,
    print_graph,
    verify,
)
from imcc.compiler.ir.ops.binary import Mul
from imcc.compiler.ir.ops.composed import Composed, Step
from imcc.compiler.ir.ops.reduce import Reduce, Reduction
from imcc.compiler.passes import PassContext, Pipeline

X = {"x": weights(2, 4, 5)}
NUMBERS = {
    "one": f32(1),
    "half": f32(0.5),
    "three": f32(3),
    "six": f32(6),
    "zero": f32(0),
    "root2": f32(2**0.5),
    "cubic": f32(0.044715),
    "slope": f32(0.7978845608),
}
GELU = [
    node("Div", "x root2", "a"),
    node("Erf", "a", "b"),
    node("Add", "b one", "c"),
    node("Mul", "x c", "d"),
    node("Mul", "d half", "y"),
]
GELU_TANH = [
    node("Pow", "x three", "a"),
    node("Mul", "a cubic", "b"),
    node("Add", "x b", "c"),
    node("Mul", "c slope", "d"),
    node("Tanh", "d", "e"),
    node("Add", "e one", "f"),
    node("Mul", "x half", "g"),
    node("Mul", "g f", "y"),
]
SILU = [node("Sigmoid", "x", "s"), node("Mul", "x s", "y")]
HARD_SWISH = [
    node("Add", "x three", "a"),
    node("Clip", "a zero six", "b"),
    node("Mul", "x b", "c"),
    node("Div", "c six", "y"),
]
MISH = [node("Softplus", "x", "s"), node("Tanh", "s", "t"), node("Mul", "x t", "y")]


def fused(nodes: list[NodeProto], inputs: Mapping[str, Array] = X) -> Graph:
    """The graph after the pass, whose output equals that of onnxruntime on the model."""
    proto = whole_model(nodes, inputs, NUMBERS, opset=17)
    passes = Pipeline.parse("decompose,fuse-elementwise")
    graph = passes.run(import_onnx(proto, batched=False), PassContext())
    verify(graph)
    assert parse_graph(print_graph(graph)).nodes == graph.nodes
    (expected,) = run_onnxruntime(proto, inputs)
    np.testing.assert_allclose(evaluate(graph, inputs)["y"], expected, rtol=1e-4, atol=1e-6)
    return graph


def names(graph: Graph) -> list[str]:
    return [n.op.name for n in graph.nodes]


@pytest.mark.parametrize(
    "nodes",
    [GELU, GELU_TANH, SILU, HARD_SWISH, MISH],
    ids=["gelu", "gelu-tanh", "silu", "hard-swish", "mish"],
)
def test_activations_in_parts_are_one_function(nodes: list[NodeProto]) -> None:
    graph = fused(nodes)
    assert names(graph) == ["composed"]
    assert len(graph.nodes[0].origin) == len(nodes)


def test_a_square_is_a_function() -> None:
    assert names(fused([node("Mul", "x x", "y")])) == ["composed"]


def test_a_value_that_others_read_stays() -> None:
    nodes = [node("Exp", "x", "e"), node("Sin", "e", "s"), node("ReduceMax", "e", "m")]
    assert "math" in names(fused([*nodes, node("Add", "s m", "y")]))


def test_functions_of_different_values_stay() -> None:
    inputs = X | {"z": weights(2, 4, 5, seed=2)}
    assert names(fused([node("Sigmoid", "z", "s"), node("Mul", "x s", "y")], inputs)) == [
        "sigmoid",
        "mul",
    ]


def test_what_an_output_stage_takes_up_is_left_to_it() -> None:
    inputs = X | {"z": weights(2, 4, 5, seed=2)}
    nodes = [node("Add", "x z", "a"), node("Relu", "a", "r"), node("Tanh", "r", "y")]
    assert names(fused(nodes, inputs)) == ["add", "relu", "tanh"]


def test_steps_are_checked() -> None:
    x = TensorType(DType.F32, (1, 4))
    with pytest.raises(OpError, match="at least one step"):
        Composed(()).infer([x])
    with pytest.raises(OpError, match="step 1 reads"):
        Composed((Step(Mul(), (0, 1)),)).infer([x])
    with pytest.raises(OpError, match="changes shape or type"):
        Composed((Step(Reduce(Reduction.SUM, (1,)), (0,)),)).infer([x])
