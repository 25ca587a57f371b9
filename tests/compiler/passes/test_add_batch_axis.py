"""The pass `add-batch-axis`: on a batch the same as the whole graph on each sample."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Mapping
from unittest import SkipTest

import numpy as np
import pytest
from onnx import ModelProto
from onnx.backend.test.case.node import collect_testcases
from onnx.backend.test.case.test_case import TestCase
from onnx.numpy_helper import from_array
from support.onnx_models import model, node
from support.sample_models import random_weights, window_attention

from imcc.compiler.errors import CompileError, UnsupportedError
from imcc.compiler.frontend import import_for_compilation, import_onnx
from imcc.compiler.frontend.compilation import attempt
from imcc.compiler.frontend.model import load
from imcc.compiler.ir import Array, Graph, evaluate, verify
from imcc.compiler.ir.batch import with_batch
from imcc.compiler.onnx_backend import named_inputs, specialize
from imcc.compiler.passes import PassContext, Pipeline
from imcc.compiler.passes.add_batch_axis import AddBatchAxis

BATCH = 3


def batched(graph: Graph) -> Graph:
    found = Pipeline.parse("decompose,add-batch-axis").run(graph, PassContext())
    verify(found)
    return found


def assert_same_on_a_batch(
    whole: Graph, found: Graph, first: Mapping[str, Array], atol: float = 1e-5
) -> None:
    """Compare on one sample and others made of its elements in another order."""
    random = np.random.default_rng(3)
    shuffled = [
        {
            name: random.permutation(a.reshape(-1)).reshape(a.shape) if a.dtype.kind == "f" else a
            for name, a in first.items()
        }
        for _ in range(BATCH - 1)
    ]
    inputs = [first, *shuffled]
    results = [evaluate(whole, arrays) for arrays in inputs]
    joined = {
        v.name: np.concatenate([a[v.name].reshape(with_batch(v.type.shape)) for a in inputs])
        for v in whole.inputs
    }
    for name, array in evaluate(found, joined).items():
        expected = [result[name].reshape(with_batch(result[name].shape)) for result in results]
        np.testing.assert_allclose(array, np.concatenate(expected), rtol=1e-4, atol=atol)


def standard(arrays: Graph) -> dict[str, Array]:
    random = np.random.default_rng(5)
    return {v.name: random.standard_normal(v.type.shape, np.float32) for v in arrays.inputs}


def selected_cases(each: int = 3) -> list[TestCase]:
    """The first node tests of every operator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    by_operator: dict[str, list[TestCase]] = defaultdict(list)
    for case in cases:
        assert case.model is not None
        by_operator[case.model.graph.node[-1].op_type].append(case)
    return [case for found in by_operator.values() for case in found[:each]]


def with_weights(proto: ModelProto, arrays: Mapping[str, Array]) -> ModelProto:
    """The model with all inputs but the first as constants, which weights are."""
    found = ModelProto()
    found.CopyFrom(proto)
    for entry in list(found.graph.input)[1:]:
        found.graph.input.remove(entry)
        found.graph.initializer.append(from_array(np.asarray(arrays[entry.name]), entry.name))
    return found


def test_node_tests_of_onnx() -> None:
    same = 0
    for case in selected_cases():
        try:
            assert case.model is not None
            assert case.data_sets is not None
            arrays = named_inputs(case.model, case.data_sets[0][0])
            whole = specialize(with_weights(case.model, arrays), arrays)
            found = batched(whole)
        except (CompileError, SkipTest):
            continue
        if whole.inputs:
            first = {value.name: arrays[value.name] for value in whole.inputs}
            assert_same_on_a_batch(whole, found, first)
            same += 1
    assert same >= 250


def test_batched_graphs_stay_as_they_are() -> None:
    graph = import_onnx(model([node("Relu", "x", "y")], {"x": ["N", 4]}))
    assert AddBatchAxis().run(graph, PassContext()) is graph


def test_windows_lie_under_the_new_axis() -> None:
    graph = import_for_compilation(window_attention()).graph
    assert not graph.batched
    found = batched(graph)
    assert found.inputs[0].type.shape == (1, 8, 8, 8)
    assert found.outputs[0].type.shape == (1, 5)
    shapes = {v.name: v.type.shape for n in found.nodes for v in n.results}
    assert shapes["a"] == (1, 2, 4, 2, 4, 8)
    assert shapes["c"] == (1, 4, 16, 8)
    assert shapes["scores"] == (1, 4, 16, 16)
    assert shapes["r"] == (1, 8, 8, 8)
    assert not any(name.endswith("/shape") for name in shapes)
    assert_same_on_a_batch(graph, found, standard(graph))


CNN = [
    node("Conv", "x w", "a", pads=[1, 1, 1, 1]),
    node("BatchNormalization", "a s s s s", "b"),
    node("Relu", "b", "c"),
    node("MaxPool", "c", "d", kernel_shape=[2, 2], strides=[2, 2]),
    node("Add", "c c", "e"),
    node("GlobalAveragePool", "d", "f"),
    node("Flatten", "f", "g"),
    node("Gemm", "g m s", "h"),
    node("Softmax", "h", "y"),
]
WEIGHTS = {
    "w": random_weights(3, 2, 3, 3),
    "s": np.abs(random_weights(3)),
    "m": random_weights(3, 3),
}


def test_a_network_that_keeps_its_batch_becomes_its_batched_import() -> None:
    proto = model(CNN, {"x": ["N", 2, 6, 6]}, WEIGHTS)
    whole = attempt(load(proto), {}, {}, batched=False, compiled=True).graph
    assert whole is not None
    assert AddBatchAxis().run(whole, PassContext()).nodes == import_onnx(proto).nodes


@pytest.mark.parametrize("spatial", [1, 2, 3])
def test_convolution_of_several_images(spatial: int) -> None:
    kernel = (2,) * spatial
    weights = {"w": random_weights(6, 2, *kernel), "b": random_weights(6)}
    conv = node("Conv", "x w b", "y", group=2, strides=[2] + [1] * (spatial - 1))
    proto = model([conv], {"x": [3, 4, *(5,) * spatial]}, weights)
    graph = import_onnx(proto, batched=False)
    found = batched(graph)
    assert len([n for n in found.nodes if n.op.name == "conv"]) == (3 if spatial == 3 else 1)
    assert_same_on_a_batch(graph, found, standard(graph))


def test_channels_of_several_images() -> None:
    nodes = [
        node("MaxPool", "x", "a", kernel_shape=[2, 2]),
        node("BatchNormalization", "a s s s s", "b"),
        node("AveragePool", "b", "y", kernel_shape=[2, 2], pads=[1, 1, 1, 1]),
    ]
    graph = import_onnx(
        model(nodes, {"x": [4, 3, 6, 6]}, {"s": np.abs(random_weights(3))}), batched=False
    )
    assert_same_on_a_batch(graph, batched(graph), standard(graph))


def test_operands_of_lower_rank_meet_at_the_batch() -> None:
    graph = import_onnx(
        model(
            [node("Add", "x z", "a"), node("Mul", "a k", "y")], {"x": [1, 3, 4], "z": [4], "k": []}
        ),
        batched=False,
    )
    found = batched(graph)
    assert [v.type.shape for v in found.inputs] == [(1, 3, 4), (1, 4), (1,)]
    assert_same_on_a_batch(graph, found, standard(graph))


def test_all_nodes_without_a_form_are_named() -> None:
    nodes = [
        node("Conv", "x v", "a", name="computed_weights"),
        node("Relu", "x", "r"),
        node("Conv", "r v", "y", name="others"),
    ]
    proto = model(nodes, {"x": [2, 3, 6, 6], "v": [4, 3, 3, 3]}, outputs="a y")
    with pytest.raises(UnsupportedError) as caught:
        batched(import_onnx(proto, batched=False))
    text = str(caught.value)
    assert text.index("computed_weights") < text.index("others")
    assert "Conv of [2, 3, 6, 6], [4, 3, 3, 3] cannot get a batch axis" in text
