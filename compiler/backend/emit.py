"""From a schedule to a program: cells first, then task by task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imcc.isa import (
    Binding,
    ElementType,
    Instruction,
    Origin,
    Program,
    Space,
    StreamState,
    Tile,
)
from imcc.isa.cells import pack_levels
from imcc.isa.instructions import Stream, Write

from ..ir.graph import Value
from ..ir.ops.quant import Dequantize, Enter, Leave, Quantize
from ..ir.ops.tiled import Tiled, shard_weights
from ..mapping.encoding import levels
from ..schedule.layout import ELEMENTS
from ..schedule.task import Schedule, Task
from . import rules
from .emitter import EMITTERS, Emitter
from .view import View, logical_order, stream

__all__ = ["ValueProbe", "emit", "emit_with_probes", "rules"]

_ALIGNMENT = 64
# Inputs and outputs lie behind the constants, whose size is known last; until then their
# addresses count from here.
_LINK_BASE = 1 << 39


@dataclass(frozen=True)
class ValueProbe:
    """Where a value of the graph can be read: after the last run of instruction `pc` on `core`.

    `stream` walks it in the order of the ONNX tensor.
    """

    value: str
    core: int
    pc: int
    stream: StreamState
    shape: tuple[int, ...]


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
    program = Program(
        schedule.target,
        {core: _linked(code.finish(), len(constants)) for core, code in emitter.cores.items()},
        tuple(emitter.matrices),
        constants,
        tuple(_linked_binding(binding, len(constants)) for binding in inputs),
        tuple(_linked_binding(binding, len(constants)) for binding in outputs),
        len(constants) + sum(_room(binding) for binding in (*inputs, *outputs)),
        tuple(sorted(origins, key=lambda origin: (origin.core, origin.start))),
        notes,
    )
    return program, tuple(probes)


def _bind(emitter: Emitter) -> tuple[list[Binding], list[Binding]]:
    """Give inputs and outputs places in global memory behind the constants."""
    graph = emitter.graph
    inputs: dict[str, Binding] = {}
    outputs: dict[str, Binding] = {}
    address = _LINK_BASE
    for node in graph.nodes:
        if isinstance(node.op, Quantize | Enter):
            real = isinstance(node.op, Quantize)
            binding = _binding(node.operands[0].name, node.result, address, real)
            inputs[node.operands[0].name] = binding
            emitter.bindings[node.operands[0].name] = _host_view(binding)
            address += _room(binding)
    for value, name in zip(graph.outputs, graph.output_names, strict=True):
        producer = graph.producer(value)
        assert producer is not None
        assert isinstance(producer.op, Dequantize | Leave)
        real = isinstance(producer.op, Dequantize)
        binding = _binding(name, producer.operands[0], address, real)
        outputs[name] = binding
        emitter.bindings[value.name] = _host_view(binding)
        address += _room(binding)
    return [inputs[value.name] for value in graph.inputs], list(outputs.values())


def _binding(name: str, codes: Value, address: int, real: bool) -> Binding:
    """Where the codes lie; with `real` the host has the real values, else the codes."""
    quant = codes.type.quant
    assert quant is not None
    return Binding(
        name,
        ELEMENTS[codes.type.dtype],
        codes.type.shape,
        address,
        quant.scale[0] if real else 0.0,
        quant.zero_point[0] if real else 0,
    )


def _host_view(binding: Binding) -> View:
    """A tensor in global memory, row-major as the host has it."""
    strides = [binding.element.size] * len(binding.shape)
    for axis in reversed(range(len(strides) - 1)):
        strides[axis] = strides[axis + 1] * binding.shape[axis + 1]
    return View(Space.GLOBAL, binding.element, binding.address, binding.shape, tuple(strides))


def _room(binding: Binding) -> int:
    return -(-binding.size // _ALIGNMENT) * _ALIGNMENT


def _linked_binding(binding: Binding, base: int) -> Binding:
    return replace(binding, address=binding.address - _LINK_BASE + base)


def _linked(code: tuple[Instruction, ...], base: int) -> tuple[Instruction, ...]:
    """The code with addresses of inputs and outputs, now that the constants' size is known."""
    return tuple(
        replace(i, base=i.base - _LINK_BASE + base)
        if isinstance(i, Stream) and i.space == Space.GLOBAL and i.base >= _LINK_BASE
        else i
        for i in code
    )


def _traced(
    emitter: Emitter, task: Task, write: Callable[[Emitter, Task], None]
) -> Iterator[Origin]:
    """Run a writer and note which instructions it appended on which core."""
    starts = {core: code.position for core, code in emitter.cores.items()}
    write(emitter, task)
    for core, code in emitter.cores.items():
        if code.position > starts[core] and task.node.origin:
            yield Origin(core, starts[core], code.position, task.node.origin)


def _write_cells(emitter: Emitter, task: Task) -> None:
    """Write the weights of a product to its arrays, and enter its matrices in the table."""
    op, node = task.node.op, task.node
    if not isinstance(op, Tiled):
        return
    weights = emitter.graph.constants[node.operands[1].name]
    for shard in op.plan.shards:
        emitter.matrix_ids[node.result.name, shard] = len(emitter.matrices)
        emitter.matrices.append(shard.matrix)
        own = shard_weights(op.product, weights, shard)
        for tile, cells in zip(shard.matrix.tiles, levels(shard.matrix, own), strict=True):
            _write_tile(emitter, shard.core, tile, cells)


def _write_tile(emitter: Emitter, core: int, tile: Tile, cells: NDArray[np.uint8]) -> None:
    packed = pack_levels(cells, emitter.schedule.target.array.cell_bits)
    source = stream(Space.GLOBAL, ElementType.U8, emitter.constants.add(packed), [(packed.size, 1)])
    code = emitter.core(core)
    code.emit(Write(tile.array, code.stream(source), tile.row, tile.col, tile.cols))


def _write_task(emitter: Emitter, task: Task) -> None:
    """Write a task: transfers first, then the operation by its rule."""
    for transfer in task.transfers:
        value = next(v for v in task.node.operands if v.name == transfer.value)
        emitter.transfer(value, transfer.source, transfer.target)
    EMITTERS[type(task.node.op)](emitter, task)


def _probe(emitter: Emitter, task: Task) -> Iterator[ValueProbe]:
    value = task.node.result
    if value.type.quant is None:
        return
    walk = emitter.view(value, task.core).stream(logical_order(value.type.rank))
    pc = emitter.core(task.core).last_operation
    yield ValueProbe(value.name, task.core, pc, walk, value.type.shape)
