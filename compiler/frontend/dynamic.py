"""Dynamically quantized products, as onnxruntime's dynamic quantizer writes them.

    q, s, z = DynamicQuantizeLinear(x);  y = Cast(MatMulInteger(q, W, z, zw)) * (s * sw)

finds the scale of x anew for every input. A chip has its scales before: the product becomes a
float one of x and the dequantized weights, and x is calibrated as every other activation. The
weights stay on their grid. DynamicQuantizeMatMul and MatMulIntegerToFloat are the same, fused.
Where the operand of a MatMulIntegerToFloat has a constant scale it is dequantized, and keeps it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from onnx import ModelProto, NodeProto, TensorProto, helper

from .fused import MICROSOFT

_PRODUCTS = {"MatMulInteger": "MatMul", "ConvInteger": "Conv"}
_FUSED = ("DynamicQuantizeMatMul", "MatMulIntegerToFloat")


def static_products(proto: ModelProto) -> tuple[ModelProto, tuple[str, ...]]:
    """The model with float products in place of quantized ones, and the names of the dynamic ones.

    `proto` itself where it has none. What does not have constant weights and scales stays.
    """
    products = _Rewriting(proto).products()
    if not products:
        return proto, ()
    replaced = {part.output[0] for product in products for part in product.replaced}
    written = {product.place.output[0]: product for product in products}
    whole = ModelProto()
    whole.CopyFrom(proto)
    del whole.graph.node[:]
    for node in proto.graph.node:
        output = node.output[0] if node.output else ""
        if output in written:
            whole.graph.node.extend(written[output].nodes())
        elif output not in replaced:
            whole.graph.node.append(node)
    _drop_unread(whole)
    return whole, tuple(product.label for product in products if product.codes is None)


@dataclass(frozen=True)
class _Operand:
    """Names of codes, their scale and their zero point, which may be left out."""

    codes: str
    scale: str
    zero: str


@dataclass(frozen=True)
class _Product:
    """A product to write: its float operand, weights, and the node whose place it takes.

    `codes` is what the float operand is dequantized from, where it has a constant scale.
    """

    x: str
    weights: _Operand
    bias: str
    source: NodeProto
    place: NodeProto
    replaced: tuple[NodeProto, ...]
    codes: _Operand | None = None

    @property
    def label(self) -> str:
        """The name of the integer product."""
        return self.source.name or self.place.output[0]

    def nodes(self) -> Iterator[NodeProto]:
        """Dequantized weights, the product, and the bias."""
        output, kind = self.place.output[0], _PRODUCTS.get(self.source.op_type, "MatMul")
        weights, product = f"{output}/weights", f"{output}/product" if self.bias else output
        if self.codes is not None:
            yield self._dequantized(self.codes, self.x, 1)
        yield self._dequantized(self.weights, weights, 0 if kind == "Conv" else 1)
        made = helper.make_node(kind, [self.x, weights], [product], self.label)
        made.attribute.extend(self.source.attribute if kind == "Conv" else [])
        yield made
        if self.bias:
            yield helper.make_node("Add", [product, self.bias], [output], self.label)

    def _dequantized(self, operand: _Operand, name: str, axis: int) -> NodeProto:
        """Operator sets before 13 have no axis; onnxruntime's own form has one in all."""
        given = [operand.codes, operand.scale, operand.zero]
        inputs = given if operand.zero else given[:2]
        return helper.make_node(
            "DequantizeLinear", inputs, [name], self.label, domain=MICROSOFT, axis=axis
        )


class _Rewriting:
    """What reads and makes the tensors of a graph, as far as this pattern needs it."""

    def __init__(self, proto: ModelProto) -> None:
        self._nodes = list(proto.graph.node)
        self._made = {name: node for node in self._nodes for name in node.output}
        self._uses = Counter(name for node in self._nodes for name in node.input)
        self._uses.update(entry.name for entry in proto.graph.output)
        self._given = {tensor.name for tensor in proto.graph.initializer}

    def products(self) -> list[_Product]:
        """All products that can be written as float ones."""
        found = [self._fused(n) if _is_fused(n) else self._chain(n) for n in self._nodes]
        return [product for product in found if product is not None]

    def _chain(self, scaled: NodeProto) -> _Product | None:
        """A Mul by the scales of both operands, behind a Cast of an integer product."""
        if scaled.op_type != "Mul" or scaled.domain or len(scaled.input) != 2:
            return None
        for real, scales in (scaled.input, scaled.input[::-1]):
            cast, factors = self._made.get(real), self._made.get(scales)
            product = self._made.get(cast.input[0]) if _to_float(cast) and cast else None
            if product is None or product.op_type not in _PRODUCTS or factors is None:
                continue
            a, b, a_zero, b_zero = [*product.input, "", ""][:4]
            found = self._quantized(a, a_zero)
            scale = self._other_factor(factors, found)
            inner = self._only(product.output[0]) and self._only(real)
            weights = _Operand(b, scale, b_zero)
            if found is not None and cast is not None and inner and self._is_constant(weights):
                return _Product(found.input[0], weights, "", product, scaled, (product, cast))
        return None

    def _fused(self, node: NodeProto) -> _Product | None:
        inputs = [*node.input, *[""] * 7]
        if node.op_type == "DynamicQuantizeMatMul":
            x, codes, scale, zero, bias = inputs[:5]
            weights, operand = _Operand(codes, scale, zero), None
        else:
            a, codes, scale_a, scale, zero_a, zero, bias = inputs[:7]
            found, weights = self._quantized(a, zero_a), _Operand(codes, scale, zero)
            operand = None if found else _Operand(a, scale_a, zero_a)
            x = found.input[0] if found else f"{node.output[0]}/operand"
        if not self._is_constant(weights) or (operand and not self._has_constant_scale(operand)):
            return None
        return _Product(x, weights, bias, node, node, (), operand)

    def _quantized(self, codes: str, zero: str) -> NodeProto | None:
        """The DynamicQuantizeLinear that makes these codes with this zero point."""
        node = self._made.get(codes)
        if node is None or node.op_type != "DynamicQuantizeLinear":
            return None
        return node if list(node.output[:1]) == [codes] and zero == node.output[2] else None

    def _other_factor(self, factors: NodeProto, quantized: NodeProto | None) -> str:
        """The scale of the weights in the product of both scales; empty if it is none."""
        if quantized is None or factors.op_type != "Mul" or factors.domain:
            return ""
        scale = quantized.output[1]
        a, b = factors.input
        return b if a == scale else a if b == scale else ""

    def _is_constant(self, weights: _Operand) -> bool:
        return weights.codes in self._given and self._has_constant_scale(weights)

    def _has_constant_scale(self, operand: _Operand) -> bool:
        names = [operand.scale, *([operand.zero] if operand.zero else [])]
        return all(name in self._given for name in names)

    def _only(self, name: str) -> bool:
        return self._uses[name] == 1


def _is_fused(node: NodeProto) -> bool:
    return node.domain == MICROSOFT and node.op_type in _FUSED


def _to_float(node: NodeProto | None) -> bool:
    """Whether a node is a Cast to float32."""
    if node is None or node.op_type != "Cast":
        return False
    return any(a.name == "to" and a.i == TensorProto.FLOAT for a in node.attribute)


def _drop_unread(proto: ModelProto) -> None:
    """Remove nodes that nothing reads any more: the scales of what was dynamic."""
    read = {entry.name for entry in proto.graph.output}
    kept: list[NodeProto] = []
    for node in reversed(proto.graph.node):
        if any(name in read for name in node.output) or node.op_type == "Constant":
            kept.append(node)
            read.update(node.input)
            read.update(_names_inside(node))
    del proto.graph.node[:]
    proto.graph.node.extend(reversed(kept))


def _names_inside(node: NodeProto) -> Iterator[str]:
    """What graphs inside a node read."""
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs]:
            for inner in graph.node:
                yield from inner.input
                yield from _names_inside(inner)
            yield from (entry.name for entry in graph.output)
