"""What emission rules work with: cores' code, constants, matrices and the places of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

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
from imcc.isa.instructions import Barrier, Copy, Fill, Load, Phase, Recv, Send
from imcc.isa.matrix_cells import CellRun, MatrixCells
from imcc.isa.target import RequantMode

from ..ir.graph import Node, Value
from ..ir.op import Array, Op
from ..ir.requant import Requant
from ..ir.types import DType
from ..mapping.plan import Shard
from ..schedule.layout import ELEMENTS, Layout, plain_layout
from ..schedule.task import Buffer, Schedule, Task
from ..schedule.window import Border, border_of, bordered
from .cells import KnownCells
from .code import CoreCode
from .constants import ConstantPool
from .global_memory import GlobalMemory
from .view import View, memory_order, stream, walkable


class CellSource(NamedTuple):
    """The cells of a matrix, and where their packed levels begin in global memory."""

    cells: MatrixCells
    base: int

    @property
    def whole(self) -> StreamState:
        """The levels of all cells."""
        return packed_stream(self.base, self.cells.size)

    def run(self, number: int) -> tuple[CellRun, StreamState]:
        """One of the runs, and its levels."""
        run = self.cells.runs[number]
        return run, packed_stream(self.base + run.offset, run.size)


class Emitter:
    """The program while it is written."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.graph = schedule.graph
        self.constants = ConstantPool()
        self.known_cells = KnownCells(schedule.target.array.cell_bits)
        self.matrices: list[Matrix] = []
        self.cores: dict[int, CoreCode] = {
            core: CoreCode() for core in sorted({c for t in schedule.tasks for c in t.cores})
        }
        self.bindings: dict[str, View] = {}
        self.memory = GlobalMemory()
        self.raw: dict[str, list[Binding]] = {}  # what only the host has: at outputs, or one place
        self.hosts: list[HostPartition] = []
        self.touched: dict[int, int] = {}  # cores named since it was cleared, and where they were
        self.sources: dict[tuple[str, Shard, int], CellSource] = {}  # by product
        self._cells: list[CellSource] = []
        self._matrix_ids: dict[int, int] = {}  # by identity: matrices are large
        self._parameters: dict[str, tuple[Array, Array]] = {}
        self._present: set[tuple[str, int]] = set()  # constant data that cores hold, by content

    def core(self, core: int) -> CoreCode:
        """The code of a core."""
        code = self.cores[core]
        if core not in self.touched:
            self.touched[core] = code.position
        return code

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
        self.parameter(task, f"operand{index}", task.core, np.ascontiguousarray(stored))
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
        if buffer.layout.has_halo and not buffer.slides:
            self.fill(core, buffer.address, buffer.size, buffer.layout.element, buffer.fill)
        return layout_view(buffer.layout, buffer.address)

    def fill(self, core: int, address: int, size: int, element: ElementType, value: int) -> None:
        """Write `value` to `size` bytes."""
        whole = local_vector(element, address, size // element.size)
        self.core(core).operate(Fill, [whole], value)

    def load(self, core: int, address: int, array: Array) -> StreamState:
        """Bring constant data to `address` of a core's local memory; returns its stream there."""
        element = ELEMENTS[DType.of(array.dtype)]
        axes = [(array.size, element.size)]
        source = stream(Space.GLOBAL, element, self.constants.add(array), axes)
        target = stream(Space.LOCAL, element, address, axes)
        self.core(core).operate(Load, [target, source])
        return target

    def meet(self, instruction: Barrier | Phase) -> None:
        """Let all cores wait for each other."""
        for code in self.cores.values():
            code.emit(instruction)

    def has_matrix(self, matrix: Matrix) -> bool:
        """Whether a matrix has been entered."""
        return id(matrix) in self._matrix_ids

    def enter_matrix(self, matrix: Matrix, cells: CellSource) -> None:
        """Give a matrix a number; `cells` are what its writes take from global memory."""
        self._matrix_ids[id(matrix)] = len(self.matrices)
        self.matrices.append(matrix)
        self._cells.append(cells)

    def cells(self, matrix: Matrix) -> CellSource:
        """What the writes of a matrix take."""
        return self._cells[self.matrix_id(matrix)]

    def matrix_id(self, matrix: Matrix) -> int:
        """The number of a matrix that has been entered."""
        return self._matrix_ids[id(matrix)]

    def remembered(
        self, node: Node, make: Callable[[Emitter, Node], tuple[Array, Array]]
    ) -> tuple[Array, Array]:
        """Bias and scales of a product, which are the same for all its parts."""
        whole = self.schedule.whole(node)
        if whole not in self._parameters:
            self._parameters[whole] = make(self, node)
        return self._parameters[whole]

    def parameter(self, task: Task, name: str, core: int, array: Array) -> StreamState:
        """Constant data of a task, loaded unless an earlier task has left it in its place."""
        place = task.place(name, core)
        if (place.content, core) in self._present:
            element = ELEMENTS[DType.of(array.dtype)]
            return local_vector(element, place.address, array.size)
        if place.content:
            self._present.add((place.content, core))
        return self.load(core, place.address, array)

    def copy(self, core: int, target: StreamState, source: StreamState) -> None:
        """Copy inside a core's local memory."""
        self.core(core).operate(Copy, [target, source])

    def transfer(self, value: Value, source: int, target: int) -> None:
        """Send a tensor from one core to another."""
        self.exchange(source, self.view(value, source), target, self.prepare(value, target))

    def exchange(self, source: int, here: View, target: int, there: View) -> None:
        """Send what lies on one core to another."""
        order = memory_order(len(here.shape))
        sender, receiver = self.core(source), self.core(target)
        for at, to in walkable(order, here, there):
            sender.operate(Send, [at.stream(order)], target, 0)
            receiver.operate(Recv, [to.stream(order)], source, 0)

    def _padded_copy(self, task: Task, core: int, value: Value, border: Border) -> View:
        layout = bordered(value.type, border)
        address = task.address("padded", core)
        self.fill(core, address, layout.size, layout.element, border.fill)
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


def packed_stream(base: int, size: int) -> StreamState:
    """A run of bytes in global memory."""
    return stream(Space.GLOBAL, ElementType.U8, base, [(size, 1)])


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
