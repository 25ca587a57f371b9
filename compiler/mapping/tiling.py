"""From a quantized graph to a tiled graph: which core holds and computes what, and when.

All products are placed together where the chip has room for them (`placer`), else in stages, each
with the whole chip (`staging`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from imcc.isa.target import Network, Target

from ..errors import UnsupportedError
from ..ir.builder import GraphBuilder, rebuild
from ..ir.graph import Graph, Node, Value
from ..ir.ops.quantized import QConv, QMatMul
from ..ir.ops.tiled import Tiled
from .bounds import window_time
from .crowded import crowded_deals
from .deals import deals, different, interval
from .options import TileOptions
from .place import CoreSpace, Shape
from .placer import Deal, Fits, Placer
from .regions import Cutter
from .shares import Demands, Footprint, Room, Teams
from .staging import Mapped, Staging
from .teams import dealt_to_members, in_teams
from .tiled_graph import TiledGraph, complete_cores

# Of the arrays of a chip, what products are dealt copies of: less where that does not pack.
_PARTS = (1.0, 0.97, 0.94, 0.91, 0.88, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4)

Sharing = Callable[[Graph, Mapping[str, Footprint]], Demands]
Dealing = Callable[[Demands, Mapping[str, Cutter], Target], Iterable[Deal]]


def tile(
    graph: Graph,
    target: Target,
    options: TileOptions | None = None,
    fits: Fits | None = None,
    sharing: Sharing | None = None,
) -> TiledGraph:
    """Place every product of a quantized graph on the arrays of `target`.

    ``fits(nodes)`` says whether the operations of a core (those already there and one
    more) fit its local memory; a core with nothing on it takes any operation.
    ``sharing(graph, footprints)`` says what time products take; without it each is held once,
    else there are several groups and copies of the slow ones. A network that is larger than the
    chip goes in stages.

    Raises `CapacityError` where one product is larger than the chip (`cut_to_chip` cuts those),
    `UnsupportedError` where a product has no constant weights or could overflow its accumulators.
    """
    options = options or TileOptions()
    cutters = _cutters(graph, target, options)
    held = {name: footprint(cutter) for name, cutter in cutters.items()} if sharing else {}
    demands = sharing(graph, held) if sharing else None
    mapped = _at_once(graph, target, cutters, fits, options, demands)
    if mapped is None:
        mapped = Staging(graph, target, cutters, fits, options, demands).mapped()
    return _tiled(graph, target, held, mapped)


def tile_apart(
    graph: Graph,
    target: Target,
    options: TileOptions,
    fits: Fits,
    sharing: Sharing,
    dealing: Dealing,
) -> TiledGraph | None:
    """Place every product, no two on one array, by the first deal that fits; None without one.

    Other parameters are as for `tile`. Raises `UnsupportedError` as that does.
    """
    cutters = _cutters(graph, target, options)
    held = {name: footprint(cutter) for name, cutter in cutters.items()}
    for deal in dealing(sharing(graph, held), cutters, target):
        placer = Placer(target, cutters, fits, TileOptions(), deal)
        placer.add_all(graph.nodes)
        if placer.has_room():
            mapped = Mapped(
                placer.plans, placer.cores, placer.strips(), {}, placer.teams, deal.finer
            )
            return _tiled(graph, target, held, mapped)
    return None


def _tiled(
    graph: Graph, target: Target, held: Mapping[str, Footprint], mapped: Mapped
) -> TiledGraph:
    plans = mapped.plans

    def rule(builder: GraphBuilder, node: Node, operands: tuple[Value, ...]) -> Value | None:
        if node.results[0].name not in plans or not isinstance(node.op, QConv | QMatMul):
            return None
        tiled = Tiled(node.op, plans[node.result.name][0])
        return builder.add(tiled, operands, node.result.name, node.origin)

    cores = complete_cores(graph, mapped.cores)
    groups = {name: several for name, several in plans.items() if len(several) > 1}
    more = (groups, mapped.strips, held, mapped.stages, mapped.teams, mapped.finer)
    return TiledGraph(rebuild(graph, rule), target, cores, *more)


def _at_once(
    graph: Graph,
    target: Target,
    cutters: Mapping[str, Cutter],
    fits: Fits | None,
    options: TileOptions,
    demands: Demands | None,
) -> Mapped | None:
    """Everything on the chip together; None where it does not fit.

    Of several deals the one is taken whose busiest core promises the shortest interval.
    """
    array = target.array
    cells = target.chip.cores * target.core.arrays * array.rows * array.cols
    if sum(cutter.least_cells() for cutter in cutters.values()) > cells:
        return None
    best: Placed | None = None
    longest = inf
    for demanded, memory in _teamings(demands):
        if memory >= longest:
            break
        placed = _placed(graph, target, cutters, fits, options, demanded)
        if placed is not None and max(placed.interval, memory) < longest:
            best, longest = placed, max(placed.interval, memory)
    return None if best is None else best.mapped


def _teamings(demands: Demands | None) -> Iterator[tuple[Demands | None, float]]:
    """What is asked for with teams and without, each with the time of the global memory.

    Without them it is busy for longer, which counts only where there are any.
    """
    if demands is None or not demands.teams.members:
        yield demands, 0.0
    else:
        yield in_teams(demands), demands.teams.memory
        yield replace(demands, teams=Teams()), demands.teams.alone


@dataclass(frozen=True, eq=False)
class Placed:
    """A placement, and the interval that it promises."""

    mapped: Mapped
    interval: float


def _placed(
    graph: Graph,
    target: Target,
    cutters: Mapping[str, Cutter],
    fits: Fits | None,
    options: TileOptions,
    demands: Demands | None,
) -> Placed | None:
    """The placement of all products whose busiest core promises the shortest interval."""
    # All cores of a bus are equally near, and its chips have time rather than arrays to give out.
    beside = target.chip.network is Network.BUS
    best: tuple[Placer, int] | None = None
    shortest = inf
    for deal in _deals(demands, cutters, target, beside):
        least = interval(deal, deal.slowest, beside)
        # Deals of everything once promise no time: they are for chips on which nothing else packs.
        if best is not None and (not deal.slowest or least >= shortest):
            break
        if deal.teams and not deal.slowest:
            break
        placer = Placer(target, cutters, fits, TileOptions() if deal.shares else options, deal)
        placer.add_all(graph.nodes)
        found = interval(deal, placer.busiest, beside)
        if placer.has_room() and (best is None or found < shortest):
            best, shortest = (placer, deal.finer), found
    if best is None:
        return None
    placer, finer = best
    mapped = Mapped(placer.plans, placer.cores, placer.strips(), {}, placer.teams, finer)
    return Placed(mapped, shortest)


def _deals(
    demands: Demands | None, cutters: Mapping[str, Cutter], target: Target, beside: bool
) -> Iterator[Deal]:
    """Ways to deal out the whole chip, the last with nothing dealt."""
    chip = Room(target.chip.cores, target.core.arrays)
    if demands is not None:
        choices = different(demands, (replace(chip, part=p) for p in _PARTS))
        others = () if demands.teams.members else tuple(crowded_deals(demands, cutters, target))
        found = deals(demands, chip, choices, beside=beside, others=others)
        yield from dealt_to_members(found, demands)
    if demands is None or not demands.teams.members:
        yield Deal()


def footprint(cutter: Cutter) -> Footprint:
    """What holding a product once takes, on cores of its own."""
    whole, array = cutter.whole(), cutter.target.array
    parts = cutter.pieces() if whole is None else whole
    shapes = [part.cut.shapes for part in parts]
    taken = {shape: _taken(shape, cutter.target) for shape in set(shapes)}
    widest = max(min(cols, array.cols) for shape in taken for _, cols in shape)
    time = window_time(cutter.target, parts[0].cut.input_bits, widest)
    arrays = sum(len(taken[shape]) for shape in shapes)
    shared = max(max(counts.values(), default=1) for counts in taken.values())
    row_blocks = [part.cut.row_block_count for part in parts]
    starts = max(row_blocks) if whole is None else sum(row_blocks)
    of_rows = {(p.span.c0, p.span.c1): count for p, count in zip(parts, row_blocks, strict=True)}
    return Footprint(
        arrays,
        cores=len(parts) if whole is None else 1,
        window_time=time * shared,
        start_time=starts * cutter.target.timing.t_start_ns,
        row_blocks=sum(of_rows.values()),
        port_time=max(map(cutter.port_time, parts)),
    )


def _taken(shapes: Sequence[Shape], target: Target) -> Counter[int]:
    """Rectangles on each array that they take on an empty core; what shares one takes turns."""
    placed = CoreSpace.empty(target).place(shapes)
    if placed is None:
        return Counter(range(target.core.arrays))
    return Counter(place.array for place in placed[1])


def _cutters(graph: Graph, target: Target, options: TileOptions) -> dict[str, Cutter]:
    """How each product is cut, by the name of its result."""
    cutters = (cutter_of(graph, node, target, options) for node in graph.nodes)
    return {cutter.node.result.name: cutter for cutter in cutters if cutter is not None}


def cutter_of(graph: Graph, node: Node, target: Target, options: TileOptions) -> Cutter | None:
    """How a product is cut; None for other operations.

    Raises `UnsupportedError` where its weights are not constant.
    """
    if not isinstance(node.op, QConv | QMatMul):
        return None
    weight = graph.constant(node.operands[1])
    if weight is None:
        raise UnsupportedError(
            f"{node.label}: its weights are computed; arrays hold constant weights only"
        )
    return Cutter(node, node.op, weight, target, options.adc)
