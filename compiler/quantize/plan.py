"""What is decided before any node is rewritten: fused activations and shared parameters.

1. Relu and Clip behind a convolution, matrix product, sum, product or average pooling become
   clip bounds of its output stage, if nobody else reads the value before them.
2. Operators that only move values share the parameters of their operand.
3. Operands of a concatenation that nobody else reads take the parameters of its result, so that
   it is a copy.
4. Softmax and the sigmoids have fixed ranges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ..errors import UnsupportedError
from ..ir import Graph, Node, Op, QuantParams, Value
from ..ir.ops.activation import Elu, Shrink, Swish, Threshold
from ..ir.ops.binary import Add, Div, Mul, Sub
from ..ir.ops.linear import Conv, MatMul
from ..ir.ops.math import Math
from ..ir.ops.normalization import BatchNormalization, Softmax
from ..ir.ops.pooling import AveragePool, GlobalAveragePool, MaxPool
from ..ir.ops.shape import Concat, Pad, Reshape, Slice, Transpose
from ..ir.ops.unary import (
    Affine,
    Clip,
    HardSigmoid,
    HardSwish,
    Identity,
    LeakyRelu,
    Relu,
    Sigmoid,
    Tanh,
)

FUSING = (Conv, MatMul, Add, Sub, Mul, Div, AveragePool, GlobalAveragePool)
MOVING = (MaxPool, Reshape, Transpose, Slice, Pad, Identity)
UNARY = (
    *(Relu, Clip, LeakyRelu, Sigmoid, Tanh, HardSigmoid, HardSwish, Affine),
    *(Elu, Swish, Threshold, Shrink, Math),
)
SUPPORTED = (*FUSING, *MOVING, *UNARY, Concat, Softmax)


@dataclass(frozen=True)
class Bounds:
    """Real bounds of a fused activation, and the nodes that it replaces."""

    low: float = -math.inf
    high: float = math.inf
    nodes: tuple[Node, ...] = ()

    def then(self, node: Node) -> Bounds:
        """These bounds followed by the Relu or Clip of `node`."""
        low, high = (0.0, math.inf) if isinstance(node.op, Relu) else _clip(node.op)
        low, high = (min(max(bound, low), high) for bound in (self.low, self.high))
        return Bounds(low, high, (*self.nodes, node))


def _clip(op: Op) -> tuple[float, float]:
    assert isinstance(op, Clip)
    return op.low, op.high


@dataclass
class Plan:
    """Decisions by value name.

    `bounds` has the fused activation of a node's result, `shares` the value whose parameters a
    value takes, `fixed` the parameters that need no calibration.
    """

    bounds: dict[str, Bounds] = field(default_factory=dict)
    shares: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, QuantParams] = field(default_factory=dict)

    def root(self, name: str) -> str:
        """The value whose parameters `name` has."""
        while name in self.shares:
            name = self.shares[name]
        return name

    @property
    def absorbed(self) -> set[str]:
        """Results of the activations that are fused."""
        return {node.result.name for b in self.bounds.values() for node in b.nodes}


def plan_quantization(graph: Graph, bits: int) -> Plan:
    """Decide for a float graph; raises `UnsupportedError` naming every node that cannot be."""
    _check_supported(graph)
    plan = Plan()
    for node in graph.nodes:
        if isinstance(node.op, FUSING):
            _fuse(graph, node, plan)
        elif isinstance(node.op, MOVING):
            plan.shares[node.result.name] = node.operands[0].name
        _fix(node, bits, plan)
    for node in reversed(graph.nodes):
        if isinstance(node.op, Concat):
            _share_concat(graph, node, plan)
    return plan


def _fuse(graph: Graph, node: Node, plan: Plan) -> None:
    bounds, value = Bounds(), node.result
    while not graph.is_output(value):
        users = graph.users(value)
        if len(users) != 1 or not isinstance(users[0].op, Relu | Clip):
            break
        bounds, value = bounds.then(users[0]), users[0].result
        plan.shares[users[0].operands[0].name] = value.name
    plan.bounds[node.result.name] = bounds


def _fix(node: Node, bits: int, plan: Plan) -> None:
    one = 1 << bits
    if isinstance(node.op, Softmax | Sigmoid | HardSigmoid):
        plan.fixed[node.result.name] = QuantParams((1 / one,), (0,), None, bits, False)
    elif isinstance(node.op, Tanh):
        plan.fixed[node.result.name] = QuantParams((2 / one,), (one // 2,), None, bits, False)


def _share_concat(graph: Graph, node: Node, plan: Plan) -> None:
    for operand in node.operands:
        source = _only_source(graph, operand)
        if source is None:
            continue
        root, target = plan.root(source.name), plan.root(node.result.name)
        if root != target and root not in plan.fixed:
            plan.shares[root] = target


def _only_source(graph: Graph, value: Value) -> Value | None:
    """Where the elements of `value` are computed, if they are read along one path only."""
    while True:
        producer = graph.producer(value)
        if producer is None or graph.is_output(value) or len(graph.users(value)) != 1:
            return None
        if not isinstance(producer.op, MOVING):
            return value
        value = producer.operands[0]


def unsupported(graph: Graph) -> list[tuple[Node, str]]:
    """The nodes of a float graph that cannot be quantized, each with the reason."""
    reasons = [(node, _reason(graph, node)) for node in graph.nodes]
    return [(node, reason) for node, reason in reasons if reason]


def _check_supported(graph: Graph) -> None:
    if not graph.batched:
        raise UnsupportedError(
            "the graph has no batch axis; only graphs that were imported with one can be quantized"
        )
    problems = [
        f"  {node.label}: {type(node.op).__name__}{reason}" for node, reason in unsupported(graph)
    ]
    if problems:
        raise UnsupportedError("these nodes cannot be quantized:\n" + "\n".join(problems))


def _reason(graph: Graph, node: Node) -> str:
    """Why a node cannot be quantized; empty if it can be."""
    if isinstance(node.op, BatchNormalization):
        return " is not folded; run fold-batch-norm and lower-batch-norm first"
    if not isinstance(node.op, SUPPORTED):
        return " has no integer form"
    if isinstance(node.op, AveragePool) and set(node.op.dilations or ()) - {1}:
        return " has a window with gaps"
    computed = [graph.constant(operand) is None for operand in node.operands]
    if isinstance(node.op, Conv | MatMul) and any(computed[1:]):
        return " has computed weights; they must be constant"
    if isinstance(node.op, Div) and computed[1]:
        return " divides by a computed value; the divisor must be constant"
    return "" if any(computed) else " has constant operands only; run fold-constants first"
