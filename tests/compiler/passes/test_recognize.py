"""The pass `recognize`: normalizations written in parts are found, and nothing else changes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from onnx import NodeProto
from support.onnx_models import f32, i64, node, run_onnxruntime, weights
from support.whole_models import whole_model

from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import Array, Graph, evaluate, verify
from imcc.compiler.ir.ops.normalize import Normalize
from imcc.compiler.passes import PassContext, Pipeline

X = {"x": weights(2, 5, 8)}
CONSTANTS = {"two": f32(2), "half": f32(0.5), "one": f32(1), "e": f32(1e-3), "s": weights(8)}
CENTRED = [node("ReduceMean", "x", "m", axes=[-1]), node("Sub", "x m", "d")]
POWER = [node("Pow", "d two", "p")]
SQUARE = [node("Mul", "d d", "p")]
ROOT = [
    node("ReduceMean", "p", "v", axes=[-1]),
    node("Add", "e v", "w"),
    node("Sqrt", "w", "r"),
]
QUOTIENT = [node("Div", "d r", "y")]
RECIPROCAL = [node("Reciprocal", "r", "i"), node("Mul", "i d", "y")]
ONE_OVER = [node("Div", "one r", "i"), node("Mul", "d i", "y")]
SAME = [node("Identity", "x", "d")]


def recognized(nodes: list[NodeProto], constants: Mapping[str, Array] = CONSTANTS) -> Graph:
    """The graph after the pass, whose output equals that of onnxruntime on the model."""
    proto = whole_model(nodes, X, constants, opset=17)
    graph = Pipeline.parse("recognize").run(import_onnx(proto, batched=False), PassContext())
    verify(graph)
    (expected,) = run_onnxruntime(proto, X)
    np.testing.assert_allclose(evaluate(graph, X)["y"], expected, rtol=1e-4, atol=1e-5)
    return graph


@pytest.mark.parametrize("before", [CENTRED, SAME], ids=["layer", "rms"])
@pytest.mark.parametrize("square", [POWER, SQUARE], ids=["power", "product"])
@pytest.mark.parametrize("end", [QUOTIENT, RECIPROCAL, ONE_OVER], ids=["div", "inv", "one"])
def test_parts_become_one(
    before: list[NodeProto], square: list[NodeProto], end: list[NodeProto]
) -> None:
    graph = recognized([*before, *square, *ROOT, *end])
    (found,) = graph.nodes
    assert found.op == Normalize((2,), float(f32(1e-3)), before is CENTRED)
    assert found.result.name == "y"


def test_in_batches_too() -> None:
    nodes = [*CENTRED, *SQUARE, *ROOT, *QUOTIENT]
    proto = whole_model(nodes, {"x": weights(1, 5, 8)}, CONSTANTS, opset=17)
    graph = Pipeline.parse("recognize").run(import_onnx(proto), PassContext())
    assert [n.op.name for n in graph.nodes] == ["normalize"]


@pytest.mark.parametrize("norm", ["ReduceL2", "by hand"])
def test_rows_divided_by_their_norm(norm: str) -> None:
    parts = [node("ReduceL2", "x", "n", axes=[-1])]
    if norm == "by hand":
        parts = [node("Mul", "x x", "p"), node("ReduceSum", "p a", "q"), node("Sqrt", "q", "n")]
    end = [node("Max", "n e", "c"), node("Expand", "c shape", "b"), node("Div", "x b", "y")]
    constants = CONSTANTS | {"a": i64([-1]), "shape": i64([2, 5, 8])}
    assert [n.op.name for n in recognized([*parts, *end], constants).nodes] == [
        "normalize",
        "affine",
    ]


def test_another_mean_is_no_centre() -> None:
    other = [node("ReduceMean", "x", "m", axes=[1]), node("Sub", "x m", "d")]
    (*_, last) = recognized([*other, *SQUARE, *ROOT, *QUOTIENT]).nodes
    assert last.op == Normalize((2,), float(f32(1e-3)), False)


def test_a_quotient_by_another_deviation_stays() -> None:
    nodes = [*CENTRED, *SQUARE, *ROOT, node("Div", "x r", "y")]
    assert "normalize" not in [n.op.name for n in recognized(nodes).nodes]


def test_parts_that_others_read_stay_for_them() -> None:
    nodes = [*CENTRED, *SQUARE, *ROOT, node("Div", "d r", "n"), node("Add", "n m", "y")]
    names = [n.op.name for n in recognized(nodes).nodes]
    assert names == ["reduce", "normalize", "add"]
