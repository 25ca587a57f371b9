"""Single nodes on whole tensors, without a batch axis, against onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import Array, Graph, evaluate, parse_graph, print_graph, verify

from .onnx_models import run_onnxruntime


def whole_model(
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, Array],
    constants: Mapping[str, Array] | None = None,
    *,
    outputs: str = "y",
    opset: int = 22,
) -> ModelProto:
    """A model whose inputs have the shapes and types of these arrays."""
    graph = helper.make_graph(
        nodes,
        "test",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )
            for name, array in inputs.items()
        ],
        [helper.make_empty_tensor_value_info(name) for name in outputs.split()],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def assert_whole_matches(
    proto: ModelProto, inputs: Mapping[str, Array], *, rtol: float = 1e-5, atol: float = 1e-5
) -> Graph:
    """Evaluate the model as it is and compare with onnxruntime; returns the graph.

    The graph also survives its text form.
    """
    graph = import_onnx(proto, batched=False)
    verify(graph)
    assert parse_graph(print_graph(graph)).nodes == graph.nodes
    found = evaluate(graph, inputs)
    expected = run_onnxruntime(proto, inputs)
    for name, array in zip(graph.output_names, expected, strict=True):
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        np.testing.assert_allclose(found[name], array, rtol=rtol, atol=atol)
    return graph
