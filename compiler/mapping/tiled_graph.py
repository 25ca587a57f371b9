"""The tiled graph: every matrix product has its plan, every operation its core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from imcc.isa.bound import column_sums, is_lossless
from imcc.isa.matrix import Matrix, Tile
from imcc.isa.planes import held_columns, held_rows, row_edges, stacked
from imcc.isa.target import Target

from ..errors import VerificationError
from ..ir.graph import Graph, Node
from ..ir.ops.host import Host
from ..ir.ops.parallel_windows import QParallelConv
from ..ir.ops.quantized import QConv
from ..ir.ops.tiled import Tiled, shard_weights
from ..ir.types import TensorType
from .encoding import BlockWeights, block_planes, code_of
from .partition import ACCUMULATOR_LIMIT
from .plan import MatrixPlan, Shard
from .runs import LEAST_ROUNDS, STAGED_ROUNDS
from .shares import Footprint


@dataclass(frozen=True, eq=False)
class TiledGraph:
    """A graph whose products are `Tiled`, for `target`; `cores` maps result names to cores.

    A product may lie on several groups of cores, which share its rows: `groups` has the plans of
    all, by result name, the one of its operator first. All hold the same weights in the same
    rectangles, so that each computes what the operator says. Where `strips` has more than one for
    a product, group g makes the strip of columns g modulo that number. `footprints` says what
    holding each product once takes; it is empty where nobody shares products out.

    `stages` has the stage of each result where there are several: weights of a stage are written
    over those of the stages before it. `teams` are products whose groups lie on the same cores,
    so that what they hand on stays there. Runs of rows are `finer` than others where groups were
    dealt out for that.
    """

    graph: Graph
    target: Target
    cores: Mapping[str, int]
    groups: Mapping[str, tuple[MatrixPlan, ...]] = field(default_factory=dict)
    strips: Mapping[str, int] = field(default_factory=dict)
    footprints: Mapping[str, Footprint] = field(default_factory=dict)
    stages: Mapping[str, int] = field(default_factory=dict)
    teams: tuple[tuple[str, ...], ...] = ()
    finer: int = 1

    @classmethod
    def of(cls, graph: Graph, target: Target) -> TiledGraph:
        """The tiled graph of products that have their plans.

        Every other operation goes to the core of its first operand that has one, and operations
        that come before any product to the core of their first user.
        """
        cores: dict[str, int] = {}
        for node in graph.nodes:
            known = [cores[value.name] for value in node.operands if value.name in cores]
            if isinstance(node.op, Tiled):
                known = [node.op.plan.home]
            cores.update((result.name, known[0]) for result in node.results if known)
        return cls(graph, target, complete_cores(graph, cores))

    def stage_of(self, node: Node) -> int:
        """The stage in which a node runs."""
        return self.stages.get(node.results[0].name, 0)

    @property
    def stage_count(self) -> int:
        """How many stages there are."""
        return 1 + max(self.stages.values(), default=0)

    @property
    def rounds(self) -> int:
        """Parts that each of the groups of a product makes at least, where they take turns."""
        return LEAST_ROUNDS if self.stage_count == 1 else STAGED_ROUNDS

    @property
    def has_parallel_windows(self) -> bool:
        """Whether any convolution computes several windows at once."""
        return any(isinstance(op.product, QParallelConv) for _, op in self.products())

    def plans(self, node: Node) -> tuple[MatrixPlan, ...]:
        """The plans of all groups that hold a product."""
        assert isinstance(node.op, Tiled)
        return self.groups.get(node.result.name, (node.op.plan,))

    def all_plans(self) -> Iterator[tuple[Node, MatrixPlan]]:
        """Every plan of every product."""
        for node, _ in self.products():
            yield from ((node, plan) for plan in self.plans(node))

    def products(self) -> Iterator[tuple[Node, Tiled]]:
        """Nodes that are tiled products, in order."""
        for node in self.graph.nodes:
            if isinstance(node.op, Tiled):
                yield node, node.op

    def verify(self) -> None:
        """Raise `VerificationError` listing everything that breaks a rule of the mapping."""
        problems = [f"{node.label}: no core" for node in self.graph.nodes if self._homeless(node)]
        for node, op in self.products():
            for plan in self.plans(node):
                found = _plan_problems(node, op, plan, self.target)
                problems += [f"{node.label}: {text}" for text in found]
        problems += _overlaps(self)
        problems += self._stage_problems()
        problems += self._team_problems()
        if problems:
            raise VerificationError("the tiled graph is wrong:\n  " + "\n  ".join(problems))

    def _stage_problems(self) -> Iterator[str]:
        for node in self.graph.nodes:
            for operand in node.operands:
                made = self.stages.get(operand.name, 0)
                if made > self.stage_of(node):
                    yield f"{node.label}: it is in stage {self.stage_of(node)} and reads what " + (
                        f"stage {made} makes"
                    )

    def _team_problems(self) -> Iterator[str]:
        plans = {node.result.name: self.plans(node) for node, _ in self.products()}
        for team in self.teams:
            where = {
                (self.strips.get(name, 1), *(plan.cores() for plan in plans[name])) for name in team
            }
            if len(where) > 1:
                yield f"products {', '.join(team)} are a team and lie on different cores"

    def _homeless(self, node: Node) -> bool:
        core = self.cores.get(node.results[0].name, -1)
        return not 0 <= core < self.target.chip.cores


def complete_cores(graph: Graph, cores: Mapping[str, int]) -> dict[str, int]:
    """Give operations without a core that of their first user (0 where there is none)."""
    complete = {**cores, **_host_cores(graph, cores)}
    for node in reversed(graph.nodes):
        users = [user for result in node.results for user in graph.users(result)]
        core = complete[users[0].results[0].name] if users else 0
        for result in node.results:
            complete.setdefault(result.name, core)
    return complete


def _host_cores(graph: Graph, cores: Mapping[str, int]) -> dict[str, int]:
    """One core for all host nodes, so that what they hand each other is in order."""
    hosts = [node for node in graph.nodes if isinstance(node.op, Host)]
    known = [cores[node.results[0].name] for node in hosts if node.results[0].name in cores]
    core = known[0] if known else 0
    return {result.name: core for node in hosts for result in node.results}


def _plan_problems(node: Node, op: Tiled, plan: MatrixPlan, target: Target) -> Iterator[str]:
    outputs = op.outputs([operand.type for operand in node.operands])
    edge = 0
    for (n0, n1), shards in plan.blocks():
        if n0 != edge:
            yield f"outputs {edge}..{n0} are in no shard or in two"
        edge = n1
        yield from _channel_problems(op, node.operands[1].type, shards)
    if edge != outputs:
        yield f"shards end at output {edge} of {outputs}"
    if isinstance(op.product, QParallelConv) and len(plan.blocks()) > 1:
        yield "the outputs of its parallel windows are in several blocks"
    if plan.home not in plan.cores():
        yield f"its home, core {plan.home}, holds none of it"
    for shard in plan.shards:
        if shard.matrix.core != shard.core or shard.matrix.cols != shard.n1 - shard.n0:
            yield f"a shard and its matrix disagree: core {shard.core}, outputs {shard.n0}.."
        yield from _matrix_problems(shard.matrix, target)


def _channel_problems(op: Tiled, weight: TensorType, shards: tuple[Shard, ...]) -> Iterator[str]:
    """The shards of one output block take each input channel of its groups once."""
    if isinstance(op.product, QConv):
        per_group, group_outputs = weight.shape[1], weight.shape[0] // op.product.group
    else:
        per_group, group_outputs = weight.shape
    edge = shards[0].n0 // group_outputs * per_group
    last = ((shards[0].n1 - 1) // group_outputs + 1) * per_group
    for shard in sorted(shards, key=lambda shard: shard.c0):
        if shard.c0 != edge:
            yield f"input channels {edge}..{shard.c0} are in no shard or in two"
        edge = shard.c1
    if edge != last:
        yield f"shards end at input channel {edge} of {last}"


def _matrix_problems(matrix: Matrix, target: Target) -> Iterator[str]:
    if not 0 <= matrix.bound < ACCUMULATOR_LIMIT:
        yield f"accumulators can reach {matrix.bound:,}"
    if not 0 <= matrix.core < target.chip.cores:
        yield f"core {matrix.core} of {target.chip.cores}"
    if len(matrix.adcs) != len(matrix.slices):
        yield f"{len(matrix.adcs)} converters for {len(matrix.slices)} slices"
    for tile in matrix.tiles:
        if not _inside(tile, matrix, target):
            yield f"tile {tile} reaches beyond its array or its matrix"
    there = held_rows(matrix)[:, :, np.newaxis] & held_columns(matrix)[:, np.newaxis]
    for covered in _covered(matrix):
        if not (covered == there).all():
            yield "its tiles do not cover every weight exactly once"
            break
    if matrix.subtract_analog and _corners(matrix, False) != _corners(matrix, True):
        yield "a positive tile has no negative tile on the same columns"


def _covered(matrix: Matrix) -> Iterator[NDArray[np.int8]]:
    """How many tiles of each copy, slice and sign lie on each weight of the diagonal blocks."""
    signs = (False, True) if any(tile.negative for tile in matrix.tiles) else (False,)
    keys = list(product(range(matrix.copies), range(len(matrix.slices)), signs))
    tiles: dict[tuple[int, int, bool], list[Tile]] = {key: [] for key in keys}
    for tile in matrix.tiles:
        tiles[tile.copy, tile.slice, tile.negative].append(tile)
    for key in keys:
        covered = np.zeros(matrix.stack, np.int8)
        for tile in tiles[key]:
            covered[stacked(matrix, tile)] += 1
        yield covered


def _corners(matrix: Matrix, negative: bool) -> set[tuple[int, ...]]:
    """What a tile shares with the one that is subtracted from it in the same conversion."""
    return {
        (t.copy, t.array, t.k, t.rows, t.n, t.cols, t.slice)
        for t in matrix.tiles
        if t.negative is negative
    }


def _inside(tile: Tile, matrix: Matrix, target: Target) -> bool:
    return (
        tile.k + tile.rows <= matrix.rows
        and tile.n + tile.cols <= matrix.cols
        and 0 <= tile.array < target.core.arrays
        and 0 <= tile.row <= target.array.rows - tile.rows
        and 0 <= tile.col <= target.array.cols - tile.cols
    )


def _overlaps(tiled: TiledGraph) -> list[str]:
    taken: dict[tuple[int, int, int], np.ndarray] = {}
    problems = []
    shape = (tiled.target.array.rows, tiled.target.array.cols)
    for node, plan in tiled.all_plans():
        for shard in plan.shards:
            for tile in shard.matrix.tiles:
                place = (tiled.stage_of(node), shard.core, tile.array)
                cells = taken.setdefault(place, np.zeros(shape, bool))
                part = cells[tile.row : tile.row + tile.rows, tile.col : tile.col + tile.cols]
                if part.any():
                    problems.append(f"{node.label}: cells of core {shard.core} are taken: {tile}")
                part[...] = True
    return problems


@dataclass(frozen=True)
class LayerSummary:
    """What one product takes: a row of the mapping report.

    `arrays` counts arrays with at least one of its cells, `cells` its cells; `utilization` is
    the share of these arrays' cells that it fills. `row_blocks`, `slices` and `adc_steps` are
    those of the shard with the most row blocks. `windows` of a convolution are computed at once,
    along each spatial axis; it is empty for a matrix product.
    """

    label: str
    weights: int
    windows: tuple[int, ...]
    cores: int
    shards: int
    arrays: int
    cells: int
    utilization: float
    row_blocks: int
    slices: int
    adc_bits: int
    adc_steps: tuple[int, ...]
    lossless: bool


def summary(tiled: TiledGraph) -> tuple[LayerSummary, ...]:
    """One row a product, in order of the graph."""
    return tuple(_summarize(tiled, node, op) for node, op in tiled.products())


def _summarize(tiled: TiledGraph, node: Node, op: Tiled) -> LayerSummary:
    weight = tiled.graph.constants[node.operands[1].name]
    plans, array = tiled.plans(node), tiled.target.array
    shards = tuple(shard for plan in plans for shard in plan.shards)
    arrays = len({(s.core, tile.array) for s in shards for tile in s.matrix.tiles})
    cells = sum(tile.rows * tile.cols for s in shards for tile in s.matrix.tiles)
    widest = max(shards, key=_row_blocks).matrix
    return LayerSummary(
        label=node.label,
        weights=_weights(op, node.operands[1].type),
        windows=_windows(op),
        cores=len({shard.core for shard in shards}),
        shards=len(shards),
        arrays=arrays,
        cells=cells,
        utilization=cells / (arrays * array.rows * array.cols),
        row_blocks=_row_blocks(max(shards, key=_row_blocks)),
        slices=len(widest.slices),
        adc_bits=tiled.target.adc.bits,
        adc_steps=tuple(adc.step for adc in widest.adcs),
        lossless=all(_is_lossless(s, shard_weights(op.product, weight, s)) for s in shards),
    )


def _weights(op: Tiled, weight: TensorType) -> int:
    """Weights of a product, without the copies and zeros of parallel windows."""
    if not isinstance(op.product, QParallelConv):
        return weight.size
    outputs = weight.shape[0] // prod(op.product.parallel)
    return outputs * weight.shape[1] * prod(op.product.kernel(weight))


def _windows(op: Tiled) -> tuple[int, ...]:
    match op.product:
        case QParallelConv():
            return op.product.parallel
        case QConv():
            return (1,) * len(op.product.strides)
    return ()


def _is_lossless(shard: Shard, weights: BlockWeights) -> bool:
    cells = block_planes(code_of(shard.matrix), weights.distinct)
    return is_lossless(shard.matrix, column_sums(shard.matrix, cells))


def _row_blocks(shard: Shard) -> int:
    return len(row_edges(shard.matrix))
