"""Products that are larger than the whole chip, cut in products that are not.

Each has some of the outputs, and their results are joined. All compute what the whole one did: an
output channel depends on its own weights, bias and scale alone. A grouped convolution is cut in
runs of groups, each with its own channels of the input.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from imcc.isa.target import Target

from ..ir.builder import GraphBuilder, rebuild
from ..ir.graph import Graph, Node, Value
from ..ir.ops.quantized import QConcat, QConv, QMatMul
from ..ir.ops.shape import Slice
from .options import TileOptions
from .placer import Placer
from .regions import Cutter, ranges


def cut_to_chip(graph: Graph, target: Target, options: TileOptions) -> Graph:
    """The graph with products that fit the chip, one at a time; itself where all do.

    The weights of one output, or of one group, are not cut: what is left of a product may be too
    large even so.
    """
    counts = {
        node.results[0].name: count
        for node in graph.nodes
        if (count := _least_parts(graph, node, target, options)) > 1
    }
    if not counts:
        return graph

    def rule(builder: GraphBuilder, node: Node, operands: tuple[Value, ...]) -> Value | None:
        count = counts.get(node.results[0].name, 1)
        return _joined(builder, node, operands, count) if count > 1 else None

    return rebuild(graph, rule)


@dataclass(frozen=True)
class _Part:
    """A product with outputs [n0, n1): its operator, and the channels of a convolution's groups."""

    op: QConv | QMatMul
    n0: int
    n1: int
    channels: tuple[int, int] | None


def _least_parts(graph: Graph, node: Node, target: Target, options: TileOptions) -> int:
    """In how many parts each fits the chip; 1 for what cannot be cut so that it does."""
    if not isinstance(node.op, QConv | QMatMul) or graph.constant(node.operands[1]) is None:
        return 1
    units = _units(node)
    for count in range(1, units + 1):
        if _fits_alone(graph, node, target, options, _part(node, 0, -(-units // count))):
            return count
    return 1


def _fits_alone(
    graph: Graph, node: Node, target: Target, options: TileOptions, part: _Part
) -> bool:
    """Whether the chip has room for a part of a product, if it has nothing else."""
    weight = graph.constants[node.operands[1].name]
    own = weight[part.n0 : part.n1] if _axis(node) == 0 else weight[:, part.n0 : part.n1]
    cutter = Cutter(node, part.op, own, target, options.adc)
    array = target.array
    cells = target.chip.cores * target.core.arrays * array.rows * array.cols
    if cutter.least_cells() > cells:
        return False
    placer = Placer(target, {node.result.name: cutter}, None, TileOptions())
    placer.add(node)
    return placer.has_room()


def _units(node: Node) -> int:
    """Groups, or outputs where there is one group."""
    if isinstance(node.op, QConv) and node.op.group > 1:
        return node.op.group
    return node.operands[1].type.shape[_axis(node)]


def _part(node: Node, first: int, last: int) -> _Part:
    """The product of units [first, last)."""
    op = node.op
    if isinstance(op, QConv) and op.group > 1:
        outputs, channels = (node.operands[i].type.shape[1 - i] // op.group for i in (1, 0))
        span = (first * channels, last * channels)
        return _Part(replace(op, group=last - first), first * outputs, last * outputs, span)
    assert isinstance(op, QConv | QMatMul)
    return _Part(op, first, last, None)


def _joined(builder: GraphBuilder, node: Node, operands: tuple[Value, ...], count: int) -> Value:
    """A product in `count` parts."""
    parts = [_part(node, *span) for span in ranges(0, _units(node), count)]
    values = [_add(builder, node, operands, part) for part in parts]
    axis = 1 if isinstance(node.op, QConv) else node.result.type.rank - 1
    join = QConcat(axis, parts[0].op.requant.output)
    return builder.add(join, values, node.result.name, node.origin)


def _add(builder: GraphBuilder, node: Node, operands: tuple[Value, ...], part: _Part) -> Value:
    x, weights, bias = operands
    name = f"{node.result.name}.{part.n0}"
    if part.channels is not None:
        x = builder.add(_channels(x, part.channels), [x], f"{name}.x", node.origin)
    own = [
        _outputs(builder, weights, _axis(node), part),
        _outputs(builder, bias, 0, part),
    ]
    return builder.add(part.op, [x, *own], name, node.origin)


def _channels(x: Value, span: tuple[int, int]) -> Slice:
    """Some channels of a feature map."""
    starts, ends = [0] * x.type.rank, list(x.type.shape)
    starts[1], ends[1] = span
    return Slice(tuple(starts), tuple(ends), (1,) * x.type.rank)


def _outputs(builder: GraphBuilder, value: Value, axis: int, part: _Part) -> Value:
    """Some outputs of weights or biases, with their scales."""
    n0, n1, quant = part.n0, part.n1, value.type.quant
    array = builder.array(value)[(slice(None),) * axis + (slice(n0, n1),)]
    if quant is not None and quant.axis is not None:
        quant = replace(quant, scale=quant.scale[n0:n1], zero_point=quant.zero_point[n0:n1])
    return builder.constant(array, f"{value.name}.{n0}", quant)


def _axis(node: Node) -> int:
    """Along which axis of the weights the outputs lie."""
    return 0 if isinstance(node.op, QConv) else 1
