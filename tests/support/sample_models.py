"""Small networks without a batch axis that every value keeps, as exporters write them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from imcc.compiler.ir import Array

from .onnx_models import node

Shape = Sequence[int | str]
_RANDOM = np.random.default_rng(11)


def random_weights(*shape: int) -> Array:
    """Seeded float32 weights, scaled by their rows."""
    return np.asarray(_RANDOM.standard_normal(shape) / np.sqrt(shape[0]), np.float32)


def _model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    output: Shape,
    constants: dict[str, Array],
) -> ModelProto:
    results = [helper.make_tensor_value_info("y", TensorProto.FLOAT, list(output))]
    tensors = [numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items()]
    graph = helper.make_graph(nodes, "test", inputs, results, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _input(name: str, shape: Shape, element: int = TensorProto.FLOAT) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, element, list(shape))


def window_attention() -> ModelProto:
    """Attention within four windows of an image ``[N, 8, 8, 8]``, which lie along axis 0 (Swin)."""
    nodes = [
        node("Reshape", "x split", "a"),
        node("Transpose", "a", "b", perm=[0, 1, 3, 2, 4, 5]),
        node("Reshape", "b windows", "c"),
        *(node("MatMul", f"c w{name}", name) for name in "qkv"),
        node("Transpose", "k", "kt", perm=[0, 2, 1]),
        node("MatMul", "q kt", "scores"),
        node("Mul", "scores scale", "scaled"),
        node("Softmax", "scaled", "p", axis=-1),
        node("MatMul", "p v", "o"),
        node("Reshape", "o joined", "d"),
        node("Transpose", "d", "e", perm=[0, 1, 3, 2, 4, 5]),
        node("Reshape", "e image", "r"),
        node("Add", "r x", "s"),
        node("ReduceMean", "s", "u", axes=[1, 2], keepdims=0),
        node("Gemm", "u wc bc", "y"),
    ]
    constants = {
        "split": np.array([1, 2, 4, 2, 4, 8]),
        "windows": np.array([-1, 16, 8]),
        **{f"w{name}": random_weights(8, 8) for name in "qkv"},
        "scale": np.array(0.35, np.float32),
        "joined": np.array([1, 2, 2, 4, 4, 8]),
        "image": np.array([1, 8, 8, 8]),
        "wc": random_weights(8, 5),
        "bc": random_weights(5),
    }
    return _model(nodes, [_input("x", ("N", 8, 8, 8))], ("N", 5), constants)


def time_first() -> ModelProto:
    """An LSTM over ``x [4, N, 5]``, of which the last step counts."""
    hidden = 6
    nodes = [
        node("LSTM", "x w r b", "all", hidden_size=hidden),
        node("Squeeze", "all one", "steps"),
        node("Gather", "steps last", "state", axis=0),
        node("Gemm", "state wc bc", "y"),
    ]
    constants = {
        "w": random_weights(1, 4 * hidden, 5),
        "r": random_weights(1, 4 * hidden, hidden),
        "b": random_weights(1, 8 * hidden),
        "one": np.array([1]),
        "last": np.array(-1),
        "wc": random_weights(hidden, 3),
        "bc": random_weights(3),
    }
    return _model(nodes, [_input("x", (4, "N", 5))], ("N", 3), constants)


def word_bags() -> ModelProto:
    """The mean of the embeddings of six words of 20, times a number, and a classifier."""
    nodes = [
        node("Gather", "table ids", "e", axis=0),
        node("ReduceMean", "e", "m", axes=[0], keepdims=0),
        node("Mul", "m gain", "g"),
        node("Unsqueeze", "g zero", "row"),
        node("Gemm", "row wc bc", "y"),
    ]
    constants = {
        "table": random_weights(20, 8),
        "zero": np.array([0]),
        "wc": random_weights(8, 3),
        "bc": random_weights(3),
    }
    inputs = [_input("ids", (6,), TensorProto.INT64), _input("gain", ())]
    return _model(nodes, inputs, (1, 3), constants)
