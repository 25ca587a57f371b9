"""How long operations take, roughly: enough to see which can run side by side."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from imcc.isa import Target

from ..ir.graph import Node, Value
from ..ir.ops.quant import Dequantize, Enter, Leave, Quantize
from ..ir.ops.quantized import QConv, QMatMul
from ..ir.ops.quantized_dot import QDot
from ..ir.ops.rows import Rows
from ..ir.ops.spill import Spill
from ..ir.ops.tiled import Tiled
from ..mapping.bounds import Rounds, window_time
from ..mapping.plan import MatrixPlan
from ..mapping.tiled_graph import TiledGraph
from .parallel_order import Job
from .scratch import WORD, rows_of, windows_per_row
from .streamed import Streamed, whole_of
from .window import product_of, window_of

_NS_PER_US = 1000.0
_NOTHING = Job(0.0, ("no unit",))


def jobs(streamed: Streamed, target: Target) -> tuple[Job, ...]:
    """The time of each node in ns, on the arrays of its matrices or the vector unit of its core."""
    return tuple(_job(streamed, node, target) for node in streamed.graph.nodes)


def _job(streamed: Streamed, node: Node, target: Target) -> Job:
    if isinstance(node.op, Rows | Spill | Quantize | Enter | Dequantize | Leave):
        return _NOTHING
    vector = vector_time(node, target)
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


def vector_time(node: Node, target: Target) -> float:
    """Nanoseconds beside arrays: of the vector unit or the local memory port, whichever is more.

    The result is sent as well, once.
    """
    moved = target.timing.moved
    passed = sum(count * moved(size) for count, size in _read_and_written(node))
    vector = _elements(node) / target.core.vector_lanes * target.core.vector_cycles
    cycles = max(vector, passed / target.timing.local_bytes_per_cycle)
    return cycles * _NS_PER_US / target.timing.clock_mhz + move_time(node.results[0], target)


def move_time(value: Value, target: Target) -> float:
    """Nanoseconds in which a value passes the port of a local memory."""
    cycles = _bytes(value, target) / target.timing.local_bytes_per_cycle
    return cycles * _NS_PER_US / target.timing.clock_mhz


def fetch_time(value: Value, target: Target) -> float:
    """Nanoseconds in which a value comes from the global memory."""
    cycles = _bytes(value, target) / target.timing.global_bytes_per_cycle
    return cycles * _NS_PER_US / target.timing.clock_mhz


def sums_time(value: Value, target: Target) -> float:
    """Nanoseconds in which sums pass it that are made, read, and added to others."""
    cycles = 4 * value.type.size * target.timing.moved(WORD) / target.timing.local_bytes_per_cycle
    return cycles * _NS_PER_US / target.timing.clock_mhz


def _read_and_written(node: Node) -> Iterator[tuple[int, int]]:
    """Elements that pass the port of local memory, and bytes of each."""
    yield from ((value.type.size, _size(value)) for value in node.results)
    if isinstance(product_of(node.op), QConv | QMatMul):
        yield node.results[0].type.size, WORD
    elif window_of(node) is not None or isinstance(node.op, QDot):
        yield _elements(node), _size(node.operands[0])
    else:
        yield from ((value.type.size, _size(value)) for value in node.operands)


def _elements(node: Node) -> int:
    """Elements that the vector unit works on."""
    result = sum(value.type.size for value in node.results)
    if isinstance(product_of(node.op), QConv | QMatMul):
        return result
    window = window_of(node)
    if window is not None:
        return result * prod(window.kernel)
    if isinstance(node.op, QDot):
        return result * node.operands[0].type.shape[-1]
    return max(result, *(value.type.size for value in node.operands))


def busy_times(tiled: TiledGraph) -> dict[int, float]:
    """The time of each core for its products, and for what they make, in ns."""
    busy = dict.fromkeys(range(tiled.target.chip.cores), 0.0)
    for node, _ in tiled.products():
        plans = tiled.plans(node)
        windows = -(-rows_of(node) * windows_per_row(node) // len(plans))
        for plan in plans:
            for core in plan.cores():
                busy[core] += product_time(plan, windows, tiled.target)
            busy[plan.home] += vector_time(node, tiled.target) / len(plans)
    return busy


def _bytes(value: Value, target: Target) -> int:
    return value.type.size * target.timing.moved(_size(value))


def _size(value: Value) -> int:
    return value.type.dtype.numpy.itemsize
