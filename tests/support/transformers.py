"""Small transformer networks as PyTorch exports them, with seeded random weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper

from imcc.compiler.ir import Array

from .onnx_models import Shape, f32, i64


@dataclass(frozen=True)
class Encoder:
    """Extents of an encoder block: a classifier over token ids of `sequence` tokens."""

    vocabulary: int = 40
    sequence: int = 6
    width: int = 16
    heads: int = 2
    hidden: int = 24
    classes: int = 5


@dataclass
class Exporter:
    """An ONNX graph in the making; every method gives the name of a tensor."""

    seed: int = 3
    nodes: list[Any] = field(default_factory=list)
    weights: dict[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)

    def weight(self, *shape: int, scale: float | None = None) -> str:
        """Normal weights, by default of the deviation that keeps the size of activations."""
        deviation = 1 / np.sqrt(shape[0]) if scale is None else scale
        return self.constant(self._random.standard_normal(shape) * deviation)

    def constant(self, array: Array) -> str:
        """An initializer; real numbers become float32."""
        name, found = f"w{len(self.weights)}", np.asarray(array)
        self.weights[name] = found.astype(np.float32) if found.dtype.kind == "f" else found
        return name

    def add(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """A node."""
        name = f"{op_type.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [name], name=f"/{name}", **attributes))
        return name

    def linear(self, x: str, inputs: int, outputs: int) -> str:
        """A fully connected layer: MatMul, then Add with the bias first."""
        product = self.add("MatMul", x, self.weight(inputs, outputs))
        return self.add("Add", self.weight(outputs, scale=0.1), product)

    def layer_norm(self, x: str, width: int) -> str:
        """LayerNormalization with a scale around 1."""
        scale = self.constant(1 + 0.2 * self._random.standard_normal(width))
        return self.add(
            "LayerNormalization", x, scale, self.weight(width, scale=0.2), axis=-1, epsilon=1e-5
        )

    def gelu(self, x: str) -> str:
        """The exact form, as five nodes."""
        scaled = self.add("Div", x, self.constant(f32(np.sqrt(2))))
        shifted = self.add("Add", self.add("Erf", scaled), self.constant(f32(1)))
        return self.add("Mul", self.add("Mul", x, shifted), self.constant(f32(0.5)))

    def attention(self, x: str, sequence: int, width: int, heads: int) -> str:
        """Self-attention with its own projections."""
        split = self.constant(i64([0, sequence, heads, width // heads]))
        perms = ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3))
        q, k, v = (
            self.add(
                "Transpose", self.add("Reshape", self.linear(x, width, width), split), perm=perm
            )
            for perm in perms
        )
        root = self.constant(f32(np.sqrt(width // heads)))
        scores = self.add("Div", self.add("MatMul", q, k), root)
        mixed = self.add("MatMul", self.add("Softmax", scores, axis=-1), v)
        turned = self.add("Transpose", mixed, perm=(0, 2, 1, 3))
        merged = self.add("Reshape", turned, self.constant(i64([0, sequence, width])))
        return self.linear(merged, width, width)

    def model(self, inputs: Sequence[ValueInfoProto], output: str, shape: Shape) -> ModelProto:
        """The model with one output, ``y``."""
        self.nodes.append(helper.make_node("Identity", [output], ["y"], name="/output"))
        graph = helper.make_graph(
            self.nodes,
            "transformer",
            list(inputs),
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, list(shape))],
            [numpy_helper.from_array(array, name) for name, array in self.weights.items()],
        )
        opset = helper.make_opsetid("", 17)
        model: ModelProto = helper.make_model(graph, opset_imports=[opset], ir_version=8)
        return model


def encoder(extents: Encoder | None = None) -> ModelProto:
    """Embedding, attention, LayerNorm and MLP, then a classifier over the first token."""
    e, net = extents or Encoder(), Exporter()
    tokens = net.add("Gather", net.weight(e.vocabulary, e.width, scale=1.0), "ids", axis=0)
    places = net.add(
        "Gather",
        net.weight(e.sequence, e.width, scale=0.3),
        net.constant(np.arange(e.sequence)[None]),
        axis=0,
    )
    x = net.add("Add", tokens, places)
    x = net.add("Add", net.attention(net.layer_norm(x, e.width), e.sequence, e.width, e.heads), x)
    hidden = net.gelu(net.linear(net.layer_norm(x, e.width), e.width, e.hidden))
    x = net.layer_norm(net.add("Add", net.linear(hidden, e.hidden, e.width), x), e.width)
    first = net.add("Gather", x, net.constant(i64(0)), axis=1)
    scores = net.add(
        "Gemm", first, net.weight(e.width, e.classes), net.weight(e.classes, scale=0.1)
    )
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["N", e.sequence])
    return net.model([ids], scores, ["N", e.classes])


def attention_block(sequence: int = 7, width: int = 12, heads: int = 3) -> ModelProto:
    """Attention alone, over real vectors."""
    net = Exporter()
    y = net.attention("x", sequence, width, heads)
    shape: Shape = ["N", sequence, width]
    return net.model([helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)], y, shape)


def normalized_mlp(width: int = 20, hidden: int = 30) -> ModelProto:
    """LayerNorm, two layers, and the sum with what came in."""
    net = Exporter()
    inner = net.add("Relu", net.linear(net.layer_norm("x", width), width, hidden))
    y = net.add("Add", net.linear(inner, hidden, width), "x")
    shape: Shape = ["N", 5, width]
    return net.model([helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)], y, shape)


def embedding_classifier(vocabulary: int = 30, sequence: int = 9, width: int = 8) -> ModelProto:
    """Embeddings side by side, then one layer; ids come as a row that is turned first."""
    net = Exporter()
    turned = net.add("Reshape", "ids", net.constant(i64([0, 3, sequence // 3])))
    rows = net.add("Gather", net.weight(vocabulary, width, scale=1.0), turned, axis=0)
    flat = net.add("Reshape", rows, net.constant(i64([0, sequence * width])))
    y = net.linear(flat, sequence * width, 4)
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["N", sequence])
    return net.model([ids], y, ["N", 4])
