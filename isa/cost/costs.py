"""What each instruction does, counted: one function an instruction."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from math import prod
from typing import TypeVar

from ..cells import packed_bytes
from ..fields import Space
from ..instruction import Instruction
from ..instructions import (
    Accumulate,
    Add,
    Barrier,
    Copy,
    Divide,
    Dot,
    Fill,
    Gather,
    Host,
    Load,
    Lut,
    Max,
    Mul,
    Mvm,
    Norm,
    Phase,
    Recv,
    Requant,
    Send,
    Softmax,
    Store,
    Sum,
    Write,
    WriteMatrix,
)
from ..program import Program
from ..stream import StreamState
from ..table import InstructionTable
from ..target import Network, Target
from ..walk import Exchange, Operation
from .product import ProductCost, product_cost
from .work import Work, whole_cycles

_SOFTMAX_PASSES = 4
_NORM_PASSES = 3
_NS_PER_US = 1000.0
_I = TypeVar("_I", bound=Instruction)


@dataclass(frozen=True)
class CostModel:
    """A target with the matrices of a program on it."""

    program: Program
    target: Target
    products: tuple[ProductCost, ...]

    @classmethod
    def of(cls, program: Program) -> CostModel:
        """Count the matrices of a program; groups hold the same on other cores."""
        target, matrices = program.target, program.matrices
        counted = {i: product_cost(matrices[i], target) for i in set(program.alike)}
        return cls(program, target, tuple(counted[index] for index in program.alike))

    def cost(self, operation: Operation | Exchange) -> Work:
        """Count one operation; of an exchange, both sides."""
        if isinstance(operation, Exchange):
            return self.cost(operation.send).plus(self.cost(operation.recv))
        return costs[type(operation.instruction)](self, operation)

    def cycles(self, nanoseconds: float) -> int:
        """Clock cycles that a time takes."""
        return whole_cycles(nanoseconds * self.target.timing.clock_mhz / _NS_PER_US)

    def moved(self, stream: StreamState) -> int:
        """Bytes that all elements of a stream count where they are moved."""
        return stream.count * self.target.timing.moved(stream.element.size)

    def hops(self, core: int, other: int) -> int:
        """Routers passed between two cores: the Manhattan distance on the mesh; on a bus one."""
        if self.target.chip.network is Network.BUS:
            return 1
        (row, col), (other_row, other_col) = (
            divmod(c, self.target.chip.mesh_cols) for c in (core, other)
        )
        return abs(row - other_row) + abs(col - other_col)


CostFunction = Callable[[CostModel, Operation], Work]
costs: InstructionTable[CostFunction] = InstructionTable("timing")


@costs(Barrier, Host, Phase)
def _uncounted(model: CostModel, operation: Operation) -> Work:
    """Waiting is no work, and what the host computes is not the chip's."""
    return Work()


@costs(Load, Store, Copy, Fill, Recv)
def _move(model: CostModel, operation: Operation) -> Work:
    """Moving has no speed of its own: it takes what its bytes take in the memories."""
    return _traffic(model, operation, Work())


@costs(Send)
def _send(model: CostModel, operation: Operation) -> Work:
    """Time and energy of the network count for the sender; time as if no link were taken."""
    timing, stream = model.target.timing, operation.streams["src"]
    hops = model.hops(operation.core, _instruction(operation, Send).peer)
    size = model.moved(stream)
    cycles = whole_cycles(size / timing.noc_bytes_per_cycle + hops * timing.noc_hop_cycles)
    return _traffic(model, operation, Work(cycles, noc_bytes=size * hops))


@costs(Write)
def _write(model: CostModel, operation: Operation) -> Work:
    instruction = _instruction(operation, Write)
    row_bytes = packed_bytes(instruction.columns, model.target.array.cell_bits)
    rows = operation.streams["src"].count // row_bytes
    cycles = model.cycles(rows * model.target.timing.t_write_row_ns)
    return _traffic(model, operation, Work(cycles, cells=rows * instruction.columns))


@costs(WriteMatrix)
def _write_matrix(model: CostModel, operation: Operation) -> Work:
    """Arrays are programmed as many at a time as instructions can be under way."""
    cells = model.program.cells[_instruction(operation, WriteMatrix).matrix]
    rows = cells.rows_in_turn(model.target.core.issue_window)
    cycles = model.cycles(rows * model.target.timing.t_write_row_ns)
    return _traffic(model, operation, Work(cycles, cells=cells.count))


@costs(Mvm)
def _mvm(model: CostModel, operation: Operation) -> Work:
    instruction = _instruction(operation, Mvm)
    product = model.products[instruction.matrix]
    counts = operation.streams["src"].counts
    windows = prod(counts[: len(counts) - instruction.inner])
    work = Work(
        cycles=model.cycles(product.time(windows)),
        windows=windows,
        macs=windows * product.macs,
        conversions=windows * product.conversions,
        row_steps=windows * product.row_steps,
        array_steps=windows * product.array_steps,
        shift_adds=windows * product.shift_adds,
        local_bytes=_bytes(model, operation.streams["dst"]) if instruction.accumulate else 0,
    )
    return _traffic(model, operation, work)


@costs(Requant, Add, Mul, Divide, Lut, Accumulate)
def _elementwise(model: CostModel, operation: Operation) -> Work:
    return _vector(model, operation, operation.streams["dst"].count)


@costs(Max, Sum)
def _reduction(model: CostModel, operation: Operation) -> Work:
    return _vector(model, operation, operation.streams["src"].count)


@costs(Softmax)
def _softmax(model: CostModel, operation: Operation) -> Work:
    return _vector(model, operation, operation.streams["src"].count, _SOFTMAX_PASSES)


@costs(Dot)
def _dot(model: CostModel, operation: Operation) -> Work:
    return _vector(model, operation, operation.streams["a"].count)


@costs(Norm)
def _norm(model: CostModel, operation: Operation) -> Work:
    return _vector(model, operation, operation.streams["src"].count, _NORM_PASSES)


@costs(Gather)
def _gather(model: CostModel, operation: Operation) -> Work:
    """Of the table, only the rows that are read count."""
    size = _bytes(model, operation.streams["dst"])
    local = operation.streams["table"].space is Space.LOCAL
    work = Work(local_bytes=size) if local else Work(global_bytes=size)
    return _traffic(model, operation, work, ("dst", "src"))


costs.require_complete()


def _vector(model: CostModel, operation: Operation, elements: int, passes: int = 1) -> Work:
    core = model.target.core
    cycles = passes * core.vector_cycles * -(-elements // core.vector_lanes)
    return _traffic(model, operation, Work(cycles, vector_ops=passes * elements))


def _traffic(
    model: CostModel, operation: Operation, work: Work, names: Collection[str] | None = None
) -> Work:
    """Add the bytes of the operands `names`, by default of all, to `work`."""
    local, global_ = work.local_bytes, work.global_bytes
    for stream in (operation.streams[name] for name in names or operation.streams):
        if stream.space is Space.LOCAL:
            local += _bytes(model, stream)
        else:
            global_ += _bytes(model, stream)
    return work._replace(local_bytes=local, global_bytes=global_)


def _bytes(model: CostModel, stream: StreamState) -> int:
    """Bytes of a stream, where an axis of stride 0 repeats what is already there."""
    counts = (c for c, s in zip(stream.counts, stream.strides, strict=True) if s or not c)
    return model.target.timing.moved(stream.element.size) * prod(counts)


def _instruction(operation: Operation, cls: type[_I]) -> _I:
    assert isinstance(operation.instruction, cls)
    return operation.instruction
