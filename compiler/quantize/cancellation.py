"""Sums whose terms cancel.

Calibration may find that ``a + b`` is a million times smaller than a and b. One step of an operand
is then many codes of the sum, and its scale words could not hold the ratio. Such a sum gets steps
that are a fixed part of its coarsest operand's: finer ones would tell nothing apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..ir import Graph, Node, QuantParams, Value
from ..ir.ops.binary import Add, Sub
from .parameters import range_params
from .plan import Plan
from .quantizer import Options
from .state import is_coded

_RATIO_BITS = 14


def with_coarse_sums(
    graph: Graph, plan: Plan, params: Mapping[str, QuantParams], options: Options
) -> dict[str, QuantParams]:
    """Parameters by root value, where no sum has steps below 2^-14 of an operand's.

    ``255 * ra + 255 * rb + 255`` then stays below 2^24. Multipliers of fewer than 16 bits hold
    smaller ratios.
    """
    found = dict(params)
    ratio = 2.0 ** min(_RATIO_BITS, options.multiplier_bits - 2)
    for node in graph.nodes:
        root = plan.root(node.results[0].name)
        if not _is_sum(node) or root in plan.fixed or root not in found:
            continue
        steps = (_step(graph, v, found.get(plan.root(v.name)), options) for v in node.operands)
        least = max(steps) / ratio
        if found[root].scale[0] < least:
            found[root] = replace(found[root], scale=(least,))
    return found


def _is_sum(node: Node) -> bool:
    return isinstance(node.op, Add | Sub) and not is_coded(node)


def _step(graph: Graph, value: Value, params: QuantParams | None, options: Options) -> float:
    """The scale of an operand, computed or constant."""
    array = graph.constant(value)
    if array is not None:
        params = range_params(array, options.activation_bits)
    return 0.0 if params is None else params.scale[0]
