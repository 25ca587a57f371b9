"""From a schedule to a program: cells first, then task by task."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from imcc.isa import (
    Binding,
    ElementType,
    Origin,
    Program,
    Space,
)
from imcc.isa.cells import pack_levels
from imcc.isa.instructions import Write

from ..ir.graph import Node, Value
from ..ir.ops.host import Host
from ..ir.ops.quant import Dequantize, Enter, Leave, Quantize
from ..ir.ops.rows import Rows
from ..ir.ops.tiled import Tiled, shard_weights
from ..schedule.stream_rows import Block
from ..schedule.task import Schedule, Task
from . import rules
from .bindings import codes_binding, host_view, raw_binding
from .cells import CellWrite, cell_writes
from .emitter import EMITTERS, Emitter
from .global_memory import linked_binding, linked_code, linked_host
from .probe import ValueProbe
from .view import logical_order, stream

__all__ = ["emit", "emit_with_probes", "rules"]


def emit(schedule: Schedule, notes: tuple[tuple[str, str], ...] = ()) -> Program:
    """Write the program of a schedule."""
    return emit_with_probes(schedule, notes)[0]


def emit_with_probes(
    schedule: Schedule, notes: tuple[tuple[str, str], ...] = ()
) -> tuple[Program, tuple[ValueProbe, ...]]:
    """Write the program, and say where each value can be found while it runs."""
    emitter = Emitter(schedule)
    inputs, outputs = _bind(emitter)
    origins: list[Origin] = []
    probes: list[ValueProbe] = []
    for task in schedule.tasks:
        origins += _traced(emitter, task, _write_cells)
    for task in schedule.tasks:
        origins += _traced(emitter, task, _write_task)
        probes += _probe(emitter, task)
    constants = emitter.constants.finish()
    base = len(constants)
    program = Program(
        schedule.target,
        {core: linked_code(code.finish(), base) for core, code in emitter.cores.items()},
        tuple(emitter.matrices),
        constants,
        tuple(linked_binding(binding, base) for binding in inputs),
        tuple(linked_binding(binding, base) for binding in outputs),
        base + emitter.memory.size,
        tuple(sorted(origins, key=lambda origin: (origin.core, origin.start))),
        notes,
        tuple(linked_host(host, base) for host in emitter.hosts),
    )
    return program, tuple(probes)


def _bind(emitter: Emitter) -> tuple[list[Binding], list[Binding]]:
    """Give inputs and outputs places in global memory behind the constants."""
    graph = emitter.graph
    found = {
        node.operands[0].name: _input(emitter, node)
        for node in graph.nodes
        if isinstance(node.op, Quantize | Enter)
    }
    for value in graph.inputs:
        if value.name not in found:  # only the host reads it, or nothing does
            found[value.name] = emitter.memory.place(raw_binding(value.name, value))
            emitter.raw[value.name] = [found[value.name]]
    outputs = [
        _output(emitter, value, name)
        for value, name in zip(graph.outputs, graph.output_names, strict=True)
    ]
    return [found[value.name] for value in graph.inputs], outputs


def _input(emitter: Emitter, node: Node) -> Binding:
    source, real = node.operands[0], isinstance(node.op, Quantize)
    binding = codes_binding(source.name, source.type.dtype, node.result, real)
    placed = emitter.memory.place(binding)
    emitter.bindings[source.name] = host_view(placed)
    return placed


def _output(emitter: Emitter, value: Value, name: str) -> Binding:
    producer = emitter.graph.producer(value)
    assert producer is not None
    if isinstance(producer.op, Host):
        raw = emitter.memory.place(raw_binding(name, value))
        emitter.raw.setdefault(value.name, []).append(raw)
        return raw
    assert isinstance(producer.op, Dequantize | Leave)
    real = isinstance(producer.op, Dequantize)
    binding = codes_binding(name, value.type.dtype, producer.operands[0], real)
    placed = emitter.memory.place(binding)
    emitter.bindings[value.name] = host_view(placed)
    return placed


def _traced(
    emitter: Emitter, task: Task, write: Callable[[Emitter, Task], None]
) -> Iterator[Origin]:
    """Run a writer and note which instructions it appended on which core."""
    emitter.touched.clear()
    write(emitter, task)
    for core, start in emitter.touched.items():
        stop = emitter.cores[core].position
        if stop > start and task.node.origin:
            yield Origin(core, start, stop, task.node.origin)


def _write_cells(emitter: Emitter, task: Task) -> None:
    """Write the weights of a product to its arrays, and enter its matrices in the table."""
    op, node = task.node.op, task.node
    if not isinstance(op, Tiled):
        return
    weights = emitter.graph.constants[node.operands[1].name]
    for shard in op.plan.shards:
        if not emitter.enter_matrix(shard.matrix):
            continue  # for an earlier part of the operation
        own = shard_weights(op.product, weights, shard)
        for write in cell_writes(shard.matrix, own):
            _write(emitter, shard.core, write)


def _write(emitter: Emitter, core: int, write: CellWrite) -> None:
    packed = pack_levels(write.levels, emitter.schedule.target.array.cell_bits)
    source = stream(Space.GLOBAL, ElementType.U8, emitter.constants.add(packed), [(packed.size, 1)])
    code = emitter.core(core)
    code.begin()
    columns = write.levels.shape[1]
    code.emit(Write(write.array, code.stream(source), write.row, write.col, columns))


def _write_task(emitter: Emitter, task: Task) -> None:
    """Write a task: transfers first, then the operation by its rule."""
    for core in task.cores:
        emitter.core(core).begin()
    for transfer in task.transfers if task.piece is None else ():
        value = next(v for v in task.node.operands if v.name == transfer.value)
        emitter.transfer(value, transfer.source, transfer.target)
    EMITTERS[type(task.node.op)](emitter, task)


def _probe(emitter: Emitter, task: Task) -> Iterator[ValueProbe]:
    if isinstance(task.node.op, Rows):
        return
    blocks = emitter.schedule.blocks
    for value in task.node.results:
        if value.type.quant is None or not emitter.schedule.has_buffer(value.name, task.core):
            continue
        walk = emitter.view(value, task.core).stream(logical_order(value.type.rank))
        pc = emitter.core(task.core).last_operation
        block = blocks.get(value.name, Block(value.name))
        place = (task.core, pc, walk, value.type.shape)
        yield ValueProbe(block.whole, *place, block.axes, block.starts)
