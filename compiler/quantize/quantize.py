"""From a float graph to a graph on codes, with calibrated parameters.

Inputs are quantized, outputs dequantized, and everything between works on codes. What an operator
becomes is said by its rule in `rules`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from ..errors import InputError
from ..ir import Array, DType, Graph, QuantParams, Value
from ..ir.ops.quant import Leave
from ..ir.ops.shape import Pad
from .calibration import Method, Statistics, calibrate, value_range
from .cancellation import with_coarse_sums
from .parameters import activation_params
from .plan import Plan
from .planning import plan_quantization
from .quantizer import Options, Quantizer

_BYTE = 8

__all__ = ["Options", "calibrate_activations", "quantize_graph", "quantize_with"]


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
    """Parameters of the codes of all activations, by the value that decides them.

    Where the model fixes all of them, no sample is asked for.
    """
    plan = plan_quantization(graph, options.activation_bits)
    roots = _roots(graph, plan) - plan.fixed.keys()
    if not roots:
        return dict(plan.fixed)
    found = _activations(graph, plan, calibrate(graph, batches, roots), options)
    return with_coarse_sums(graph, plan, found, options)


def quantize_with(graph: Graph, activations: Mapping[str, QuantParams], options: Options) -> Graph:
    """Quantize a float graph with parameters that `calibrate_activations` found for it.

    Raises `InputError` where a value has none.
    """
    plan = plan_quantization(graph, options.activation_bits)
    missing = sorted(_roots(graph, plan) - activations.keys())
    if missing:
        raise InputError(f"no calibrated parameters for {', '.join(missing)}")
    return Quantizer(graph, options, plan, activations).run()


def _activations(
    graph: Graph, plan: Plan, statistics: Mapping[str, Statistics], options: Options
) -> dict[str, QuantParams]:
    """Parameters by root value."""
    padding: dict[str, list[float]] = {}
    for node in graph.nodes:
        if isinstance(node.op, Pad) and math.isfinite(node.op.value):
            padding.setdefault(plan.root(node.result.name), []).append(node.op.value)
    inputs = {plan.root(value.name) for value in graph.inputs}
    integers = {plan.root(value.name) for value in _values(graph) if not value.type.dtype.is_float}
    # Scores that are clipped to the same code would make classes equal.
    outputs = {plan.root(value.name) for value in graph.outputs}
    # The machine takes bytes as codes.
    byte_inputs = {plan.root(v.name) for v in graph.inputs if v.type.dtype is DType.U8}
    params = dict(plan.fixed)
    for name, found in statistics.items():
        if name in byte_inputs:
            params[name] = QuantParams((1.0,), (0,), None, 8, False)
            continue
        bits = options.activation_bits
        if name in integers:
            params[name] = _integer_params(found, bits)
            continue
        if name in inputs and found.whole:
            params[name] = _whole_params(found, bits)
            continue
        method = Method.MIN_MAX if name in outputs else options.method
        low, high = value_range(found, method, options.percentile, bits)
        extra = padding.get(name, [])
        params[name] = activation_params(min(low, *extra, 0.0), max(high, *extra, 0.0), bits)
    return params


def _roots(graph: Graph, plan: Plan) -> set[str]:
    """The values that decide parameters; codes have theirs."""
    reals = (value for value in _values(graph) if value.type.quant is None)
    return {plan.root(value.name) for value in reals} - plan.indices - plan.raw - _leaving(graph)


def _leaving(graph: Graph) -> set[str]:
    """Codes that leave as plain integers."""
    return {node.result.name for node in graph.nodes if isinstance(node.op, Leave)}


def _values(graph: Graph) -> list[Value]:
    return [*graph.inputs, *(value for node in graph.nodes for value in node.results)]


def _integer_params(found: Statistics, bits: int) -> QuantParams:
    """Integers count in ones where a byte reaches, however few bits other values have.

    They are classes and positions, of which no digit is less important.
    """
    low, high = min(int(found.low), 0), max(int(found.high), 0)
    if high - low >= 1 << _BYTE:
        return activation_params(low, high, bits)
    return QuantParams((1.0,), (-low,), None, _BYTE, False)


def _whole_params(found: Statistics, bits: int) -> QuantParams:
    """Inputs that are whole numbers are not clipped; bytes keep their own codes."""
    bytes_ = bits == 8 and found.low >= 0 and 127 < found.high <= 255
    high = 255.0 if bytes_ else max(found.high, 0.0)
    return activation_params(min(found.low, 0.0), high, bits)
