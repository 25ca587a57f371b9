"""The pass `fuse-elementwise`: element-wise functions of one value become one function.

On codes a function of one value is a table, however it is written: x * sigmoid(x) or
0.5 x (1 + erf(x / sqrt 2)) need one look-up an element, and nothing is rounded on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir import Graph, Node, Value
from ..ir.ops.activation import Elu, Shrink, Swish, Threshold
from ..ir.ops.binary import Add, Div, Maximum, Minimum, Mul, Sub
from ..ir.ops.composed import Composed, Step
from ..ir.ops.constant_operand import WithConstant
from ..ir.ops.math import Math
from ..ir.ops.unary import (
    Affine,
    Clip,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Relu,
    Sigmoid,
    Tanh,
)
from ..quantize.registry import Kind, is_kind
from .base import Pass, PassContext
from .rewrite import Rewriter, Rules, rewrite_until_settled

_UNARY = (
    *(Relu, Clip, LeakyRelu, Sigmoid, Tanh, HardSigmoid, HardSwish, Affine),
    *(Elu, Swish, Threshold, Shrink, Math, WithConstant, Composed),
)
_BINARY = (Add, Sub, Mul, Div, Maximum, Minimum)
_LONGEST = 64


@dataclass(frozen=True)
class FuseElementwise(Pass):
    """Joins element-wise functions that depend on one value alone.

    1. A function of one operand behind another that nothing else reads becomes one with it.
    2. A sum, product or the like of functions of the same value becomes a function of that value,
       if nothing else reads what stands between.

    A Relu or Clip that the output stage of the operator before it takes up is left to it.
    """

    name: ClassVar[str] = "fuse-elementwise"

    def run(self, graph: Graph, context: PassContext) -> Graph:
        """The graph with joined functions."""
        rules: Rules = {kind: (fuse,) for kind in (*_UNARY, *_BINARY)}
        return rewrite_until_settled(graph, rules, context.notes)


@dataclass(frozen=True)
class _Expression:
    """A value as a function of another one; no steps if it is that value itself."""

    source: Value
    steps: tuple[Step, ...] = ()
    nodes: tuple[Node, ...] = ()

    def then(self, node: Node) -> tuple[Step, ...]:
        """The steps, and those of a function of one operand behind them."""
        last = len(self.steps)
        if not isinstance(node.op, Composed):
            return (*self.steps, Step(node.op, (last,)))
        return (*self.steps, *_moved(node.op.steps, last, last))


def fuse(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """Rules 1 and 2."""
    if node.result.type.quant is not None or not node.result.type.dtype.is_float:
        return None
    if len(operands) == 1:
        return _behind_another(builder, node, operands[0])
    return _of_one_value(builder, node, *operands)


def _behind_another(builder: Rewriter, node: Node, x: Value) -> Value | None:
    before = _expression(builder, x, 1)
    if not before.steps or _is_absorbed(builder, node, x):
        return None
    return _composed(builder, node, before.then(node), before.source, before.nodes)


def _of_one_value(builder: Rewriter, node: Node, a: Value, b: Value) -> Value | None:
    readings = 1 + (a == b)
    for left in (_Expression(a), _expression(builder, a, readings)):
        for right in (_Expression(b), _expression(builder, b, readings)):
            if left.source != right.source or builder.is_constant(left.source):
                continue
            first = len(left.steps)
            joined = (*left.steps, *_moved(right.steps, first, 0))
            last = Step(node.op, (first, first + len(right.steps) if right.steps else 0))
            nodes = (*left.nodes, *right.nodes)
            return _composed(builder, node, (*joined, last), left.source, nodes)
    return None


def _composed(
    builder: Rewriter, node: Node, steps: tuple[Step, ...], x: Value, nodes: tuple[Node, ...]
) -> Value | None:
    if len(steps) > _LONGEST or x.type != node.result.type:
        return None
    return builder.replace(node, Composed(steps), x, fused=nodes)


def _expression(builder: Rewriter, value: Value, readings: int) -> _Expression:
    """The value as a function of the operand of its producer, if it is read here only."""
    node = builder.producer_of(value, *_UNARY)
    source = None if node is None else node.operands[0]
    if node is None or source is None or builder.uses(value) != readings:
        return _Expression(value)
    if source.type != value.type or _is_absorbed(builder, node, source):
        return _Expression(value)
    return _Expression(source, _Expression(source).then(node), (node,))


def _moved(steps: tuple[Step, ...], by: int, source: int) -> tuple[Step, ...]:
    """Steps that stand behind `by` others, and whose operand has the number `source`."""
    return tuple(
        Step(step.op, tuple(number + by if number else source for number in step.operands))
        for step in steps
    )


def _is_absorbed(builder: Rewriter, node: Node, x: Value) -> bool:
    """Whether the output stage that makes x takes the node up."""
    before = builder.producer(x)
    fusing = before is not None and is_kind(before.op, Kind.FUSING) and builder.uses(x) == 1
    return fusing and isinstance(node.op, Relu | Clip)
