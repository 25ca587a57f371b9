"""Planning of a quantization, before any node is rewritten.

1. Relu and Clip behind a convolution, matrix product, sum, product or average pooling become
   clip bounds of its output stage, if nobody else reads the value before them.
2. Operators that only move values share the parameters of their operand.
3. Operands that are brought to the parameters of a result (of a concatenation, a maximum, a
   choice) have them from the start where nobody else reads them.
4. Softmax, the sigmoids and truth values have fixed ranges.
5. What a model quantizes itself has the model's own parameters: the real values of codes, and the
   value before a Quantize where nothing else fixes it. Operators on codes stay as they are.
"""

from __future__ import annotations

from ..errors import UnsupportedError
from ..ir import DType, Graph, Node, QuantParams, Value
from ..ir.ops.codes import TRUTH
from ..ir.ops.integer_products import DequantizeLinear, QuantizeLinear
from ..ir.ops.normalization import BatchNormalization, Softmax
from ..ir.ops.quant import Dequantize, Quantize
from ..ir.ops.unary import Clip, HardSigmoid, Relu, Sigmoid, Tanh
from . import rules
from .indices import is_index
from .plan import Bounds, Plan
from .raw import raw_values
from .registry import RULES, Kind, is_kind
from .state import is_coded

__all__ = ["plan_quantization", "rules", "unsupported"]


def plan_quantization(graph: Graph, bits: int) -> Plan:
    """Decide for a graph that is float, wholly or in part.

    Raises `UnsupportedError` naming every node that cannot be quantized.
    """
    _check_supported(graph)
    plan = Plan(indices=_indices(graph), raw=raw_values(graph))
    for value in graph.inputs:
        _fix_truth(value, plan)
    for node in graph.nodes:
        if is_coded(node):
            continue
        if is_kind(node.op, Kind.FUSING):
            _fuse(graph, node, plan)
        elif is_kind(node.op, Kind.MOVING):
            plan.shares[node.result.name] = node.operands[0].name
        _fix(node, bits, plan)
    for node in graph.nodes:
        if isinstance(node.op, Quantize):
            plan.fixed.setdefault(plan.root(node.operands[0].name), node.op.output)
    for node in reversed(graph.nodes):
        if is_kind(node.op, Kind.JOINING) and not is_coded(node):
            _share_joined(graph, node, plan)
    return plan


def _indices(graph: Graph) -> set[str]:
    values = (*graph.inputs, *(value for node in graph.nodes for value in node.results))
    return {value.name for value in values if is_index(graph, value)}


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
    if isinstance(node.op, Dequantize):
        assert node.operands[0].type.quant is not None
        plan.fixed[node.result.name] = node.operands[0].type.quant
    elif isinstance(node.op, Softmax | Sigmoid | HardSigmoid):
        plan.fixed[node.result.name] = QuantParams((1 / one,), (0,), None, bits, False)
    elif isinstance(node.op, Tanh):
        plan.fixed[node.result.name] = QuantParams((2 / one,), (one // 2,), None, bits, False)
    for value in node.results:
        _fix_truth(value, plan)


def _fix_truth(value: Value, plan: Plan) -> None:
    """Truth values have one form, unless they are moved, and so have it already."""
    if value.type.dtype is DType.BOOL and value.name not in plan.shares:
        plan.fixed[value.name] = TRUTH


def _share_joined(graph: Graph, node: Node, plan: Plan) -> None:
    """Operands of the type of the result; a mask beside them keeps its own parameters."""
    for operand in node.operands:
        if operand.type.dtype is not node.result.type.dtype:
            continue
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
        if not is_kind(producer.op, Kind.MOVING):
            return value
        value = producer.operands[0]


def unsupported(graph: Graph) -> list[tuple[Node, str]]:
    """The nodes of a float graph that cannot be quantized, each with the reason."""
    reasons = [(node, _reason(graph, node)) for node in graph.nodes]
    return [(node, reason) for node, reason in reasons if reason]


def _check_supported(graph: Graph) -> None:
    if not graph.batched:
        raise UnsupportedError(
            "the graph has no batch axis, which quantization needs; run add-batch-axis first"
        )
    problems = [
        f"  {node.label}: {type(node.op).__name__}{reason}" for node, reason in unsupported(graph)
    ]
    if problems:
        raise UnsupportedError("these nodes cannot be quantized:\n" + "\n".join(problems))


def _reason(graph: Graph, node: Node) -> str:
    """Why a node cannot be quantized; empty if it can be."""
    if is_coded(node):
        return ""
    if isinstance(node.op, BatchNormalization):
        return " is not folded; run fold-batch-norm and lower-batch-norm first"
    rule = RULES.get(type(node.op))
    if is_index(graph, node.results[0]):
        return ""
    if isinstance(node.op, QuantizeLinear | DequantizeLinear):
        return " of other codes than 8 bits with one constant scale has no integer form"
    if rule is None:
        return " has no integer form"
    if all(graph.constant(operand) is not None for operand in node.operands):
        return " has constant operands only; run fold-constants first"
    return rule.refuses(graph, node)
