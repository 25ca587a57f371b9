"""The state of one quantization: the graph on codes while it grows, for the rules to build with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imcc.isa.target import RequantMode

from ..ir import Array, Graph, GraphBuilder, Node, Op, QuantParams, Value
from ..ir.ops.quant import Dequantize, Quantize
from ..ir.requant import Requant, quantize
from .calibration import Method
from .parameters import activation_params
from .plan import Bounds, Plan
from .registry import RULES


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


class Quantizer:
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
            for value, codes in zip(node.results, self._on_codes(node, absorbed), strict=True):
                self._codes[value.name] = codes
        results = [
            self.builder.add(Dequantize(), [self.codes(value)], name)
            for value, name in zip(self.graph.outputs, self.graph.output_names, strict=True)
        ]
        return self.builder.finish(results, self.graph.output_names)

    def _on_codes(self, node: Node, absorbed: set[str]) -> tuple[Value, ...]:
        if node.results[0].name in absorbed:
            return (self._codes[node.operands[0].name],)
        made = RULES[type(node.op)].rule(self, node)
        return made if isinstance(made, tuple) else (made,)

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
