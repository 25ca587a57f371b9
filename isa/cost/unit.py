"""The units of a core, and which of them works on an instruction."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from ..fields import Space
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
from ..table import InstructionTable
from ..walk import Operation


class Unit(IntEnum):
    """What can hold an instruction up; the first six are units that instructions occupy.

    `SYNC` is no unit: what stands there waits until all that is under way on its core has ended.
    `MEMORY` is the global memory of the chip, `LINK` the network between the cores, `ISSUE` the
    fetching of instructions, `STARTS` what starts the row blocks of a core.
    """

    ARRAYS = 0
    VECTOR = 1
    PORT = 2
    DMA = 3
    OUT = 4
    IN = 5
    SYNC = 6
    MEMORY = 7
    LINK = 8
    ISSUE = 9
    STARTS = 10

    @property
    def label(self) -> str:
        """Name in reports."""
        return _LABELS[self]


_LABELS = {
    Unit.ARRAYS: "arrays",
    Unit.VECTOR: "vector unit",
    Unit.PORT: "local memory port",
    Unit.DMA: "dma engine",
    Unit.OUT: "network port out",
    Unit.IN: "network port in",
    Unit.SYNC: "waiting for all",
    Unit.MEMORY: "global memory",
    Unit.LINK: "network",
    Unit.ISSUE: "instruction issue",
    Unit.STARTS: "starts of row blocks",
}
CORE_UNITS = (Unit.ARRAYS, Unit.VECTOR, Unit.PORT, Unit.DMA, Unit.OUT, Unit.IN)

units: InstructionTable[Callable[[Operation], Unit]] = InstructionTable("timing units")


@units(Mvm, Write, WriteMatrix)
def _arrays(operation: Operation) -> Unit:
    return Unit.ARRAYS


@units(Requant, Add, Mul, Lut, Max, Sum, Accumulate, Softmax, Dot, Norm, Divide)
def _vector(operation: Operation) -> Unit:
    return Unit.VECTOR


@units(Copy, Fill)
def _port(operation: Operation) -> Unit:
    return Unit.PORT


@units(Load, Store)
def _dma(operation: Operation) -> Unit:
    return Unit.DMA


@units(Gather)
def _gather(operation: Operation) -> Unit:
    return Unit.PORT if operation.streams["table"].space is Space.LOCAL else Unit.DMA


@units(Send)
def _out(operation: Operation) -> Unit:
    return Unit.OUT


@units(Recv)
def _in(operation: Operation) -> Unit:
    return Unit.IN


@units(Barrier, Host, Phase)
def _sync(operation: Operation) -> Unit:
    return Unit.SYNC


units.require_complete()
