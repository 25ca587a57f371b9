"""Where data enters and leaves: quantized inputs are loaded, results are stored."""

from __future__ import annotations

from imcc.isa.instructions import Load, Store

from ...ir.ops.quant import Dequantize, DequantizeWhole, Enter, Leave, Quantize
from ...ir.ops.spill import Spill
from ...schedule.task import Task
from ..emitter import Emitter, emits
from ..view import memory_order


@emits(Enter)
@emits(Quantize)
def emit_input(emitter: Emitter, task: Task) -> None:
    """Load the codes of a graph input; the host has quantized them, or given them as codes."""
    value = task.node.result
    if not emitter.schedule.has_buffer(value.name, task.core):
        return  # only rows of it are read, and each is loaded where it is put together
    order = memory_order(value.type.rank)
    source = emitter.bindings[task.node.operands[0].name].stream(order)
    target = emitter.prepare(value, task.core).stream(order)
    emitter.core(task.core).operate(Load, [target, source])


@emits(Leave)
@emits(Dequantize)
@emits(DequantizeWhole)
@emits(Spill)
def emit_output(emitter: Emitter, task: Task) -> None:
    """Store the codes of a graph output, or of what waits in global memory, unless rows did it."""
    value = task.node.operands[0]
    if not emitter.schedule.has_buffer(value.name, task.core):
        return  # its rows have been stored one after the other
    order = memory_order(value.type.rank)
    target = emitter.bindings[task.node.result.name].stream(order)
    source = emitter.view(value, task.core).stream(order)
    emitter.core(task.core).operate(Store, [target, source])
