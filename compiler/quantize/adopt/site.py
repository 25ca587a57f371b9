"""What stands before a Quantize: an operator and the operators that its output stage takes up."""

from __future__ import annotations

from dataclasses import dataclass, field

from imcc.isa.target import RequantMode

from ...ir import Graph, Node, QuantParams, Value
from ...ir.ops.binary import Add, Div, Mul, Sub
from ...ir.ops.grid import Bipolar
from ...ir.ops.linear import Conv, MatMul
from ...ir.ops.normalization import BatchNormalization
from ...ir.ops.quant import Dequantize
from ...ir.ops.unary import Affine, Clip, Relu
from ..plan import Bounds
from ..registry import Kind, is_kind

SCALING = (Add, Sub, Mul, Div, Affine, BatchNormalization)


@dataclass(frozen=True)
class Datapath:
    """The output stage of the target."""

    mode: RequantMode = RequantMode.FLOAT24
    multiplier_bits: int = 24


@dataclass(frozen=True)
class Chain:
    """An operator and what one output stage computes behind it.

    `bias` is the Add of a bias behind a product. `scaling` are scales and offsets behind it, in
    the order in which they apply. `bounds` is the activation, `sign` a Bipolar behind everything.
    """

    node: Node
    bias: Node | None = None
    scaling: tuple[Node, ...] = ()
    bounds: Bounds = field(default_factory=Bounds)
    sign: Node | None = None

    @property
    def origin(self) -> tuple[str, ...]:
        """The ONNX nodes covered."""
        nodes = (self.node, self.bias, *self.scaling, *self.bounds.nodes, self.sign)
        found = (name for node in nodes if node is not None for name in node.origin)
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Site:
    """A chain to be put on codes.

    `output` is the parameters of the result in the model, `name` the name of the codes, `end` the
    node behind the chain.
    """

    chain: Chain
    output: QuantParams
    name: str
    end: Node

    @property
    def node(self) -> Node:
        """The operator."""
        return self.chain.node

    @property
    def bounds(self) -> Bounds:
        """The activation behind it."""
        return self.chain.bounds


def read_once(graph: Graph, value: Value) -> bool:
    """Whether one node reads the value, and it is no output."""
    return len(graph.users(value)) == 1 and not graph.is_output(value)


def is_dequantized(graph: Graph, value: Value) -> bool:
    """Whether a value is made of codes, though it may have been moved since."""
    producer = graph.producer(value)
    while producer is not None and is_kind(producer.op, Kind.MOVING):
        producer = graph.producer(producer.operands[0])
    return producer is not None and isinstance(producer.op, Dequantize)


def constant_real(graph: Graph, value: Value) -> bool:
    """Whether the real value is constant, dequantized or not."""
    producer = graph.producer(value)
    if producer is not None and isinstance(producer.op, Dequantize):
        value = producer.operands[0]
    return graph.constant(value) is not None


def activated(graph: Graph, end: Value) -> Chain | None:
    """Any operator before Relu and Clip."""
    value, passed = _before_activations(graph, end)
    node = graph.producer(value)
    if node is None or not (read_once(graph, value) or is_dequantized(graph, value)):
        return None
    return Chain(node, bounds=_bounds(passed))


def biased_product(graph: Graph, end: Value) -> Chain | None:
    """A product before Relu and Clip, or the Add of a constant bias to a product."""
    value, passed = _before_activations(graph, end)
    node = graph.producer(value)
    if node is None or not read_once(graph, value):
        return None
    if isinstance(node.op, Conv | MatMul):
        return Chain(node, bounds=_bounds(passed))
    product = _before_bias(graph, node)
    return None if product is None else Chain(product, node, bounds=_bounds(passed))


def scaled_product(graph: Graph, end: Value) -> Chain | None:
    """A product with scales and offsets behind it, an activation, and perhaps the sign.

    Nothing else may read what is between; the end itself may be an output.
    """
    sign = graph.producer(end)
    if sign is None or not isinstance(sign.op, Bipolar):
        sign = None
    value, passed = _before_activations(graph, end if sign is None else sign.operands[0])
    steps: list[Node] = []
    node = graph.producer(value)
    while node is not None and (value is end or read_once(graph, value)):
        if isinstance(node.op, Conv | MatMul):
            return Chain(node, None, tuple(reversed(steps)), _bounds(passed), sign)
        operand = scaled_operand(graph, node)
        if operand is None:
            return None
        steps.append(node)
        value, node = operand, graph.producer(operand)
    return None


def scaled_operand(graph: Graph, node: Node) -> Value | None:
    """The operand that a constant scale or offset is applied to; None for any other operator."""
    if not isinstance(node.op, SCALING):
        return None
    computed = [operand for operand in node.operands if not constant_real(graph, operand)]
    if len(computed) != 1 or (isinstance(node.op, Div) and computed[0] is not node.operands[0]):
        return None
    return computed[0]


def _bounds(passed: list[Node]) -> Bounds:
    bounds = Bounds()
    for activation in reversed(passed):
        bounds = bounds.then(activation)
    return bounds


def _before_activations(graph: Graph, end: Value) -> tuple[Value, list[Node]]:
    """Back over Relu and Clip that nothing else reads; those of codes are functions instead."""
    value, passed = end, []
    node = graph.producer(value)
    while (
        node is not None
        and isinstance(node.op, Relu | Clip)
        and (value is end or read_once(graph, value))
        and not is_dequantized(graph, node.operands[0])
    ):
        passed.append(node)
        value = node.operands[0]
        node = graph.producer(value)
    return value, passed


def _before_bias(graph: Graph, node: Node) -> Node | None:
    """The product before the Add of a constant bias."""
    if not isinstance(node.op, Add):
        return None
    for x, bias in (node.operands, node.operands[::-1]):
        product = graph.producer(x)
        if product is None or not constant_real(graph, bias) or not read_once(graph, x):
            continue
        if isinstance(product.op, Conv | MatMul) and len(product.operands) == 2:
            return product
    return None
