"""Small ONNX models, what onnxruntime makes of them, and where the larger ones lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from imcc.compiler.frontend import import_onnx
from imcc.compiler.ir import Array, Graph, evaluate, verify

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"

Shape = Sequence[int | str | None]


def node(op_type: str, inputs: str, outputs: str, /, **attributes: Any) -> NodeProto:
    """A node with space-separated operand names; ``_`` stands for one left out."""
    names = ["" if name == "_" else name for name in inputs.split()]
    return helper.make_node(op_type, names, outputs.split(), **attributes)


def model(
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, Shape],
    weights: Mapping[str, Array] | None = None,
    *,
    outputs: str = "y",
    opset: int = 17,
    input_type: int = TensorProto.FLOAT,
) -> ModelProto:
    """A model in memory."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(k, input_type, list(v)) for k, v in inputs.items()],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, None) for k in outputs.split()],
        [numpy_helper.from_array(np.asarray(a), k) for k, a in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def run_onnxruntime(source: ModelProto | Path, inputs: Mapping[str, Array]) -> list[Array]:
    """The outputs of the unoptimised model."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    data = source.SerializeToString() if isinstance(source, ModelProto) else str(source)
    found: list[Array] = ort.InferenceSession(data, options).run(None, dict(inputs))
    return found


def samples(graph: Graph, batch: int = 2, seed: int = 0) -> dict[str, Array]:
    """Standard normal inputs, or codes of the full range."""
    random = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for value in graph.inputs:
        shape = (batch, *value.type.shape[1:])
        if value.type.quant is None:
            found[value.name] = random.standard_normal(shape, np.float32)
        else:
            low, high = value.type.quant.low, value.type.quant.high
            found[value.name] = random.integers(low, high + 1, shape, value.type.dtype.numpy)
    return found


def assert_matches(
    proto: ModelProto, *, batch: int = 2, rtol: float = 1e-5, atol: float = 1e-5
) -> Graph:
    """Import the model, evaluate it, and compare with onnxruntime; returns the graph."""
    graph = import_onnx(proto)
    verify(graph)
    inputs = samples(graph, batch)
    expected = run_onnxruntime(proto, inputs)
    found = evaluate(graph, inputs)
    for name, array in zip(graph.output_names, expected, strict=True):
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        np.testing.assert_allclose(found[name], array, rtol=rtol, atol=atol)
    return graph


def f32(value: float | Sequence[float]) -> Array:
    """A float32 constant."""
    return np.asarray(value, np.float32)


def i64(value: int | Sequence[int]) -> Array:
    """An int64 constant."""
    return np.asarray(value, np.int64)


def weights(*shape: int, seed: int = 1) -> Array:
    """Standard normal float32 weights."""
    return np.asarray(np.random.default_rng(seed).standard_normal(shape, np.float32))
