"""From a model's own quantization to operators on codes.

A quantized model has Dequantize before and Quantize behind each operator. `adopt` walks the graph
once. At each Quantize it looks back over Relu and Clip to an operator whose operands are all real
values of codes, and puts the operator on codes in its place (`rules`). Float nodes are copied only
where something that was not adopted still reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from imcc.isa.target import RequantMode

from ..ir import Array, DType, Graph, GraphBuilder, Node, Op, QuantParams, Value
from ..ir.ops.binary import Add, Mul
from ..ir.ops.linear import Conv, MatMul
from ..ir.ops.quant import Dequantize, Enter, Leave, Quantize
from ..ir.ops.quantized import QUnary
from ..ir.ops.unary import Clip, Identity, Relu
from ..ir.requant import Requant, quantize
from .plan import Bounds
from .registry import Kind, is_kind

_SHIFT = 128


@dataclass(frozen=True)
class Datapath:
    """The output stage of the target."""

    mode: RequantMode = RequantMode.FLOAT24
    multiplier_bits: int = 24


@dataclass(frozen=True)
class Site:
    """An operator to be put on codes: its node, what is fused behind it, and the result's codes.

    `bias` is the Add of a bias behind a product. `nodes` are all nodes covered, for their origin.
    """

    node: Node
    bias: Node | None
    bounds: Bounds
    quantize: Node

    @property
    def output(self) -> QuantParams:
        """The model's own parameters of the result."""
        assert isinstance(self.quantize.op, Quantize)
        return self.quantize.op.output

    @property
    def origin(self) -> tuple[str, ...]:
        """The ONNX nodes covered, without those that only quantize."""
        nodes = (self.node, *((self.bias,) if self.bias else ()), *self.bounds.nodes)
        return tuple(name for node in nodes for name in node.origin)


Rule = Callable[["Adopter", Site], Value | None]


def adopt(graph: Graph, datapath: Datapath, notes: list[str]) -> Graph:
    """The graph with what is quantized on codes; `graph` itself if nothing is."""
    if not any(isinstance(node.op, Quantize | Dequantize) for node in graph.nodes):
        return graph
    return Adopter(graph, datapath, notes).run()


def unsigned(params: QuantParams) -> QuantParams:
    """The parameters of 8-bit codes moved by 128, where they are signed."""
    if not params.signed:
        return params
    return replace(params, zero_point=(params.zero_point[0] + _SHIFT,), signed=False)


class Adopter:
    """Builds the graph on codes.

    Values of codes of the old graph are kept unsigned, and in their signed form where something
    asked for it.
    """

    def __init__(self, graph: Graph, datapath: Datapath, notes: list[str]) -> None:
        self.graph = graph
        self.builder = GraphBuilder(graph.name)
        self._datapath = datapath
        self._notes = notes
        self._forms: dict[tuple[str, bool], Value] = {}
        self._moved: dict[str, str] = {}
        self._floats: dict[str, Value] = {}

    def run(self) -> Graph:
        """The new graph."""
        for value in self.graph.inputs:
            self._input(value)
        for node in self.graph.nodes:
            if isinstance(node.op, Quantize):
                self._quantize(node)
            elif is_kind(node.op, Kind.MOVING) and node.result.type.quant is not None:
                self._move(node, node.operands[0], node.result.name)
        outputs = [self._output(value) for value in self.graph.outputs]
        return self.builder.finish(outputs, self.graph.output_names)

    # -- what rules ask for ----------------------------------------------------------------

    def codes(self, value: Value) -> Value | None:
        """The unsigned codes behind a real value; None if there are none."""
        name = self._name(value)
        return None if name is None else self._form(name, signed=False)

    def params(self, value: Value) -> QuantParams | None:
        """The model's own parameters of the codes behind a real value."""
        source = self._dequantized(value)
        return None if source is None else source.type.quant

    def signed_codes(self, value: Value) -> Value | None:
        """The codes behind a real value with the sign that the model gives them."""
        name, params = self._name(value), self.params(value)
        return None if name is None or params is None else self._form(name, params.signed)

    def constant(self, value: Value) -> tuple[Array, QuantParams] | None:
        """A dequantized constant as its codes and parameters."""
        producer = self.graph.producer(value)
        if producer is None or not isinstance(producer.op, Dequantize):
            return None
        array, params = self.graph.constant(producer.operands[0]), producer.operands[0].type.quant
        return None if array is None or params is None else (array, params)

    def requant(self, site: Site, output: QuantParams) -> Requant:
        """The output stage of an operator whose result has these parameters."""
        low, high = (int(quantize(bound, output)) for bound in (site.bounds.low, site.bounds.high))
        return Requant(output, low, high, self._datapath.mode, self._datapath.multiplier_bits)

    def wants_signed(self, site: Site) -> bool:
        """Whether all that reads the result takes signed codes, so that they are made at once."""
        if not site.output.signed:
            return False
        readers = [self.graph.users(site.quantize.result)]
        value = site.quantize.result
        if self.graph.is_output(value):
            return False
        reals = [node.result for node in readers[0] if isinstance(node.op, Dequantize)]
        users = [user for real in reals for user in self.graph.users(real)]
        return len(reals) == len(readers[0]) and all(isinstance(u.op, Add | Mul) for u in users)

    def add(self, op: Op, operands: Sequence[Value], site: Site) -> Value:
        """The operator on codes, named as the codes of the model."""
        origin = site.origin or site.quantize.origin
        return self.builder.add(op, operands, site.quantize.result.name, origin)

    def note(self, node: Node, reason: str) -> None:
        """Say why an operator stays in floats."""
        self._notes.append(f"{node.label}: {reason}")

    # -- values ------------------------------------------------------------------------------

    def _input(self, value: Value) -> None:
        entered = self.builder.input(value.name, value.type)
        if value.type.quant is None:
            self._floats[value.name] = entered
            return
        codes = self.builder.add(Enter(), [entered], value.name)
        self._forms[value.name, value.type.quant.signed] = codes

    def _output(self, value: Value) -> Value:
        """Codes leave as they are in the model, real values through a Dequantize."""
        if value.type.quant is not None:
            codes = self._form(value.name, value.type.quant.signed)
            return self.builder.add(Leave(), [codes], value.name)
        found = self.codes(value)
        if found is not None:
            return self.builder.add(Dequantize(), [found], value.name)
        return self._float(value)

    def _name(self, value: Value) -> str | None:
        """The name of the codes behind a real value, which may have been moved since."""
        producer = self.graph.producer(value)
        if producer is None:
            return None
        if isinstance(producer.op, Dequantize):
            source = producer.operands[0]
            return source.name if self._known(source) else None
        if not is_kind(producer.op, Kind.MOVING) or value.type.dtype is not DType.F32:
            return None
        if value.name not in self._moved:
            before = self._name(producer.operands[0])
            if before is None:
                return None
            name = f"{value.name}/codes"
            op, source_codes = producer.op, self._form(before, signed=False)
            moved = self.builder.add(op, [source_codes], name, producer.origin)
            self._forms[name, False] = moved
            self._moved[value.name] = name
        return self._moved[value.name]

    def _known(self, codes: Value) -> bool:
        """Whether codes are there, or can be made of a constant."""
        if any((codes.name, signed) in self._forms for signed in (False, True)):
            return True
        array, params = self.graph.constant(codes), codes.type.quant
        if array is None or params is None or params.axis is not None or array.itemsize > 1:
            return False
        shift = _SHIFT if params.signed else 0
        moved = (array.astype(np.int16) + shift).astype(np.uint8)
        constant = self.builder.constant(moved, codes.name, unsigned(params))
        self._forms[codes.name, False] = constant
        return True

    def _dequantized(self, value: Value) -> Value | None:
        """The codes of the old graph that a real value comes from."""
        producer = self.graph.producer(value)
        while producer is not None and is_kind(producer.op, Kind.MOVING):
            producer = self.graph.producer(producer.operands[0])
        if producer is None or not isinstance(producer.op, Dequantize):
            return None
        return producer.operands[0]

    def _form(self, name: str, signed: bool) -> Value:
        """Codes in the signed or unsigned form; the other form becomes it through a table."""
        found = self._forms.get((name, signed))
        if found is not None:
            return found
        other = self._forms[name, not signed]
        assert other.type.quant is not None
        if self.builder.is_constant(other):
            made = self._shifted_constant(other, signed)
        else:
            params = _with_sign(other.type.quant, signed)
            which = "signed" if signed else "unsigned"
            made = self.builder.add(QUnary(Identity(), params), [other], f"{name}/{which}")
        self._forms[name, signed] = made
        return made

    def _shifted_constant(self, value: Value, signed: bool) -> Value:
        assert value.type.quant is not None
        array = self.builder.array(value).astype(np.int16) - (_SHIFT if signed else -_SHIFT)
        codes = array.astype(np.int8 if signed else np.uint8)
        return self.builder.constant(codes, value.name, _with_sign(value.type.quant, signed))

    # -- nodes -------------------------------------------------------------------------------

    def _move(self, node: Node, source: Value, name: str) -> None:
        """An operator that the model itself applies to codes."""
        codes = self._form(source.name, signed=False)
        moved = codes
        if not isinstance(node.op, Identity):
            moved = self.builder.add(node.op, [codes], name, node.origin)
        self._forms[name, False] = moved

    def _quantize(self, node: Node) -> None:
        site = self._site(node)
        made = None if site is None else self._adopted(site)
        if made is None:
            made = self._quantized(node)
        assert made.type.quant is not None
        self._forms[node.result.name, made.type.quant.signed] = made

    def _quantized(self, node: Node) -> Value:
        """A Quantize as it is; one behind operators that only move an input goes before them."""
        assert isinstance(node.op, Quantize)
        op, value, moves = Quantize(unsigned(node.op.output)), node.operands[0], []
        producer = self.graph.producer(value)
        while producer is not None and is_kind(producer.op, Kind.MOVING):
            moves.append(producer)
            value = producer.operands[0]
            producer = self.graph.producer(value)
        if not moves or value not in self.graph.inputs:
            return self.builder.add(
                op, [self._float(node.operands[0])], node.result.name, node.origin
            )
        codes = self.builder.add(op, [self._float(value)], f"{value.name}/codes", node.origin)
        for move in reversed(moves):
            codes = self.builder.add(move.op, [codes], f"{move.result.name}/codes", move.origin)
        return codes

    def _adopted(self, site: Site) -> Value | None:
        from .adopt_rules import find_rule  # the rules need this class

        rule = find_rule(site.node.op)
        return None if rule is None else rule(self, site)

    def _site(self, node: Node) -> Site | None:
        """The operator before a Quantize, over activations that nothing else reads."""
        bounds, value = Bounds(), node.operands[0]
        fused: list[Node] = []
        producer = self.graph.producer(value)
        while (
            producer is not None
            and isinstance(producer.op, Relu | Clip)
            and self._only(value)
            and self.codes(producer.operands[0]) is None
        ):
            fused.append(producer)
            value = producer.operands[0]
            producer = self.graph.producer(value)
        if producer is None or not (self._only(value) or self.codes(value) is not None):
            return None
        for activation in reversed(fused):
            bounds = bounds.then(activation)
        product = self._biased(producer)
        if product is not None:
            return Site(product, producer, bounds, node)
        return Site(producer, None, bounds, node)

    def _biased(self, node: Node) -> Node | None:
        """The product before the Add of a constant bias."""
        if not isinstance(node.op, Add):
            return None
        for x, bias in (node.operands, node.operands[::-1]):
            product = self.graph.producer(x)
            constant = self.graph.constant(bias) is not None or self.constant(bias) is not None
            if not constant or product is None or not self._only(x):
                continue
            if isinstance(product.op, Conv | MatMul) and len(product.operands) == 2:
                return product
        return None

    def _only(self, value: Value) -> bool:
        """Whether one node reads the value, and it is no output."""
        return len(self.graph.users(value)) == 1 and not self.graph.is_output(value)

    def _float(self, value: Value) -> Value:
        """A real value of the new graph; copies the float nodes that it needs."""
        waiting = [value]
        while waiting:
            top = waiting[-1]
            if top.name in self._floats:
                waiting.pop()
                continue
            missing = [v for v in self._sources(top) if v.name not in self._floats]
            if missing:
                waiting += missing
            else:
                waiting.pop()
                self._floats[top.name] = self._copied(top)
        return self._floats[value.name]

    def _sources(self, value: Value) -> Sequence[Value]:
        producer = self.graph.producer(value)
        if producer is None or isinstance(producer.op, Dequantize):
            return ()
        return producer.operands

    def _copied(self, value: Value) -> Value:
        producer = self.graph.producer(value)
        if producer is None:
            array = self.graph.constants[value.name]
            return self.builder.constant(array, value.name, value.type.quant)
        if not isinstance(producer.op, Dequantize):
            operands = [self._floats[operand.name] for operand in producer.operands]
            return self.builder.add(producer.op, operands, value.name, producer.origin)
        source = producer.operands[0]
        held = self.graph.constant(source)
        if held is not None:
            codes = self.builder.constant(held, source.name, source.type.quant)
        else:
            codes = self._form(source.name, signed=False)
        return self.builder.add(Dequantize(), [codes], value.name, producer.origin)


def _with_sign(params: QuantParams, signed: bool) -> QuantParams:
    """The parameters of the same codes in signed or unsigned form."""
    zero = params.zero_point[0] + (-_SHIFT if signed else _SHIFT)
    return replace(params, zero_point=(zero,), signed=signed)
