"""The stages of a compilation, each taken as far as it goes, without calibration data.

Activations are quantized with assumed ranges: between `-ASSUMED` and `ASSUMED`, or what a fused
activation leaves of that. Shapes, cells, arrays, cores and local memory do not depend on them.
Whether an accumulator can overflow does, a little, through the bias; compiling decides that.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from imcc.isa import Target

from ..diagnostics import Diagnostic
from ..errors import CapacityError, HostNeededError, UnsupportedError
from ..ir import Graph, GraphBuilder, Node, QuantParams, Value
from ..mapping import TiledGraph, TileOptions, tile
from ..options import CompileOptions
from ..passes import Instrument, Pass, PassContext, Pipeline
from ..passes.partition_host import PartitionHost
from ..passes.quantize import Quantize
from ..quantize.parameters import activation_params
from ..quantize.planning import plan_quantization, unsupported
from ..quantize.state import float_nodes, holds_codes
from ..schedule import ScheduleMode, map_for, memory_check, schedule
from ..work import expect_live
from .typical_weights import with_typical_weights

ASSUMED = 4.0
_LARGEST_MESH = 256  # rows and columns: as many as a target may have
_LARGEST_MEMORY = 1 << 20  # KiB, likewise


@dataclass
class Removals(Instrument):
    """Which pass removed the last trace of which ONNX node."""

    passes: dict[str, str] = field(default_factory=dict)

    def after(self, pass_: Pass, before: Graph, after: Graph) -> None:
        """Compare the origins on both sides."""
        gone = origins(before) - origins(after)
        self.passes.update(dict.fromkeys(gone, pass_.name))


@dataclass(frozen=True, eq=False)
class Stages:
    """What each stage gave.

    `lowest` is the graph of the last stage that was reached, `tiled` is None where no chip is large
    enough. `peak` is the most local memory that a core takes, None where that is not known.
    `rejected` are the nodes that cannot be quantized, with the reason.
    """

    imported: Graph
    lowest: Graph
    tiled: TiledGraph | None
    peak: int | None
    rejected: tuple[tuple[Node, str], ...]
    removed: dict[str, str]
    problems: tuple[Diagnostic, ...]
    notes: tuple[str, ...]


def origins(graph: Graph) -> set[str]:
    """The ONNX nodes that a graph still has."""
    return {name for node in graph.nodes for name in node.origin}


def run_stages(
    graph: Graph,
    target: Target,
    options: CompileOptions,
    whole: bool,
    hosts: Collection[str] = (),
) -> Stages:
    """Take a float graph as far as it goes; `whole` says that it is all of the model.

    Of a part the local memory is not computed: where it was cut off, values would stay alive.
    Raises `HostNeededError` where nodes must go to the host that are not among `hosts`.
    """
    legal, problems = legalise(graph, target, options, hosts), list[Diagnostic]()
    rest, rejected, context = legal.graph, legal.rejected, legal.context
    lowest, tiled, peak = rest, None, None
    expect_live(rest)
    try:
        if not holds_codes(rest) or float_nodes(rest):
            context.activations.update(assumed_activations(rest, options.activation_bits))
        lowest = Pipeline(legal.left, (legal.removals,), verify_each=False).run(rest, context)
        lowest = with_typical_weights(lowest)
        tiled = place(lowest, target, options, problems)
        if tiled is not None and whole and not rejected:
            peak = local_memory(tiled, options.schedule, problems)
    except UnsupportedError as error:
        if not rejected:  # else it says the same again
            problems.append(Diagnostic("IMC0400", str(error)))
    return Stages(
        graph,
        tiled.graph if tiled else lowest,
        tiled,
        peak,
        rejected,
        legal.removals.passes,
        tuple(problems),
        tuple(dict.fromkeys(context.notes)),
    )


@dataclass(frozen=True, eq=False)
class Legal:
    """A float graph without what cannot be quantized, and the passes that are left for it.

    `rejected` is what was cut out, with the reasons.
    """

    graph: Graph
    rejected: tuple[tuple[Node, str], ...]
    left: tuple[Pass, ...]
    context: PassContext
    removals: Removals


def legalise(
    graph: Graph, target: Target, options: CompileOptions, hosts: Collection[str]
) -> Legal:
    """Run the passes before quantization, and see what cannot be computed on codes.

    Raises `HostNeededError` where nodes must go to the host that are not among `hosts`.
    """
    passes = Pipeline.parse(options.passes()).passes
    first = next(i for i, pass_ in enumerate(passes) if isinstance(pass_, Quantize))
    front = [pass_ for pass_ in passes[:first] if not isinstance(pass_, PartitionHost)]
    context, removals = PassContext(target), Removals()
    floats = Pipeline(tuple(front), (removals,), verify_each=False).run(graph, context)
    floats = _partitioned(floats, context, hosts) if len(front) < first else floats
    rejected = unsupported(floats)
    rest = without(floats, [node for node, _ in rejected])
    return Legal(rest, tuple(rejected), passes[first:], context, removals)


def _partitioned(graph: Graph, context: PassContext, hosts: Collection[str]) -> Graph:
    """The graph with host partitions; as it is where nodes cannot even go to the host."""
    try:
        return PartitionHost().run(graph, context)
    except HostNeededError as error:
        if not error.reasons.keys() <= set(hosts):
            raise
        return graph


def without(graph: Graph, nodes: Collection[Node]) -> Graph:
    """The graph with these nodes cut out: their results become inputs, their operands outputs."""
    if not nodes:
        return graph
    cut = {result.name for node in nodes for result in node.results}
    builder = GraphBuilder(graph.name)
    new: dict[str, Value] = {v.name: builder.input(v.name, v.type) for v in graph.inputs}
    for node in nodes:
        new.update((r.name, builder.input(r.name, r.type)) for r in node.results)
    for node in graph.nodes:
        if node.results[0].name in cut:
            continue
        for operand in node.operands:
            array = graph.constant(operand)
            if array is not None and operand.name not in new:
                new[operand.name] = builder.constant(array, operand.name, operand.type.quant)
        operands = [new[operand.name] for operand in node.operands]
        names = [result.name for result in node.results]
        made = builder.add_many(node.op, operands, names, node.origin)
        new.update(zip(names, made, strict=True))
    read = [*graph.outputs, *(operand for node in nodes for operand in node.operands)]
    ends = list(dict.fromkeys(v.name for v in read if v.name in new and v.name not in cut))
    return builder.finish([new[name] for name in ends], ends)


def assumed_activations(graph: Graph, bits: int) -> dict[str, QuantParams]:
    """Parameters for every activation of a float graph, as calibration would find them."""
    plan = plan_quantization(graph, bits)
    values = [*graph.inputs, *(value for node in graph.nodes for value in node.results)]
    params = {plan.root(v.name): activation_params(-ASSUMED, ASSUMED, bits) for v in values}
    for name, bounds in plan.bounds.items():
        low, high = max(bounds.low, -ASSUMED), min(bounds.high, ASSUMED)
        if bounds.nodes and low <= 0.0 <= high:
            params[plan.root(name)] = activation_params(low, high, bits)
    return {**params, **plan.fixed}


def place(
    graph: Graph, target: Target, options: CompileOptions, problems: list[Diagnostic]
) -> TiledGraph | None:
    """The tiled graph; on a chip with more cores where this one is too small, which is a problem.

    None where no chip is large enough.
    """
    tile_options = TileOptions(options.adc, unfolding=options.unfolding)
    try:
        return map_for(graph, target, tile_options, options.schedule)
    except CapacityError as error:
        reason = str(error)
    mesh = {"mesh_rows": _LARGEST_MESH, "mesh_cols": _LARGEST_MESH}
    larger = target.model_copy(update={"chip": target.chip.model_copy(update=mesh)})
    fits = memory_check(graph, target, options.schedule)
    try:
        tiled = tile(graph, larger, tile_options, fits)
    except CapacityError:
        problems.append(Diagnostic("IMC0500", reason))
        return None
    problems.append(_too_large(tiled, target))
    return tiled


def arrays_used(tiled: TiledGraph) -> int:
    """How many arrays hold weights, those of all stages together."""
    held = [
        (tiled.stage_of(node), shard.core, tile.array)
        for node, plan in tiled.all_plans()
        for shard in plan.shards
        for tile in shard.matrix.tiles
    ]
    return len(set(held))


def cores_used(tiled: TiledGraph) -> int:
    """How many cores hold weights or compute something."""
    shards = [shard for _, plan in tiled.all_plans() for shard in plan.shards]
    return len({*tiled.cores.values(), *(shard.core for shard in shards)})


def _too_large(tiled: TiledGraph, target: Target) -> Diagnostic:
    found = (
        (arrays_used(tiled), target.chip.cores * target.core.arrays, "arrays"),
        (cores_used(tiled), target.chip.cores, "cores"),
    )
    short = " and ".join(
        f"{needed:,} {what}, target '{target.name}' has {have:,}: {needed - have:,} short"
        for needed, have, what in found
        if needed > have
    )
    return Diagnostic(
        "IMC0500",
        f"the network needs {short}" if short else "the network does not fit the chip",
        reason="weights, and with them feature maps, are spread over cores until each fits",
        help=(
            "a larger chip: --set chip.mesh_rows=..., core.arrays=..., array.rows=..., "
            "array.cols=...",
            "fewer weight bits: --weight-bits",
        ),
    )


def local_memory(tiled: TiledGraph, mode: ScheduleMode, problems: list[Diagnostic]) -> int | None:
    """The most bytes of local memory that a core takes; too many of them are a problem.

    None where no core can have as many.
    """
    target = tiled.target
    try:
        return max(schedule(tiled, mode).peak.values(), default=0)
    except CapacityError as error:
        first = str(error).split("\n")[0]
    core = target.core.model_copy(update={"local_memory_kib": _LARGEST_MEMORY})
    roomy = target.model_copy(update={"core": core})
    try:
        peaks = schedule(replace(tiled, target=roomy), mode).peak
    except CapacityError:  # more than any core can have
        problems.append(Diagnostic("IMC0500", first, help=("smaller feature maps",)))
        return None
    limit, most = target.core.local_memory_bytes, max(peaks.values())
    full = sum(peak > limit for peak in peaks.values())
    text = (
        f"{full} {'core' if full == 1 else 'cores'} must hold more than {limit:,} bytes of local "
        f"memory: the fullest needs {most:,}, {most - limit:,} short"
    )
    advice = "smaller feature maps, or more memory: --set core.local_memory_kib=..."
    problems.append(Diagnostic("IMC0500", text, reason=first, help=(advice,)))
    return most
