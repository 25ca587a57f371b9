"""What a mapping in stages writes for every input."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from imcc.isa.cells import packed_bytes
from imcc.isa.matrix import Tile
from imcc.isa.matrix_cells import write_runs

from .stages import Cells, write_cost
from .tiled_graph import TiledGraph

_PJ_PER_UJ = 1e6
_NS_PER_US = 1e3
Place = tuple[int, int]  # core, array


@dataclass(frozen=True)
class Reload:
    """What is written for one input; nothing where there is one stage.

    Counted are all cells of arrays that more than one stage uses: the others are written once.
    `time_us` is that of all stages if nothing went on beside, by the formula of `stages`, and
    `energy_uj` that of writing. `cell_writes` is how often the most written cell is.
    """

    stages: int
    cells: int
    bytes: int
    time_us: float
    energy_uj: float
    cell_writes: int


def reload_of(tiled: TiledGraph) -> Reload:
    """Count what is written for one input."""
    written: dict[int, list[Cells]] = defaultdict(list)
    bits = tiled.target.array.cell_bits
    for stage, _, tiles in _reloaded(tiled):
        rows, cols = tiles[0].rows, sum(tile.cols for tile in tiles)
        written[stage].append(Cells(rows, rows * cols, rows * packed_bytes(cols, bits)))
    all_cells = [cells for several in written.values() for cells in several]
    costs = [write_cost(tiled.target, [(c, 1) for c in several]) for several in written.values()]
    return Reload(
        tiled.stage_count,
        sum(cells.cells for cells in all_cells),
        sum(cells.bytes for cells in all_cells),
        sum(cost.time for cost in costs) / _NS_PER_US,
        sum(cost.energy for cost in costs) / _PJ_PER_UJ,
        _most_writes(tiled),
    )


def _reloaded(tiled: TiledGraph) -> Iterator[tuple[int, Place, tuple[Tile, ...]]]:
    """Stage, place and tiles of each write to an array that several stages use."""
    writes = [
        (tiled.stage_of(node), (shard.core, tiles[0].array), tiles)
        for node, plan in tiled.all_plans()
        for shard in plan.shards
        for tiles in write_runs(shard.matrix)
    ]
    stages = Counter(place for _, place in {(stage, place) for stage, place, _ in writes})
    yield from (one for one in writes if stages[one[1]] > 1)


def _most_writes(tiled: TiledGraph) -> int:
    shape = (tiled.target.array.rows, tiled.target.array.cols)
    counts: dict[Place, np.ndarray] = {}
    for _, place, tiles in _reloaded(tiled):
        cells = counts.setdefault(place, np.zeros(shape, np.int32))
        for tile in tiles:
            cells[tile.row : tile.row + tile.rows, tile.col : tile.col + tile.cols] += 1
    return max((int(cells.max()) for cells in counts.values()), default=0)
