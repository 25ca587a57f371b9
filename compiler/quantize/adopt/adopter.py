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

from ...ir import Array, DType, Graph, GraphBuilder, Node, Op, QuantParams, Value
from ...ir.ops.binary import Add, Mul
from ...ir.ops.quant import Dequantize, Enter, Leave, Quantize
from ...ir.ops.quantized import QUnary
from ...ir.ops.unary import Identity
from ...ir.requant import Requant, quantize
from ..moves import move
from ..registry import Kind, is_kind
from .entry import find_entry, input_codes
from .site import (
    Chain,
    Datapath,
    Site,
    activated,
    biased_product,
    read_once,
    scaled_product,
)

Rule = Callable[["Adopter", Site], Value | None]


def adopt(graph: Graph, datapath: Datapath, notes: list[str]) -> Graph:
    """The graph with what is quantized on codes; `graph` itself if nothing is."""
    if not any(isinstance(node.op, Quantize | Dequantize) for node in graph.nodes):
        return graph
    return Adopter(graph, datapath, notes).run()


def unsigned(params: QuantParams) -> QuantParams:
    """The parameters of codes moved by half their range, where they are signed."""
    if not params.signed:
        return params
    return replace(params, zero_point=(params.zero_point[0] + _half(params),), signed=False)


def _half(params: QuantParams) -> int:
    return 1 << (params.bits - 1)


@dataclass(frozen=True)
class _Place:
    """A real value that becomes codes: their parameters, their name, and the node behind."""

    source: Value
    output: QuantParams
    name: str
    end: Node

    def site(self, chain: Chain) -> Site:
        """The operators before it, to be put on codes."""
        return Site(chain, self.output, self.name, self.end)


# The parameters of an output are found with the rule that makes its codes.
_ANY = QuantParams((1.0,), (0,), None, 8, False)


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
        self._entries: dict[tuple[str, QuantParams], Value] = {}

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
        bounds: tuple[float, float] = (site.bounds.low, site.bounds.high)
        if site.chain.sign is not None:
            bounds = (-output.scale[0], output.scale[0])
        low, high = (int(quantize(bound, output)) for bound in bounds)
        return Requant(output, low, high, self._datapath.mode, self._datapath.multiplier_bits)

    def wants_signed(self, site: Site) -> bool:
        """Whether all that reads the result takes signed codes, so that they are made at once."""
        if not site.output.signed or not isinstance(site.end.op, Quantize):
            return False
        value = site.end.result
        readers = self.graph.users(value)
        if self.graph.is_output(value):
            return False
        reals = [node.result for node in readers if isinstance(node.op, Dequantize)]
        users = [user for real in reals for user in self.graph.users(real)]
        return len(reals) == len(readers) and all(isinstance(u.op, Add | Mul) for u in users)

    def add(self, op: Op, operands: Sequence[Value], site: Site) -> Value:
        """The operator on codes, named as the codes of the model."""
        return self.builder.add(op, operands, site.name, site.chain.origin or site.end.origin)

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
        found = self.codes(value) or self._counted(value)
        if found is not None:
            return self.builder.add(Dequantize(), [found], value.name)
        return self._float(value)

    def _counted(self, value: Value) -> Value | None:
        """The codes of a real output of which every value is a code."""
        from .rules import adopt_output  # the rules need this class

        chain, node = scaled_product(self.graph, value), self.graph.producer(value)
        if chain is None or node is None or self.graph.users(value):
            return None
        return adopt_output(self, Site(chain, _ANY, f"{value.name}/codes", node))

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
            moved = self._moved_codes(producer, before)
            if moved is None:
                return None
            self._forms[moved.name, False] = moved
            self._moved[value.name] = moved.name
        return self._moved[value.name]

    def _moved_codes(self, node: Node, source: str) -> Value | None:
        """An operator on codes in place of real values; None where it reads more than them."""
        others = node.operands[1:]
        if any(self.graph.constant(operand) is None for operand in others):
            return None
        codes, name = self._form(source, signed=False), f"{node.result.name}/codes"
        return move(self.builder, self.graph, node, codes, name)

    def _known(self, codes: Value) -> bool:
        """Whether codes are there, or can be made of a constant."""
        if any((codes.name, signed) in self._forms for signed in (False, True)):
            return True
        array, params = self.graph.constant(codes), codes.type.quant
        if array is None or params is None or params.axis is not None or array.itemsize > 1:
            return False
        shift = _half(params) if params.signed else 0
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
        half = _half(value.type.quant)
        array = self.builder.array(value).astype(np.int16) - (half if signed else -half)
        codes = array.astype(np.int8 if signed else np.uint8)
        return self.builder.constant(codes, value.name, _with_sign(value.type.quant, signed))

    # -- nodes -------------------------------------------------------------------------------

    def _move(self, node: Node, source: Value, name: str) -> None:
        """An operator that the model itself applies to codes."""
        codes = self._form(source.name, signed=False)
        self._forms[name, False] = move(self.builder, self.graph, node, codes, name)

    def _quantize(self, node: Node) -> None:
        assert isinstance(node.op, Quantize)
        place = _Place(node.operands[0], node.op.output, node.result.name, node)
        made = self._adopted(place) or self._entered(node) or self._moved_after(node)
        made = made or self._quantized(node)
        assert made.type.quant is not None
        self._forms[node.result.name, made.type.quant.signed] = made

    def _moved_after(self, node: Node) -> Value | None:
        """The operator before moves of what is quantized behind them: its codes move instead."""
        assert isinstance(node.op, Quantize)
        value, moves = node.operands[0], list[Node]()
        while (moving := self._moving(value)) is not None:
            moves.append(moving)
            value = moving.operands[0]
        if not moves:
            return None
        codes = self._adopted(_Place(value, node.op.output, f"{value.name}/codes", moves[-1]))
        for index, moving in enumerate(reversed(moves)):
            if codes is None:
                return None
            last = index == len(moves) - 1
            name = node.result.name if last else f"{moving.result.name}/codes"
            codes = move(self.builder, self.graph, moving, codes, name)
        return codes

    def _moving(self, value: Value) -> Node | None:
        """The operator that only moves what it makes this value of, for one reader."""
        node = self.graph.producer(value)
        if node is None or not is_kind(node.op, Kind.MOVING) or not read_once(self.graph, value):
            return None
        plain = all(self.graph.constant(operand) is not None for operand in node.operands[1:])
        return node if plain else None

    def _adopted(self, place: _Place) -> Value | None:
        """The operator before a place on codes, in the first way that is possible."""
        from .rules import adopt_product, find_rule  # the rules need this class

        source = place.source
        if read_once(self.graph, source):
            for find in (biased_product, scaled_product):
                chain = find(self.graph, source)
                made = None if chain is None else adopt_product(self, place.site(chain))
                if made is not None:
                    return made
        chain = activated(self.graph, source)
        if chain is None or not (read_once(self.graph, source) or self.codes(source) is not None):
            return None
        rule = find_rule(chain.node.op)
        return None if rule is None else rule(self, place.site(chain))

    def _quantized(self, node: Node) -> Value:
        """A Quantize as it is."""
        assert isinstance(node.op, Quantize)
        op = Quantize(unsigned(node.op.output))
        return self.builder.add(op, [self._float(node.operands[0])], node.result.name, node.origin)

    def _entered(self, node: Node) -> Value | None:
        """Codes of an input, made before anything moves it, in the codes that the host makes."""
        assert isinstance(node.op, Quantize)
        entry, output = find_entry(self.graph, node), unsigned(node.op.output)
        if entry is None:
            return None
        params = output if entry.is_plain else input_codes(entry, node.op.output)
        if params is None:
            return None
        codes = self._input_codes(entry.input, params)
        for moving in entry.moves:
            name = f"{moving.result.name}/codes"
            codes = move(self.builder, self.graph, moving, codes, name)
        if entry.is_plain:
            return codes
        table = QUnary(entry.function, output)
        return self.builder.add(table, [codes], node.result.name, entry.origin or node.origin)

    def _input_codes(self, value: Value, params: QuantParams) -> Value:
        """The codes of an input with these parameters, once."""
        made = self._entries.get((value.name, params))
        if made is None:
            op, source = Quantize(params), self._float(value)
            made = self.builder.add(op, [source], f"{value.name}/codes")
            self._entries[value.name, params] = made
        return made

    # -- real values -------------------------------------------------------------------------

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
            names = [result.name for result in producer.results]
            made = self.builder.add_many(producer.op, operands, names, producer.origin)
            self._floats.update(zip(names, made, strict=True))
            return self._floats[value.name]
        source = producer.operands[0]
        held = self.graph.constant(source)
        if held is not None:
            codes = self.builder.constant(held, source.name, source.type.quant)
        else:
            codes = self._form(source.name, signed=False)
        return self.builder.add(Dequantize(), [codes], value.name, producer.origin)


def _with_sign(params: QuantParams, signed: bool) -> QuantParams:
    """The parameters of the same codes in signed or unsigned form."""
    zero = params.zero_point[0] + (-_half(params) if signed else _half(params))
    return replace(params, zero_point=(zero,), signed=signed)
