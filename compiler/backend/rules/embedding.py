"""Embedding: rows of a table in global memory."""

from __future__ import annotations

from math import prod

from imcc.isa import Space
from imcc.isa.instructions import Gather

from ...ir.ops.embedding import QEmbedding
from ...schedule.layout import ELEMENTS
from ...schedule.task import Task
from ..emitter import Emitter, emits
from ..view import compact, logical_order, stream


@emits(QEmbedding)
def emit_embedding(emitter: Emitter, task: Task) -> None:
    """Gather the rows from the constants; only those that are named are read."""
    table, indices = task.node.operands
    array = emitter.graph.constants[table.name]
    element = ELEMENTS[table.type.dtype]
    row = [(prod(array.shape[1:]), element.size)]
    rows = [(len(array), prod(array.shape[1:]) * element.size)]
    source = stream(Space.GLOBAL, element, emitter.constants.add(array), rows, row)
    result = emitter.prepare(task.node.result, task.core)
    code = emitter.core(task.core)
    target = code.stream(result.stream(logical_order(len(result.shape))))
    chosen = emitter.view(indices, task.core).stream(logical_order(indices.type.rank))
    code.emit(Gather(target, code.stream(chosen), code.stream(source), len(compact(row))))
