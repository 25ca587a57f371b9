"""Inputs that are scaled before they are quantized: which codes the host gives to the machine.

A quantizer of few codes behind ``a * x + b`` switches at thresholds in x that are equally far
apart. If codes of the input itself switch at all of them, a table of these codes is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ...ir import Graph, Node, Op, QuantParams, Value
from ...ir.ops.binary import Add, Mul, Sub
from ...ir.ops.composed import in_a_row
from ...ir.ops.grid import Bipolar
from ...ir.ops.unary import Affine, Clip, Identity, Relu, Unary
from ..registry import Kind, is_kind
from .site import read_once

_CODES = 256
_NEAR = 1e-5
_TINY_SCALE = 2.0**-100


@dataclass(frozen=True)
class Entry:
    """A quantizer behind an input: the moves in between, and the function from input to result."""

    input: Value
    moves: tuple[Node, ...]
    scale: float
    offset: float
    function: Unary
    sign: bool
    origin: tuple[str, ...]

    @property
    def is_plain(self) -> bool:
        """Whether nothing is computed."""
        return isinstance(self.function, Identity)


def find_entry(graph: Graph, quantize: Node) -> Entry | None:
    """The input behind scales, activations and moves that nothing else reads; None if no such."""
    value, moves = quantize.operands[0], list[Node]()
    functions, origin = list[Unary](), list[str]()
    while value not in graph.inputs:
        node = graph.producer(value)
        if node is None:
            return None
        function = _function(graph, node)
        if function is None and not is_kind(node.op, Kind.MOVING):
            return None
        if function is None:
            moves.append(node)
        elif read_once(graph, value):
            functions.append(function)
            origin.extend(node.origin)
        else:
            return None
        value = next(operand for operand in node.operands if graph.constant(operand) is None)
    found = _entry(value, tuple(reversed(moves)), functions[::-1])
    return None if found is None else replace(found, origin=tuple(dict.fromkeys(reversed(origin))))


def _entry(value: Value, moves: tuple[Node, ...], functions: list[Unary]) -> Entry | None:
    """None where a scale stands behind an activation, or the signs are not the last."""
    scale, offset, whole = 1.0, 0.0, Identity() if not functions else functions[0]
    activated = False
    for index, function in enumerate(functions):
        if isinstance(function, Affine):
            if activated:
                return None
            scale, offset = scale * function.scale, offset * function.scale + function.offset
        activated = activated or not isinstance(function, Affine)
        whole = function if index == 0 else in_a_row(whole, function)
    signs = [isinstance(function, Bipolar) for function in functions]
    if any(signs[:-1]) or not scale:
        return None
    return Entry(value, moves, scale, offset, whole, bool(signs and signs[-1]), ())


def _function(graph: Graph, node: Node) -> Unary | None:
    """What a node computes of its one operand, element by element."""
    if isinstance(node.op, Affine | Clip | Relu | Bipolar):
        return node.op
    if not isinstance(node.op, Add | Sub | Mul):
        return None
    constants = [graph.constant(operand) for operand in node.operands]
    numbers = [float(c.reshape(-1)[0]) for c in constants if c is not None and c.size == 1]
    if len(numbers) != 1 or node.result.type.shape != _computed(graph, node).type.shape:
        return None
    return _affine(node.op, numbers[0], constants[0] is not None)


def _computed(graph: Graph, node: Node) -> Value:
    return next(operand for operand in node.operands if graph.constant(operand) is None)


def _affine(op: Op, number: float, left: bool) -> Affine:
    if isinstance(op, Mul):
        return Affine(number, 0.0)
    if isinstance(op, Add):
        return Affine(1.0, number)
    return Affine(-1.0, number) if left else Affine(1.0, -number)


def input_codes(entry: Entry, output: QuantParams) -> QuantParams | None:
    """Codes of the input that switch wherever codes of the result do; None if there are none."""
    if entry.sign:
        return _sign_codes(-entry.offset / entry.scale)
    step = output.scale[0] / abs(entry.scale)
    zero = output.zero_point[0]
    ends = [(edge - zero) * output.scale[0] for edge in (output.low + 0.5, output.high - 0.5)]
    first, last = sorted((end - entry.offset) / entry.scale for end in ends)
    for parts in range(1, _CODES):
        scale = step / parts
        below = first / scale - 0.5
        above = last / scale + 0.5
        if max(above, 0) - min(below, 0) >= _CODES - 0.5:
            return None
        if abs(below - round(below)) < _NEAR:
            return _params(scale, round(below), round(above))
    return None


def _sign_codes(threshold: float) -> QuantParams:
    """Codes that switch at one threshold, which belongs to the upper side."""
    if threshold == 0:
        return _params(_TINY_SCALE, -1, 1)
    # Half a step lies at the threshold or, where it would be rounded down, just above half.
    scale = np.float32(abs(2 * threshold))
    if threshold > 0:
        return _params(float(np.nextafter(scale, np.float32(0))), 0, 1)
    return _params(float(scale), -1, 0)


def _params(scale: float, low: int, high: int) -> QuantParams:
    """Unsigned codes for the multiples `low` to `high` of a scale, and for 0."""
    low, high = min(low, 0), max(high, 0)
    bits = max(2, math.ceil(math.log2(high - low + 1)))
    return QuantParams((float(np.float32(scale)),), (-low,), None, bits, False)
