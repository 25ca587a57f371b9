"""Where every ONNX node of a model runs, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from inspect import getdoc

from ..diagnostics import Diagnostic
from ..frontend.conversion import OnnxNode
from ..ir import Graph, Node, Op
from ..ir.ops.linear import Conv, MatMul
from ..ir.ops.quant import Dequantize, Quantize
from ..ir.ops.quantized import QConv, QMatMul
from ..ir.ops.tiled import Tiled
from ..quantize.registry import Kind, is_kind
from .stages import Stages, origins
from .trace import Trace

_PRODUCTS = (Conv, MatMul, QConv, QMatMul, Tiled)


class Where(StrEnum):
    """What computes an operator."""

    CROSSBAR = "crossbar"
    VECTOR = "vector unit"
    HOST = "host"
    FOLDED = "folded"
    BOUNDARY = "input-output"
    UNSUPPORTED = "not supported"
    UNKNOWN = "not checked"


@dataclass(frozen=True)
class Operator:
    """One ONNX node. `arrays` counts the arrays that hold weights of it, where it has any."""

    index: int
    node: str
    op_type: str
    where: Where
    why: str
    arrays: int | None = None


def place_operators(
    trace: Trace, stages: Stages, problems: Sequence[Diagnostic]
) -> tuple[Operator, ...]:
    """All nodes of a model in the order of the file."""
    reasons = {d.index: d.reason or d.message for d in problems if d.index is not None}
    held = _Held.of(stages)
    return tuple(
        Operator(node.index, node.label, node.op_type, *found)
        for node in trace.nodes
        for found in [_place(node, trace, stages, held, reasons)]
    )


@dataclass(frozen=True)
class _Held:
    """What became of the ONNX nodes, by their names.

    `holders` are the nodes that one became, or became part of; `products` are those that compute
    products, and `imported` all that had an operator after the import.
    """

    holders: Mapping[str, list[Node]]
    products: frozenset[str]
    imported: frozenset[str]

    @classmethod
    def of(cls, stages: Stages) -> _Held:
        """Look at the first and at the last graph."""
        products = (node for node in stages.imported.nodes if isinstance(node.op, _PRODUCTS))
        return cls(
            _holders(stages.lowest),
            frozenset(name for node in products for name in node.origin),
            frozenset(origins(stages.imported)),
        )


def _holders(graph: Graph) -> Mapping[str, list[Node]]:
    """The nodes that an ONNX node became, or became part of."""
    holders: dict[str, list[Node]] = defaultdict(list)
    for node in graph.nodes:
        for name in node.origin:
            holders[name].append(node)
    return holders


def _place(
    node: OnnxNode,
    trace: Trace,
    stages: Stages,
    held: _Held,
    reasons: Mapping[int, str],
) -> tuple[Where, str, int | None]:
    label = node.label
    if node.index in reasons:
        return Where.UNSUPPORTED, reasons[node.index], None
    if node.index in trace.unknown:
        return Where.UNKNOWN, "it needs the result of a node that is not supported", None
    on_host = [found for found in trace.hosted if found.index == node.index]
    if on_host:
        return Where.HOST, on_host[0].reason or on_host[0].message, None
    if node.index in trace.constant:
        return Where.FOLDED, "its result is constant", None
    if label in held.holders:
        return _computed(label, held.holders[label], held.products)
    if label in stages.removed:
        return Where.FOLDED, f"removed by pass {stages.removed[label]}", None
    if label in held.imported:
        return Where.UNKNOWN, "nothing that could be checked reads its result", None
    return Where.FOLDED, "nothing is left to compute", None


def _computed(
    label: str, holders: Sequence[Node], products_of: Collection[str]
) -> tuple[Where, str, int | None]:
    """What computes a node: the best of the nodes that it became."""
    own = [node for node in holders if leader(node, products_of) == label]
    if not own:
        return Where.FOLDED, f"part of {leader(holders[0], products_of)}", None
    products = [node for node in own if isinstance(node.op, _PRODUCTS)]
    if products:
        arrays = [len(set(_arrays(node.op))) for node in products if isinstance(node.op, Tiled)]
        shape = list(products[0].operands[1].type.shape)
        return Where.CROSSBAR, f"constant weights {shape}", sum(arrays) if arrays else None
    if all(isinstance(node.op, Quantize | Dequantize) for node in own):
        return Where.BOUNDARY, summary_of(own[0].op), None
    main = next((node for node in own if not is_kind(node.op, Kind.MOVING)), own[0])
    return Where.VECTOR, summary_of(main.op), None


def leader(node: Node, products: Collection[str]) -> str:
    """The ONNX node that gives a node its kind: the product among those fused, else the first."""
    return next((name for name in node.origin if name in products), node.origin[0])


def summary_of(op: Op) -> str:
    """What an operator does: the first sentence about its class."""
    first = (getdoc(op) or "").split("\n")[0]
    return first.replace("``", "").split(". ")[0].removesuffix(".")


def _arrays(op: Tiled) -> Iterator[tuple[int, int]]:
    for shard in op.plan.shards:
        yield from ((shard.core, tile.array) for tile in shard.matrix.tiles)
