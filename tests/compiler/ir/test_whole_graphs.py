"""Graphs without a batch axis: every axis of a tensor is like the others."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import GraphProto, TensorProto, helper
from support.onnx_models import model, node, run_onnxruntime

from imcc.compiler.errors import InputError, UnsupportedError, VerificationError
from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import (
    DType,
    Graph,
    GraphBuilder,
    OpError,
    TensorType,
    evaluate,
    parse_graph,
    print_graph,
    rebuild,
    verify,
)
from imcc.compiler.ir.ops.indexing import TopK
from imcc.compiler.ir.ops.reduce import Position
from imcc.compiler.ir.ops.shape import Transpose
from imcc.compiler.onnx_backend import ImccBackend
from imcc.compiler.passes import PassContext
from imcc.compiler.passes.canonicalize import Canonicalize
from imcc.compiler.quantize.planning import plan_quantization

X = np.arange(12, dtype=np.float32).reshape(3, 4)


def turned(batched: bool = False) -> Graph:
    builder = GraphBuilder("turned", batched)
    x = builder.input("x", TensorType(DType.F32, (3, 4)))
    return builder.finish([builder.add(Transpose((1, 0)), [x], "y")], ["y"])


def two_results() -> Graph:
    builder = GraphBuilder("two", batched=False)
    x = builder.input("x", TensorType(DType.F32, (3, 4)))
    values, places = builder.add_many(TopK(2, 1), [x], ["values", "places"])
    return builder.finish([values, places], ["values", "places"])


def test_axes_may_change_places() -> None:
    graph = turned()
    verify(graph)
    np.testing.assert_array_equal(evaluate(graph, {"x": X})["y"], X.T)


def test_a_batch_may_not_change_places() -> None:
    with pytest.raises(OpError, match="must leave axis 0 in place"):
        turned(batched=True)


def test_verifier_keeps_samples_apart() -> None:
    graph = turned()
    batched = Graph(graph.name, graph.inputs, graph.outputs, graph.output_names, graph.nodes)
    with pytest.raises(VerificationError, match="2 problems"):
        verify(batched)
    assert not graph.same_as(batched)


def test_inputs_have_exactly_their_shape() -> None:
    with pytest.raises(InputError, match=r"must have shape \[3, 4\], found \[6, 4\]"):
        evaluate(turned(), {"x": np.concatenate([X, X])})


@pytest.mark.parametrize("graph", [turned(), two_results()])
def test_text_keeps_the_form(graph: Graph) -> None:
    assert parse_graph(print_graph(graph)).same_as(graph)


def test_passes_keep_nodes_with_several_results() -> None:
    graph = two_results()
    rebuilt = rebuild(graph, lambda builder, node, operands: None)
    assert rebuilt.same_as(graph)
    assert Canonicalize().run(graph, PassContext()).same_as(graph)


def test_quantization_refuses_by_name() -> None:
    with pytest.raises(UnsupportedError, match="has no batch axis"):
        plan_quantization(turned(), 8)
    builder = GraphBuilder("one")
    x = builder.input("x", TensorType(DType.F32, (1, 4)))
    graph = builder.finish([builder.add(Position(1, True), [x], "y", ["ArgMax_0"])], ["y"])
    with pytest.raises(UnsupportedError, match="ArgMax_0: Position has no integer form"):
        plan_quantization(graph, 8)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int8, np.uint64])
def test_element_types(dtype: type[np.generic]) -> None:
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    exported = model([node("Mul", "x x", "y")], {"x": [3, 4]}, input_type=element)
    graph = import_onnx(exported, batched=False)
    y = evaluate(graph, {"x": X.astype(dtype)})["y"]
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, (X * X).astype(dtype))


def test_unknown_element_types_are_refused_by_name() -> None:
    exported = model([node("Neg", "x", "y")], {"x": [3]}, input_type=TensorProto.BFLOAT16)
    with pytest.raises(UnsupportedError, match="type bfloat16 is not supported"):
        import_onnx(exported, batched=False)


def test_open_dimensions_need_a_size() -> None:
    exported = model([node("Neg", "x", "y")], {"x": ["N", 4]})
    with pytest.raises(InputError, match="every extent needs a size"):
        import_onnx(exported, batched=False)
    assert import_onnx(exported, batched=False, dims={"N": 3}).inputs[0].type.shape == (3, 4)


def test_shapes_that_inputs_decide() -> None:
    exported = model(
        [node("Neg", "axes", "back"), node("ReduceSum", "x back", "y", keepdims=0)],
        {"x": [3, 4], "axes": [1]},
    )
    exported.graph.input[1].type.tensor_type.elem_type = TensorProto.INT64
    found = ImccBackend.run_model(exported, [X, np.array([1])])
    np.testing.assert_array_equal(found[0], X.sum(1))


def test_functions_become_their_bodies() -> None:
    exported = model(
        [node("MeanVarianceNormalization", "x", "m", axes=[1]), node("Softsign", "m", "y")],
        {"x": [3, 4]},
    )
    (expected,) = run_onnxruntime(exported, {"x": X})
    graph = import_onnx(exported, batched=False)
    np.testing.assert_allclose(evaluate(graph, {"x": X})["y"], expected, rtol=1e-5)


def branch(op_type: str) -> GraphProto:
    output = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    return helper.make_graph([node(op_type, "x", "z")], op_type, [], [output])


@pytest.mark.parametrize("condition", [False, True])
def test_a_branch_takes_the_place_of_if(condition: bool) -> None:
    chosen = node("If", "c", "y", then_branch=branch("Neg"), else_branch=branch("Abs"))
    exported = model([chosen], {"x": [3, 4]}, {"c": np.array(condition)})
    graph = import_onnx(exported, batched=False)
    assert len(graph.nodes) == 1
    np.testing.assert_array_equal(evaluate(graph, {"x": X})["y"], -X if condition else X)


def test_text_of_a_constant_without_elements() -> None:
    builder = GraphBuilder("empty", batched=False)
    graph = builder.finish([builder.constant(np.zeros((0, 3), np.float32), "c")], ["y"])
    assert parse_graph(print_graph(graph)).same_as(graph)


def test_scan_is_unrolled() -> None:
    names = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [4]) for n in ("s", "e")]
    results = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [4]) for n in ("t", "o")]
    body = helper.make_graph([node("Add", "s e", "t"), node("Neg", "t", "o")], "b", names, results)
    scan = node("Scan", "k x", "last y", body=body, num_scan_inputs=1, scan_output_directions=[1])
    start = np.ones(4, np.float32)
    exported = model([scan], {"x": [3, 4]}, {"k": start}, outputs="last y")
    expected = run_onnxruntime(exported, {"x": X})
    found = evaluate(import_onnx(exported, batched=False), {"x": X})
    np.testing.assert_array_equal(found["last"], expected[0])
    np.testing.assert_array_equal(found["y"], expected[1])
