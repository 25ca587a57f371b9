"""What emission rules work with: cores' code, constants, matrices and the places of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from imcc.isa import (
    Binding,
    ElementType,
    HostPartition,
    Matrix,
    OutputStage,
    Rounding,
    Space,
    StreamState,
)
from imcc.isa.instructions import Copy, Fill, Load, Recv, Send
from imcc.isa.target import RequantMode

from ..ir.graph import Value
from ..ir.op import Array, Op
from ..ir.requant import Requant
from ..ir.types import DType
from ..mapping.plan import Shard
from ..schedule.layout import ELEMENTS, Layout, plain_layout
from ..schedule.task import Buffer, Schedule, Task
from ..schedule.window import Border, border_of, bordered
from .code import CoreCode
from .constants import ConstantPool
from .global_memory import GlobalMemory
from .view import View, memory_order, stream


class Emitter:
    """The program while it is written."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.graph = schedule.graph
        self.constants = ConstantPool()
        self.matrices: list[Matrix] = []
        self.matrix_ids: dict[tuple[str, Shard], int] = {}
        self.cores: dict[int, CoreCode] = {
            core: CoreCode() for core in sorted({c for t in schedule.tasks for c in t.cores})
        }
        self.bindings: dict[str, View] = {}
        self.memory = GlobalMemory()
        self.raw: dict[str, list[Binding]] = {}  # what only the host has: at outputs, or one place
        self.hosts: list[HostPartition] = []

    def core(self, core: int) -> CoreCode:
        """The code of a core."""
        return self.cores[core]

    def buffer(self, value: Value, core: int) -> Buffer:
        """Where a tensor lies on a core."""
        return self.schedule.buffer(value.name, core)

    def view(self, value: Value, core: int) -> View:
        """The tensor on a core, without its halo."""
        buffer = self.buffer(value, core)
        return layout_view(buffer.layout, buffer.address)

    def operand(self, task: Task, index: int) -> View:
        """Operand `index` where the task's result is made: a tensor, or a constant just loaded.

        A constant without a batch axis, which broadcasts, gets one.
        """
        value = task.node.operands[index]
        array = self.graph.constant(value)
        if array is None:
            return self.view(value, task.core)
        if array.ndim and array.shape[0] != 1:
            array = array[np.newaxis]
        layout = plain_layout(ELEMENTS[value.type.dtype], array.shape)
        view = layout_view(layout, task.address(f"operand{index}", task.core))
        stored = array.transpose(*memory_order(array.ndim), 0) if array.ndim > 1 else array
        self.load(task.core, view.base, np.ascontiguousarray(stored))
        return view

    def windowed(self, task: Task, core: int) -> View:
        """Operand 0 with the border that the node reads; index 0 is the first border element."""
        node = task.node
        value, border = node.operands[0], border_of(node, 0)
        buffer = self.buffer(value, core)
        held = Border(buffer.layout.before, buffer.layout.after, buffer.fill)
        if held.covers(border):
            view = layout_view(buffer.layout, buffer.address)
        else:
            view = self._padded_copy(task, core, value, border)
        origin = sum(b * s for b, s in zip(border.before, view.strides, strict=True))
        return View(view.space, view.element, view.base - origin, view.shape, view.strides)

    def prepare(self, value: Value, core: int) -> View:
        """The tensor's place on a core, its halo filled, ready to be written."""
        buffer = self.buffer(value, core)
        if buffer.layout.has_halo:
            self.fill(core, buffer.address, buffer.layout, buffer.fill)
        return layout_view(buffer.layout, buffer.address)

    def fill(self, core: int, address: int, layout: Layout, value: int) -> None:
        """Write `value` to a whole buffer."""
        count = layout.size // layout.element.size
        whole = stream(Space.LOCAL, layout.element, address, [(count, layout.element.size)])
        self.core(core).emit(Fill(self.core(core).stream(whole), value))

    def load(self, core: int, address: int, array: Array) -> StreamState:
        """Bring constant data to `address` of a core's local memory; returns its stream there."""
        element = ELEMENTS[DType.of(array.dtype)]
        axes = [(array.size, element.size)]
        source = stream(Space.GLOBAL, element, self.constants.add(array), axes)
        target = stream(Space.LOCAL, element, address, axes)
        code = self.core(core)
        code.emit(Load(code.stream(target), code.stream(source)))
        return target

    def copy(self, core: int, target: StreamState, source: StreamState) -> None:
        """Copy inside a core's local memory."""
        code = self.core(core)
        code.emit(Copy(code.stream(target), code.stream(source)))

    def transfer(self, value: Value, source: int, target: int) -> None:
        """Send a tensor from one core to another."""
        order = memory_order(value.type.rank)
        here = self.view(value, source).stream(order)
        there = self.prepare(value, target).stream(order)
        sender, receiver = self.core(source), self.core(target)
        sender.emit(Send(sender.stream(here), target, 0))
        receiver.emit(Recv(receiver.stream(there), source, 0))

    def _padded_copy(self, task: Task, core: int, value: Value, border: Border) -> View:
        layout = bordered(value.type, border)
        address = task.address("padded", core)
        self.fill(core, address, layout, border.fill)
        view = layout_view(layout, address)
        order = memory_order(value.type.rank)
        self.copy(core, view.stream(order), self.view(value, core).stream(order))
        return view


Emit = Callable[[Emitter, Task], None]
EMITTERS: dict[type[Op], Emit] = {}

_E = TypeVar("_E", bound=Emit)


def emits(op: type[Op]) -> Callable[[_E], _E]:
    """Register the rule that writes the instructions of an operator."""

    def register(rule: _E) -> _E:
        if op in EMITTERS:
            raise TypeError(f"{op.__name__} has two emission rules")
        EMITTERS[op] = rule
        return rule

    return register


def layout_view(layout: Layout, address: int) -> View:
    """The interior of a buffer in local memory."""
    base = address + layout.start
    return View(Space.LOCAL, layout.element, base, layout.shape, layout.strides)


def local_vector(element: ElementType, address: int, count: int) -> StreamState:
    """A run of elements in local memory."""
    return stream(Space.LOCAL, element, address, [(count, element.size)])


def output_stage(requant: Requant, *, biased: bool = False) -> OutputStage:
    """The output stage for a requantization; `biased` adds the zero point before rounding."""
    rounding = Rounding.FIXED_HALF_EVEN
    if requant.mode is RequantMode.FLOAT24:
        rounding = Rounding.FLOAT24_BIASED if biased else Rounding.FLOAT24
    zero_point = requant.output.zero_point[0]
    return OutputStage(zero_point, requant.low, requant.high, rounding)
