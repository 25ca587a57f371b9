"""From a float graph to a graph on codes, with calibrated parameters.

Inputs are quantized, outputs dequantized, and everything between works on codes. One function an
operator class, in the table `_RULES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from imcc.isa.target import RequantMode

from ..errors import InputError, UnsupportedError
from ..ir import Array, Graph, GraphBuilder, Node, Op, QuantParams, Value
from ..ir.ops.binary import Add, Div, Mul, Sub
from ..ir.ops.exact_product import accumulator_bound
from ..ir.ops.linear import Conv, MatMul
from ..ir.ops.normalization import Softmax
from ..ir.ops.pooling import AveragePool, GlobalAveragePool
from ..ir.ops.quant import Dequantize, Quantize
from ..ir.ops.quantized import (
    QAdd,
    QAveragePool,
    QConcat,
    QConv,
    QGlobalAveragePool,
    QMatMul,
    QMul,
    QSoftmax,
    QUnary,
)
from ..ir.ops.shape import Concat, Pad
from ..ir.ops.unary import Affine, Identity
from ..ir.requant import Requant, quantize
from .calibration import Method, Statistics, calibrate, value_range
from .parameters import activation_params, product_codes
from .plan import MOVING, UNARY, Bounds, Plan, plan_quantization

_ACCUMULATOR_LIMIT = 1 << 31


@dataclass(frozen=True)
class Options:
    """How to quantize: widths of codes, how ranges are chosen, datapath of the output stage."""

    weight_bits: int = 8
    activation_bits: int = 8
    method: Method = Method.PERCENTILE
    percentile: float = 99.99
    requant: RequantMode = RequantMode.FLOAT24
    multiplier_bits: int = 24

    def __post_init__(self) -> None:
        """Raise `ValueError` for values out of range."""
        for name in ("weight_bits", "activation_bits"):
            if not 2 <= getattr(self, name) <= 8:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be in 2..8")
        if not 50 < self.percentile <= 100:
            raise ValueError(f"percentile is {self.percentile}; it must be in (50, 100]")
        if not 8 <= self.multiplier_bits <= 24:
            raise ValueError(f"multiplier_bits is {self.multiplier_bits}; it must be in 8..24")


def quantize_graph(
    graph: Graph, batches: Iterable[Mapping[str, Array]], options: Options | None = None
) -> Graph:
    """Quantize a float graph, calibrated on mini-batches of its inputs.

    Raises `UnsupportedError` naming every node that has no integer form, and `InputError` where
    the calibration data is empty or not finite.
    """
    options = options or Options()
    return quantize_with(graph, calibrate_activations(graph, batches, options), options)


def calibrate_activations(
    graph: Graph, batches: Iterable[Mapping[str, Array]], options: Options
) -> dict[str, QuantParams]:
    """Parameters of the codes of all activations, by the value that decides them."""
    plan = plan_quantization(graph, options.activation_bits)
    values = [*graph.inputs, *(value for node in graph.nodes for value in node.results)]
    roots = {plan.root(value.name) for value in values} - plan.fixed.keys()
    return _activations(graph, plan, calibrate(graph, batches, roots), options)


def quantize_with(graph: Graph, activations: Mapping[str, QuantParams], options: Options) -> Graph:
    """Quantize a float graph with parameters that `calibrate_activations` found for it.

    Raises `InputError` where a value has none.
    """
    plan = plan_quantization(graph, options.activation_bits)
    values = [*graph.inputs, *(value for node in graph.nodes for value in node.results)]
    missing = sorted({plan.root(value.name) for value in values} - activations.keys())
    if missing:
        raise InputError(f"no calibrated parameters for {', '.join(missing)}")
    return _Quantizer(graph, options, plan, activations).run()


def _activations(
    graph: Graph, plan: Plan, statistics: Mapping[str, Statistics], options: Options
) -> dict[str, QuantParams]:
    """Parameters by root value."""
    padding: dict[str, list[float]] = {}
    for node in graph.nodes:
        if isinstance(node.op, Pad) and math.isfinite(node.op.value):
            padding.setdefault(plan.root(node.result.name), []).append(node.op.value)
    inputs = {plan.root(value.name) for value in graph.inputs}
    # Scores that are clipped to the same code would make classes equal.
    outputs = {plan.root(value.name) for value in graph.outputs}
    params = dict(plan.fixed)
    for name, found in statistics.items():
        if name in inputs and found.whole:
            params[name] = _whole_params(found, options.activation_bits)
            continue
        bits = options.activation_bits
        method = Method.MIN_MAX if name in outputs else options.method
        low, high = value_range(found, method, options.percentile, bits)
        extra = padding.get(name, [])
        params[name] = activation_params(min(low, *extra, 0.0), max(high, *extra, 0.0), bits)
    return params


def _whole_params(found: Statistics, bits: int) -> QuantParams:
    """Inputs that are whole numbers are not clipped; bytes keep their own codes."""
    bytes_ = bits == 8 and found.low >= 0 and 127 < found.high <= 255
    high = 255.0 if bytes_ else max(found.high, 0.0)
    return activation_params(min(found.low, 0.0), high, bits)


class _Quantizer:
    """Builds the graph on codes; `codes` maps names of float values to values on codes."""

    def __init__(
        self, graph: Graph, options: Options, plan: Plan, params: Mapping[str, QuantParams]
    ) -> None:
        self.graph = graph
        self.options = options
        self._plan = plan
        self._params = params
        self.builder = GraphBuilder(graph.name)
        self._codes: dict[str, Value] = {}

    def run(self) -> Graph:
        """The graph on codes."""
        floats = [self.builder.input(value.name, value.type) for value in self.graph.inputs]
        for value in floats:
            quantized = Quantize(self.params(value))
            self._codes[value.name] = self.builder.add(quantized, [value], value.name)
        absorbed = self._plan.absorbed
        for node in self.graph.nodes:
            known = self._codes[node.operands[0].name] if node.result.name in absorbed else None
            self._codes[node.result.name] = known or _rule(node.op)(self, node)
        results = [
            self.builder.add(Dequantize(), [self.codes(value)], name)
            for value, name in zip(self.graph.outputs, self.graph.output_names, strict=True)
        ]
        return self.builder.finish(results, self.graph.output_names)

    def params(self, value: Value) -> QuantParams:
        """Parameters of the codes of a float value."""
        return self._params[self._plan.root(value.name)]

    def codes(self, value: Value, params: QuantParams | None = None) -> Value:
        """The codes of an operand; constants are quantized, by default over their own range."""
        if value.name in self._codes:
            return self._codes[value.name]
        array = self.constant(value)
        return self.constant_codes(array, value.name, params)

    def constant(self, value: Value) -> Array:
        """The array of a constant operand."""
        return self.graph.constants[value.name]

    def constant_codes(self, array: Array, name: str, params: QuantParams | None = None) -> Value:
        """A constant tensor as codes."""
        if params is None:
            low, high = min(float(array.min()), 0.0), max(float(array.max()), 0.0)
            params = activation_params(low, high, self.options.activation_bits)
        return self.builder.constant(quantize(array, params), name, params)

    def requant(self, node: Node) -> Requant:
        """The output stage of a node, with the activation fused into it."""
        params, bounds = self.params(node.result), self._bounds(node)
        low, high = (int(quantize(bound, params)) for bound in (bounds.low, bounds.high))
        return Requant(params, low, high, self.options.requant, self.options.multiplier_bits)

    def add(self, op: Op, operands: Sequence[Value], node: Node) -> Value:
        """The node on codes: named and attributed as the last node that it covers."""
        nodes = (node, *self._bounds(node).nodes)
        origin = [name for covered in nodes for name in covered.origin]
        return self.builder.add(op, operands, nodes[-1].result.name, origin)

    def _bounds(self, node: Node) -> Bounds:
        return self._plan.bounds.get(node.result.name, Bounds())


def _product(quantizer: _Quantizer, node: Node) -> Value:
    """Conv and MatMul: weights and bias become integers."""
    axis = 0 if isinstance(node.op, Conv) else 1
    x = quantizer.codes(node.operands[0])
    weights = quantizer.constant(node.operands[1])
    channels = weights.shape[axis]
    has_bias = len(node.operands) > 2
    bias = quantizer.constant(node.operands[2]) if has_bias else np.zeros(channels, np.float32)
    assert x.type.quant is not None
    bits = quantizer.options.weight_bits
    codes = product_codes(weights, bias, axis, bits, x.type.quant.scale[0])
    bound = accumulator_bound(x.type.quant, codes.weights, codes.bias, axis)
    if bound >= _ACCUMULATOR_LIMIT:
        raise UnsupportedError(
            f"{node.label}: an accumulator can reach {bound}, which does not fit 32 bits; "
            "use fewer weight or activation bits"
        )
    name = node.operands[1].name
    bias_name = node.operands[2].name if has_bias else f"{node.result.name}.bias"
    operands = (
        x,
        quantizer.builder.constant(codes.weights, name, codes.weight_params),
        quantizer.builder.constant(codes.bias, bias_name, codes.bias_params),
    )
    return quantizer.add(_product_op(node.op, quantizer.requant(node)), operands, node)


def _product_op(op: Op, requant: Requant) -> Op:
    if isinstance(op, Conv):
        return QConv(op.strides, op.pads, op.dilations, op.group, requant)
    return QMatMul(requant)


def _sum(quantizer: _Quantizer, node: Node) -> Value:
    """Add and Sub: the operand of full shape comes first, as onnxruntime orders them."""
    a, b = (quantizer.codes(operand) for operand in node.operands)
    if isinstance(node.op, Sub):
        b = _negated(quantizer, b)
    if a.type.shape != node.result.type.shape and b.type.shape == node.result.type.shape:
        a, b = b, a
    return quantizer.add(QAdd(quantizer.requant(node)), (a, b), node)


def _negated(quantizer: _Quantizer, x: Value) -> Value:
    """The negative of a tensor, exactly: codes and zero point are mirrored."""
    assert x.type.quant is not None
    mirrored = replace(x.type.quant, zero_point=(x.type.quant.high - x.type.quant.zero_point[0],))
    if quantizer.builder.is_constant(x):
        codes = (x.type.quant.high - quantizer.builder.array(x)).astype(np.uint8)
        return quantizer.builder.constant(codes, x.name, mirrored)
    return quantizer.builder.add(QUnary(Affine(-1.0, 0.0), mirrored), [x], f"{x.name}.negative")


def _multiply(quantizer: _Quantizer, node: Node) -> Value:
    a, b = (quantizer.codes(operand) for operand in node.operands)
    return quantizer.add(QMul(quantizer.requant(node)), (a, b), node)


def _divide(quantizer: _Quantizer, node: Node) -> Value:
    """Division by a constant: a product with its reciprocals."""
    a, b = node.operands
    divisor = quantizer.constant(b)
    if not divisor.all():
        raise UnsupportedError(f"{node.label}: divides by a constant that holds zeros")
    reciprocals = quantizer.constant_codes(np.float32(1) / divisor, b.name)
    return quantizer.add(QMul(quantizer.requant(node)), (quantizer.codes(a), reciprocals), node)


def _unary(quantizer: _Quantizer, node: Node) -> Value:
    op = QUnary(node.op, quantizer.params(node.result))
    return quantizer.add(op, (quantizer.codes(node.operands[0]),), node)


def _moving(quantizer: _Quantizer, node: Node) -> Value:
    x = quantizer.codes(node.operands[0])
    return x if isinstance(node.op, Identity) else quantizer.add(node.op, (x,), node)


def _concat(quantizer: _Quantizer, node: Node) -> Value:
    assert isinstance(node.op, Concat)
    output = quantizer.params(node.result)
    operands = [quantizer.codes(operand, output) for operand in node.operands]
    return quantizer.add(QConcat(node.op.axis, output), operands, node)


def _softmax(quantizer: _Quantizer, node: Node) -> Value:
    assert isinstance(node.op, Softmax)
    op = QSoftmax(node.op.axis, quantizer.params(node.result))
    return quantizer.add(op, (quantizer.codes(node.operands[0]),), node)


def _average(quantizer: _Quantizer, node: Node) -> Value:
    op, requant = node.op, quantizer.requant(node)
    x = quantizer.codes(node.operands[0])
    if isinstance(op, GlobalAveragePool):
        return quantizer.add(QGlobalAveragePool(requant), (x,), node)
    assert isinstance(op, AveragePool)
    pooled = QAveragePool(op.kernel, op.strides, op.pads, op.ceil, op.count_include_pad, requant)
    return quantizer.add(pooled, (x,), node)


_Rule = Callable[[_Quantizer, Node], Value]
_RULES: dict[type[Op], _Rule] = {
    Conv: _product,
    MatMul: _product,
    Add: _sum,
    Sub: _sum,
    Mul: _multiply,
    Div: _divide,
    AveragePool: _average,
    GlobalAveragePool: _average,
    Concat: _concat,
    Softmax: _softmax,
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(MOVING, _moving),
}


def _rule(op: Op) -> _Rule:
    return _RULES[type(op)]
