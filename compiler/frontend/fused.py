"""Fused operators of onnxruntime (domain com.microsoft), replaced by what they are fused from.

onnxruntime's optimizer writes them. Their definitions are those of its operator documentation,
ContribOperators.md. The nodes that take the place of one keep its name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from onnx import AttributeProto, ModelProto, NodeProto, helper, numpy_helper

MICROSOFT = "com.microsoft"
_EPSILON = 1e-12


def expand_fused(proto: ModelProto) -> ModelProto:
    """The model without fused operators; `proto` itself where it has none.

    A form of an operator that has no meaning here stays, and is reported as any other unknown one.
    """
    if not any(_expansion(node) for node in proto.graph.node):
        return proto
    read = {name for node in proto.graph.node for name in node.input}
    read.update(entry.name for entry in proto.graph.output)
    plain = ModelProto()
    plain.CopyFrom(proto)
    del plain.graph.node[:]
    for node in proto.graph.node:
        plain.graph.node.extend(_expanded(node, read))
    return plain


def _expanded(node: NodeProto, read: Collection[str]) -> Iterator[NodeProto]:
    """The nodes in place of a node: itself where it is not fused."""
    expansion = _expansion(node)
    body = _Body(node, read)
    if expansion is None or not expansion(body):
        yield node
    else:
        yield from body.nodes


@dataclass
class _Body:
    """The nodes in place of a fused one, in the making."""

    call: NodeProto
    read: Collection[str]
    nodes: list[NodeProto] = field(default_factory=list)

    def has(self, index: int) -> bool:
        """Whether the operand is given."""
        return index < len(self.call.input) and bool(self.call.input[index])

    def operand(self, index: int) -> str:
        """The name of an operand, empty where it is left out."""
        return self.call.input[index] if self.has(index) else ""

    def output(self, index: int) -> str:
        """The name of an output, empty where it is left out."""
        return self.call.output[index] if index < len(self.call.output) else ""

    def add(
        self, op_type: str, *inputs: str, to: str = "", domain: str = "", **attributes: Any
    ) -> str:
        """Add a node; its result is the tensor `to`, or a new one."""
        output = to or f"{self.call.output[0]}/{op_type.lower()}{len(self.nodes)}"
        made = helper.make_node(
            op_type, inputs, [output], self.call.name, domain=domain, **attributes
        )
        self.nodes.append(made)
        return output

    def constant(self, value: ArrayLike) -> str:
        """Add a constant."""
        return self.add("Constant", value=numpy_helper.from_array(np.asarray(value)))

    def finish(self, name: str) -> None:
        """Give the last node the name of the first output."""
        assert self.nodes[-1].output[0] == name  # nothing has been added since
        self.nodes[-1].output[0] = self.call.output[0]

    def kept(self, *dropped: str) -> list[AttributeProto]:
        """The attributes of the call that its parts have as well."""
        return [entry for entry in self.call.attribute if entry.name not in dropped]

    def attribute(self, name: str, default: Any) -> Any:
        """The value of an attribute."""
        found = (a for a in self.call.attribute if a.name == name)
        return next((helper.get_attribute_value(a) for a in found), default)

    def reads_only(self, *outputs: int) -> bool:
        """Whether nothing reads any other output."""
        others = (name for i, name in enumerate(self.call.output) if i not in outputs)
        return not any(name in self.read for name in others if name)


# Writes the body, or says that this form has none.
_Expansion = Callable[[_Body], bool]


def _activation(body: _Body, x: str, name: str, parameters: list[float]) -> str:
    """A fused activation; an unknown one becomes a node that the importer reports."""
    one, two = [*parameters, 0.0, 0.0][:2]
    match name:
        case "Clip":
            raised = body.add("Max", x, body.constant(np.float32(one)))
            return body.add("Min", raised, body.constant(np.float32(two)))
        case "LeakyRelu":
            return body.add(name, x, alpha=one)
        case "HardSigmoid":
            return body.add(name, x, alpha=one, beta=two)
    return body.add(name, x)


def _fused_conv(body: _Body) -> bool:
    """Conv, a tensor added to it, and an activation."""
    inputs = [body.operand(index) for index in range(3)]
    result = body.add("Conv", *inputs[: 3 if inputs[2] else 2])
    body.nodes[-1].attribute.extend(body.kept("activation", "activation_params"))
    if body.has(3):
        result = body.add("Add", result, body.operand(3))
    name = body.attribute("activation", b"").decode()
    if name:
        result = _activation(body, result, name, list(body.attribute("activation_params", [])))
    body.finish(result)
    return True


def _fused_gemm(body: _Body) -> bool:
    """Gemm and an activation."""
    parts = ("activation", "activation_alpha", "activation_beta", "activation_gamma")
    result = body.add("Gemm", *body.call.input)
    body.nodes[-1].attribute.extend(body.kept(*parts))
    name = body.attribute("activation", b"").decode()
    if name:
        parameters = [body.attribute(part, 0.0) for part in parts[1:]]
        result = _activation(body, result, name, parameters)
    body.finish(result)
    return True


def _fused_matmul(body: _Body) -> bool:
    """MatMul with the last two axes of either operand exchanged, times alpha."""
    if body.attribute("transBatchA", 0) or body.attribute("transBatchB", 0):
        return False
    a, b = body.call.input
    if body.attribute("transA", 0) or body.attribute("transB", 0):
        left = "...ki" if body.attribute("transA", 0) else "...ik"
        right = "...jk" if body.attribute("transB", 0) else "...kj"
        result = body.add("Einsum", a, b, equation=f"{left},{right}->...ij")
    else:
        result = body.add("MatMul", a, b)
    alpha = body.attribute("alpha", 1.0)
    if alpha != 1:
        result = body.add("Mul", result, body.constant(np.float32(alpha)))
    body.finish(result)
    return True


def _biased(function: str) -> _Expansion:
    """A function of the sum of two tensors."""

    def expand(body: _Body) -> bool:
        if not body.has(1):
            return False
        total = body.add("Add", *body.call.input)
        body.finish(body.add(function, total, domain=MICROSOFT))
        return True

    return expand


def _skip_norm(op_type: str, vectors: int) -> _Expansion:
    """Normalization of a sum of two or three tensors along the last axis; the sum is output 3."""

    def expand(body: _Body) -> bool:
        if not body.reads_only(0, 3):
            return False
        total, bias = body.add("Add", body.operand(0), body.operand(1)), 2 + vectors
        if body.has(bias):
            total = body.add("Add", total, body.operand(bias))
        if body.output(3):
            body.nodes[-1].output[0] = total = body.output(3)
        _norm(body, op_type, total, [body.operand(2 + index) for index in range(vectors)])
        return True

    return expand


def _norm(body: _Body, op_type: str, x: str, vectors: list[str]) -> None:
    given = [name for name in vectors if name]
    epsilon = body.attribute("epsilon", _EPSILON)
    body.finish(body.add(op_type, x, *given, axis=-1, epsilon=epsilon))


def _embed_norm(body: _Body) -> bool:
    """The sum of word, position and segment embeddings, normalized; the sum is output 2."""
    if not body.reads_only(0, 2) or body.attribute("mask_index_type", 0):
        return False
    ids, segments = body.operand(0), body.operand(1)
    positions = body.operand(8) or _positions(body, ids)
    total = body.add(
        "Add",
        body.add("Gather", body.operand(2), ids),
        body.add("Gather", body.operand(3), positions),
    )
    if segments:
        total = body.add("Add", total, body.add("Gather", body.operand(4), segments))
    if body.output(2):
        body.nodes[-1].output[0] = total = body.output(2)
    _norm(body, "LayerNormalization", total, [body.operand(5), body.operand(6)])
    return True


def _positions(body: _Body, ids: str) -> str:
    """0, 1, 2, ... for each token."""
    length = body.add("Gather", body.add("Shape", ids), body.constant(np.int64(1)))
    zero, one = body.constant(np.int64(0)), body.constant(np.int64(1))
    return body.add("Range", zero, length, one)


def _simplified_norm(body: _Body) -> bool:
    """Division by the root of the mean square."""
    if not body.reads_only(0):
        return False
    body.finish(body.add("RMSNormalization", *body.call.input))
    body.nodes[-1].attribute.extend(body.kept())
    return True


_EXPANSIONS: dict[tuple[str, str], _Expansion] = {
    (MICROSOFT, "FusedConv"): _fused_conv,
    (MICROSOFT, "FusedGemm"): _fused_gemm,
    (MICROSOFT, "FusedMatMul"): _fused_matmul,
    (MICROSOFT, "TransposeMatMul"): _fused_matmul,
    (MICROSOFT, "BiasGelu"): _biased("Gelu"),
    (MICROSOFT, "FastGelu"): _biased("FastGelu"),
    (MICROSOFT, "SkipLayerNormalization"): _skip_norm("LayerNormalization", 2),
    (MICROSOFT, "SkipSimplifiedLayerNormalization"): _skip_norm("RMSNormalization", 1),
    (MICROSOFT, "EmbedLayerNormalization"): _embed_norm,
    # onnxruntime has it in ONNX's own domain.
    ("", "SimplifiedLayerNormalization"): _simplified_norm,
}


def _expansion(node: NodeProto) -> _Expansion | None:
    return _EXPANSIONS.get((node.domain, node.op_type))
