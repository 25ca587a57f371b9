"""Rows put together: loaded, received, copied or stored, each piece as soon as it is there."""

from __future__ import annotations

from imcc.isa.instructions import Load, Store

from ...ir.ops.rows import Rows
from ...ir.ops.spill import Spill
from ...schedule.task import Task, Transfer
from ..emitter import Emitter, emits
from ..view import View, memory_order, walkable


@emits(Rows)
def emit_rows(emitter: Emitter, task: Task) -> None:
    """Bring one operand's rows to their place in the result, on all cores that read it."""
    op, node, piece = task.node.op, task.node, task.piece
    assert isinstance(op, Rows)
    assert piece is not None
    if not emitter.schedule.has_buffer(node.result.name, task.cores[-1]):
        _store(emitter, task, _taken(emitter.view(node.operands[piece], task.core), op, piece))
        return
    for core in task.cores:
        _bring(emitter, task, core, _put(_target(emitter, task, core), op, piece))
        if task.begins:
            _fill_below(emitter, task, core)


def _taken(whole: View, op: Rows, piece: int) -> View:
    """What is taken of an operand."""
    for axis, (start, stop), _ in op.narrowed(piece):
        whole = whole.narrow(axis, start, stop - start)
    return whole


def _put(whole: View, op: Rows, piece: int) -> View:
    """Where in the result it is put."""
    for axis, _, (start, stop) in op.narrowed(piece):
        whole = whole.narrow(axis, start, stop - start)
    return whole


def _target(emitter: Emitter, task: Task, core: int) -> View:
    """The result; its halo is filled before the first piece comes."""
    if task.begins:
        return emitter.prepare(task.node.result, core)
    return emitter.view(task.node.result, core)


def _bring(emitter: Emitter, task: Task, core: int, target: View) -> None:
    op, piece = task.node.op, task.piece
    assert isinstance(op, Rows)
    assert piece is not None
    value = task.node.operands[piece]
    for move in task.transfers:
        if move.target == core:
            emitter.exchange(move.source, _sent(emitter, task, move), core, target)
            return
    order, code = memory_order(len(target.shape)), emitter.core(core)
    if emitter.schedule.has_buffer(value.name, core):
        source = _taken(emitter.view(value, core), op, piece)
        if source == target:
            return  # they are there already
        for to, at in walkable(order, target, source):
            emitter.copy(core, to.stream(order), at.stream(order))
        return
    producer = emitter.graph.producer(value)
    assert producer is not None
    name = value.name if isinstance(producer.op, Spill) else producer.operands[0].name
    given = _taken(emitter.bindings[name], op, piece)
    for to, at in walkable(order, target, given):
        code.operate(Load, [to.stream(order), at.stream(order)])


def _sent(emitter: Emitter, task: Task, move: Transfer) -> View:
    """What a core sends of an operand, or of a result where that has come already."""
    op, node, piece = task.node.op, task.node, task.piece
    assert isinstance(op, Rows)
    assert piece is not None
    if move.value == node.result.name:
        return _put(emitter.view(node.result, move.source), op, piece)
    return _taken(emitter.view(node.operands[piece], move.source), op, piece)


def _fill_below(emitter: Emitter, task: Task, core: int) -> None:
    """The halo behind the last row, where rows have slid up and left what was there before."""
    op, value = task.node.op, task.node.result
    assert isinstance(op, Rows)
    buffer = emitter.buffer(value, core)
    rows, row = buffer.layout.after[op.axes[0]], buffer.layout.strides[op.axes[0]]
    if not buffer.slides or not rows:
        return
    size = rows * row
    address = buffer.address + buffer.layout.size - size
    emitter.fill(core, address, size, buffer.layout.element, buffer.fill)


def _store(emitter: Emitter, task: Task, source: View) -> None:
    """Rows that leave the chip go to their place in the output; all who read them are outputs."""
    op, node, piece = task.node.op, task.node, task.piece
    assert isinstance(op, Rows)
    assert piece is not None
    order, code = memory_order(len(source.shape)), emitter.core(task.core)
    for user in emitter.graph.users(node.result):
        place = emitter.bindings[user.result.name]
        for axis, _, (at, end) in op.narrowed(piece):
            place = place.narrow(axis, at, end - at)
        for to, at_source in walkable(order, place, source):
            code.operate(Store, [to.stream(order), at_source.stream(order)])
