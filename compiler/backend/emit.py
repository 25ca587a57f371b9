"""From a schedule to a program: task by task, and cells as soon as their arrays are free."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby

from imcc.isa import (
    Binding,
    Origin,
    Program,
    Space,
    Target,
)
from imcc.isa.instructions import Barrier, Phase, Write, WriteMatrix

from ..errors import CapacityError
from ..ir.graph import Node, Value
from ..ir.ops.host import Host
from ..ir.ops.quant import Dequantize, Enter, Leave, Quantize
from ..ir.ops.rows import Rows
from ..ir.ops.spill import Spill
from ..ir.ops.tiled import Tiled, shard_weights
from ..mapping.plan import Shard
from ..schedule.layout import ELEMENTS, plain_layout
from ..schedule.order import is_spilled
from ..schedule.streamed import Block
from ..schedule.task import Schedule, Task
from . import rules
from .bindings import codes_binding, host_view, raw_binding
from .cells import packed_cells
from .emitter import EMITTERS, CellSource, Emitter
from .global_memory import linked_binding, linked_code, linked_host
from .probe import ValueProbe
from .reload import ShardWrite, reloads
from .view import View, logical_order

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
    writes = reloads(schedule)
    waiting = False  # whether something has been stored that a later phase loads
    for index, task in enumerate(schedule.tasks):
        if index and task.phase > schedule.tasks[index - 1].phase:
            if schedule.pipelined:
                emitter.meet(Phase())
            elif waiting:
                emitter.meet(Barrier(0))
            waiting = False
        for user, several in groupby(writes.get(index, ()), lambda write: write.task):
            origins += _traced(emitter, user, partial(_write_cells, writes=tuple(several)))
        origins += _traced(emitter, task, _write_task)
        probes += _probe(emitter, task)
        waiting |= is_spilled(schedule.graph, task.node)
    constants = emitter.constants.finish()
    base = len(constants)
    _check_global_memory(schedule.target, base, emitter.memory.size)
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


def _check_global_memory(target: Target, constants: int, places: int) -> None:
    have, needed = target.chip.global_memory_mib << 20, constants + places
    if needed > have:
        raise CapacityError(
            f"the program needs {needed:,} bytes of global memory, {constants:,} of them for "
            f"weights and other constants; target '{target.name}' has {have:,}: "
            f"{needed - have:,} short. Use more (--set chip.global_memory_mib={-(-needed >> 20)}) "
            "or fewer weight bits (--weight-bits)"
        )


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
    for node in graph.nodes:
        if isinstance(node.op, Spill):
            emitter.bindings[node.result.name] = _waiting(emitter, node.result)
    return [found[value.name] for value in graph.inputs], outputs


def _input(emitter: Emitter, node: Node) -> Binding:
    source, real = node.operands[0], isinstance(node.op, Quantize)
    binding = codes_binding(source.name, source.type.dtype, node.result, real)
    placed = emitter.memory.place(binding)
    emitter.bindings[source.name] = host_view(placed)
    return placed


def _waiting(emitter: Emitter, value: Value) -> View:
    """A place in global memory for codes as they lie in local memory."""
    layout = plain_layout(ELEMENTS[value.type.dtype], value.type.shape)
    base = emitter.memory.reserve(layout.size)
    return View(Space.GLOBAL, layout.element, base, layout.shape, layout.strides)


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


def _write_cells(emitter: Emitter, task: Task, writes: Sequence[ShardWrite]) -> None:
    """Write some weights of a product to their arrays."""
    for write in writes:
        _write(emitter, task, write)


def _write(emitter: Emitter, task: Task, write: ShardWrite) -> None:
    """Do one write; the first of a matrix enters it in the table."""
    matrix = write.shard.matrix
    if not emitter.has_matrix(matrix):
        emitter.enter_matrix(matrix, _source(emitter, task, write.shard))
    cells, code = emitter.cells(matrix), emitter.core(write.shard.core)
    code.begin()
    if write.number is None:
        code.operate(WriteMatrix, [cells.whole], emitter.matrix_id(matrix))
        return
    run, source = cells.run(write.number)
    code.operate(Write, [source], run.array, run.row, run.column, run.columns)


def _source(emitter: Emitter, task: Task, shard: Shard) -> CellSource:
    """Where the cells of a shard are; groups that hold the same weights alike have the same."""
    matrix, whole = shard.matrix, emitter.schedule.whole(task.node)
    anywhere = replace(shard, core=0, matrix=replace(matrix, core=0, tiles=()))
    key = (whole, anywhere, id(matrix.tiles))  # groups share their tiles
    found = emitter.sources.get(key)
    if found is None:
        op, weights = task.node.op, emitter.graph.constants[task.node.operands[1].name]
        assert isinstance(op, Tiled)
        held = shard_weights(op.product, weights, shard)
        bits = emitter.schedule.target.array.cell_bits
        base = emitter.constants.add(packed_cells(matrix, held, bits))
        found = emitter.sources[key] = CellSource(emitter.known_cells.of(matrix), base)
    return found


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
