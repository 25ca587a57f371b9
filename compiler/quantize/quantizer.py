"""The state of one quantization: the graph on codes while it grows, for the rules to build with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imcc.isa.target import RequantMode

from ..ir import Array, DType, Graph, GraphBuilder, Node, Op, QuantParams, Value
from ..ir.ops.cast import Cast
from ..ir.ops.quant import Dequantize, DequantizeWhole, Enter, Leave, Quantize
from ..ir.ops.quantized import QUnary
from ..ir.ops.unary import Identity
from ..ir.requant import Requant, quantize
from ..ir.sketch import repeated
from .calibration import Method
from .parameters import range_params
from .plan import Bounds, Plan
from .registry import RULES
from .state import is_coded


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
        inputs = [self.builder.input(value.name, value.type) for value in self.graph.inputs]
        for value in inputs:
            coded = value.type.quant is not None  # an Enter stands behind it
            self._codes[value.name] = value if coded else self._begun(value)
        absorbed = self._plan.absorbed
        for node in self.graph.nodes:
            for value, codes in zip(node.results, self._on_codes(node, absorbed), strict=True):
                self._codes[value.name] = codes
        results = [
            self._ended(value, name)
            for value, name in zip(self.graph.outputs, self.graph.output_names, strict=True)
        ]
        return self.builder.finish(results, self.graph.output_names)

    def _on_codes(self, node: Node, absorbed: set[str]) -> tuple[Value, ...]:
        if node.results[0].name in absorbed:
            return (self._codes[node.operands[0].name],)
        if isinstance(node.op, Cast) and node.result.name in self._plan.indices:
            return (self._codes[node.operands[0].name],)
        if is_coded(node):
            return self._kept(node)
        made = RULES[type(node.op)].rule(self, node)
        return made if isinstance(made, tuple) else (made,)

    def _kept(self, node: Node) -> tuple[Value, ...]:
        """A node that is on codes already."""
        operands = [self._coded(operand) for operand in node.operands]
        names = [result.name for result in node.results]
        return self.builder.add_many(node.op, operands, names, node.origin)

    def _coded(self, value: Value) -> Value:
        """An operand of a node that is on codes already; constants are what they are."""
        if value.name not in self._codes:
            array = self.constant(value)
            self._codes[value.name] = self.builder.constant(array, value.name, value.type.quant)
        return self._codes[value.name]

    def is_raw(self, value: Value) -> bool:
        """Whether a value never becomes codes, because only the host has it."""
        return value.name in self._plan.raw

    def _begun(self, value: Value) -> Value:
        if self.is_raw(value):
            return value
        return self.builder.add(self._beginning(value), [value], value.name)

    def _ended(self, value: Value, name: str) -> Value:
        producer = self.graph.producer(value)
        if self.is_raw(value) or (producer is not None and isinstance(producer.op, Leave)):
            return self._codes[value.name]
        return self.builder.add(_ending(value), [self.codes(value)], name)

    def _beginning(self, value: Value) -> Op:
        """How an input comes to the machine: indices and truth values as they are, or as codes."""
        plain = value.name in self._plan.indices or value.type.dtype is DType.BOOL
        return Enter() if plain else Quantize(self.params(value))

    def params(self, value: Value) -> QuantParams:
        """Parameters of the codes of a float value."""
        return self._params[self._plan.root(value.name)]

    def codes(self, value: Value, params: QuantParams | None = None) -> Value:
        """The codes of an operand; constants are quantized, by default over their own range."""
        if value.name in self._codes:
            return self._codes[value.name]
        array = self.constant(value)
        return self.constant_codes(array, value.name, params)

    def codes_as(self, value: Value, params: QuantParams) -> Value:
        """The codes of an operand with these parameters: through a table where it has others."""
        codes = self.codes(value, params)
        if codes.type.quant == params:
            return codes
        return self.builder.add(QUnary(Identity(), params), [codes], f"{value.name}/as")

    def constant(self, value: Value) -> Array:
        """The array of a constant operand."""
        return self.graph.constants[value.name]

    def constant_codes(self, array: Array, name: str, params: QuantParams | None = None) -> Value:
        """A constant tensor as codes."""
        if params is None:
            params = range_params(array, self.options.activation_bits)
        codes = repeated(lambda part: quantize(part, params), array)
        return self.builder.constant(codes, name, params)

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


def _ending(value: Value) -> Op:
    """How codes leave the graph: truth values as they are, numbers in the type of the model."""
    dtype = value.type.dtype
    if dtype is DType.BOOL:
        return Leave()
    return Dequantize() if dtype.is_float else DequantizeWhole(dtype)
