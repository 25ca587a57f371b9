"""How long operations take, roughly: enough to see which can run side by side."""

from __future__ import annotations

from math import prod

from imcc.isa import Target

from ..ir.graph import Node
from ..ir.ops.quant import Dequantize, Enter, Leave, Quantize
from ..ir.ops.quantized_dot import QDot
from ..ir.ops.rows import Rows
from ..ir.ops.spill import Spill
from ..ir.ops.tiled import Tiled
from ..mapping.bounds import Rounds, window_time
from ..mapping.plan import MatrixPlan
from ..mapping.tiled_graph import TiledGraph
from .parallel_order import Job
from .scratch import rows_of, windows_per_row
from .streamed import Streamed, whole_of
from .window import window_of

_NS_PER_US = 1000.0
_NOTHING = Job(0.0, ("no unit",))


def jobs(streamed: Streamed, target: Target) -> tuple[Job, ...]:
    """The time of each node in ns, on the arrays of its matrices or the vector unit of its core."""
    return tuple(_job(streamed, node, target) for node in streamed.graph.nodes)


def _job(streamed: Streamed, node: Node, target: Target) -> Job:
    if isinstance(node.op, Rows | Spill | Quantize | Enter | Dequantize | Leave):
        return _NOTHING
    vector = operation_time(node, target)
    if not isinstance(node.op, Tiled):
        return Job(vector, (streamed.cores[node.results[0].name],))
    whole, plan = whole_of(streamed.blocks, node), node.op.plan
    time = product_time(plan, rows_of(node) * windows_per_row(node), target)
    return Job(time + vector, tuple(dict.fromkeys((core, whole) for core in plan.cores())))


def product_time(plan: MatrixPlan, windows: int, target: Target) -> float:
    """Nanoseconds in which the arrays of a plan take so many windows."""
    matrix = plan.shards[0].matrix
    each = window_time(target, matrix.input_bits, target.array.cols)
    starts = len({tile.k for tile in matrix.tiles})
    return Rounds(matrix.copies, starts, each, target.timing.t_start_ns).time(windows)


def operation_time(node: Node, target: Target) -> float:
    """Nanoseconds of an operation on the vector unit; for a product, of what follows it there."""
    return vector_time(node, _elements(node), target)


def vector_time(node: Node, elements: int, target: Target) -> float:
    """Nanoseconds on the vector unit for so many elements, and to put together what it reads."""
    cycles = elements / target.core.vector_lanes * target.core.vector_cycles
    cycles += _moved_bytes(node, target) / target.timing.local_bytes_per_cycle
    return cycles * _NS_PER_US / target.timing.clock_mhz


def _elements(node: Node) -> int:
    """Elements that the vector unit works on."""
    result = sum(value.type.size for value in node.results)
    if isinstance(node.op, Tiled):
        return result
    window = window_of(node)
    if window is not None:
        return result * prod(window.kernel)
    if isinstance(node.op, QDot):
        return result * node.operands[0].type.shape[-1]
    return max(result, *(value.type.size for value in node.operands))


def _moved_bytes(node: Node, target: Target) -> int:
    """Bytes that are put together for a node, read and written."""
    types = [value.type for value in (*node.results, *node.operands[:1])]
    return 2 * sum(t.size * target.timing.moved(t.dtype.numpy.itemsize) for t in types)


def busy_times(tiled: TiledGraph) -> dict[int, float]:
    """The time of each core for its products, and for what they make, in ns."""
    busy = dict.fromkeys(range(tiled.target.chip.cores), 0.0)
    for node, _ in tiled.products():
        plans = tiled.plans(node)
        windows = -(-rows_of(node) * windows_per_row(node) // len(plans))
        for plan in plans:
            for core in plan.cores():
                busy[core] += product_time(plan, windows, tiled.target)
            busy[plan.home] += operation_time(node, tiled.target) / len(plans)
    return busy
