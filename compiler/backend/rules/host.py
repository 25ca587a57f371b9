"""Host partitions: codes go to global memory, the host runs, codes come back."""

from __future__ import annotations

from dataclasses import replace

from onnx import ValueInfoProto, helper, load_model_from_string

from imcc.isa import Binding, HostPartition
from imcc.isa.instructions import Host as HostInstruction
from imcc.isa.instructions import Load, Store

from ...ir.graph import Value
from ...ir.ops.host import Host
from ...ir.types import DType
from ...schedule.task import Task
from ..bindings import codes_binding, host_type, host_view, raw_binding
from ..emitter import Emitter, emits
from ..view import memory_order


@emits(Host)
def emit_host(emitter: Emitter, task: Task) -> None:
    """Store what the partition reads, run it, load what the machine reads of it."""
    op, node = task.node.op, task.node
    assert isinstance(op, Host)
    graph = load_model_from_string(op.model).graph
    inputs = [
        _renamed(_read(emitter, task, value), entry)
        for value, entry in zip(node.operands, graph.input, strict=True)
    ]
    outputs = [_places(emitter, task, value) for value in node.results]
    bindings = [
        _renamed(place, entry)
        for places, entry in zip(outputs, graph.output, strict=True)
        for place in places
    ]
    number = len(emitter.hosts)
    name = " + ".join(node.origin[:2]) + (" + ..." if len(node.origin) > 2 else "")
    emitter.hosts.append(HostPartition(name, op.model, tuple(inputs), tuple(bindings), node.origin))
    emitter.core(task.core).emit(HostInstruction(number))
    for value, places in zip(node.results, outputs, strict=True):
        if value.type.quant is not None:
            _load(emitter, task, value, places[0])


def _read(emitter: Emitter, task: Task, value: Value) -> Binding:
    """Where the host finds an operand: what it has already, or codes stored for it."""
    if value.name in emitter.raw:
        return emitter.raw[value.name][0]
    binding = emitter.memory.place(codes_binding(value.name, DType.F32, value))
    order = memory_order(value.type.rank)
    target, source = host_view(binding).stream(order), emitter.view(value, task.core).stream(order)
    emitter.core(task.core).operate(Store, [target, source])
    return binding


def _places(emitter: Emitter, task: Task, value: Value) -> list[Binding]:
    """Where the host puts a result: at the outputs that it is, or at a place of its own."""
    if value.type.quant is not None:
        return [emitter.memory.place(codes_binding(value.name, DType.F32, value))]
    if value.name not in emitter.raw:
        emitter.raw[value.name] = [emitter.memory.place(raw_binding(value.name, value))]
    return emitter.raw[value.name]


def _load(emitter: Emitter, task: Task, value: Value, binding: Binding) -> None:
    order = memory_order(value.type.rank)
    target = emitter.prepare(value, task.core).stream(order)
    source = host_view(binding).stream(order)
    emitter.core(task.core).operate(Load, [target, source])


def _renamed(binding: Binding, entry: ValueInfoProto) -> Binding:
    """The tensor as the partition's model knows it."""
    tensor = entry.type.tensor_type
    dtype = DType.of(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    shape = tuple(dim.dim_value for dim in tensor.shape.dim)
    return replace(binding, name=entry.name, shape=shape, dtype=host_type(entry.name, dtype))
