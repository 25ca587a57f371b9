"""The pass `decompose` on small models, against onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import NodeProto

from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import Array, Graph, evaluate, verify
from imcc.compiler.passes import PassContext, Pipeline
from support.onnx_models import run_onnxruntime
from support.whole_models import whole_model


def decomposed(
    nodes: list[NodeProto],
    inputs: Mapping[str, Array],
    constants: Mapping[str, Array] | None = None,
    *,
    outputs: str = "y",
    opset: int = 22,
) -> Graph:
    """The graph after the pass, whose outputs equal those of onnxruntime on the model."""
    proto = whole_model(nodes, inputs, constants, outputs=outputs, opset=opset)
    graph = Pipeline.parse("decompose").run(import_onnx(proto, batched=False), PassContext())
    verify(graph)
    found = evaluate(graph, inputs)
    for name, array in zip(graph.output_names, run_onnxruntime(proto, inputs), strict=True):
        assert found[name].shape == array.shape
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=2e-5)
    return graph


def names(graph: Graph) -> list[str]:
    """The operators, in order."""
    return [n.op.name for n in graph.nodes]
