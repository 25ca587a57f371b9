"""What each instruction does, literally: one function an instruction, in int64.

These functions are the definition that the fast path is tested against. They read all of their
sources before they write.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from imcc.isa.cells import unpack_levels
from imcc.isa.instruction import Instruction
from imcc.isa.instructions import (
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
from imcc.isa.program import Program
from imcc.isa.table import InstructionTable
from imcc.isa.walk import Exchange, Operation, OutputStage

from .crossbar import Crossbars, literal_product
from .errors import MachineError
from .host import host_step
from .memory import DTYPES, Elements, Memory, Place, element_view, inner_split
from .numerics import (
    add_codes,
    divide_codes,
    multiply_codes,
    normalize,
    requantize,
    signed_words,
    softmax,
)

Integers = NDArray[np.int64]
_I = TypeVar("_I", bound=Instruction)


@dataclass(frozen=True)
class Chip:
    """All state that instructions change: memories and arrays; `network` is what is in flight."""

    program: Program
    memory: Memory
    crossbars: Crossbars
    network: list[Integers] = field(default_factory=list)

    def read(self, operation: Operation, name: str) -> Integers:
        """Return a copy of the elements of an operand, [batch, *all six counts], in int64."""
        return self.view(operation, name).astype(np.int64)

    def view(self, operation: Operation, name: str) -> Elements:
        """Return the elements of an operand where they lie, [batch, *all six counts]."""
        stream = operation.streams[name]
        view = self.memory.view(Place(operation.core, stream))
        return view.reshape((self.memory.batch, *stream.counts))

    def write(self, operation: Operation, name: str, values: Integers) -> None:
        """Store values in the order of an operand's elements, modulo the element type."""
        stream = operation.streams[name]
        view = self.memory.view(Place(operation.core, stream))
        view[...] = values.reshape(view.shape).astype(DTYPES[stream.element])


Executor = Callable[[Chip, Operation], None]
executes: InstructionTable[Executor] = InstructionTable("literal execution")


def execute(chip: Chip, operation: Operation | Exchange) -> None:
    """Execute one operation, or a matched send and receive."""
    parts = (operation.send, operation.recv) if isinstance(operation, Exchange) else (operation,)
    for part in parts:
        executes[type(part.instruction)](chip, part)


def output_stage(operation: Operation) -> OutputStage:
    """Return the output stage in force; raise `MachineError` if no `setq` came before."""
    if operation.stage is None:
        raise MachineError("the output stage is used before any setq")
    return operation.stage


def packed_rows(operation: Operation, instruction: Write, cell_bits: int) -> tuple[int, int]:
    """Return rows and bytes a row of the packed levels that a `write` reads."""
    count = operation.streams["src"].count
    row_bytes = max(-(-instruction.columns * cell_bits // 8), 1)
    if count % row_bytes:
        raise MachineError(
            f"src has {count} bytes; {instruction.columns} columns of {cell_bits}-bit cells "
            f"take {row_bytes} bytes a row"
        )
    return count // row_bytes, row_bytes


@executes(Barrier, Phase)
def _barrier(chip: Chip, operation: Operation) -> None:
    """Orders cores; the walk has already done so."""


@executes(Host)
def _host(chip: Chip, operation: Operation) -> None:
    host_step(chip.program, instruction_of(operation, Host)).run(chip.memory)


@executes(Load, Store, Copy)
def _copy(chip: Chip, operation: Operation) -> None:
    chip.write(operation, "dst", chip.read(operation, "src"))


@executes(Fill)
def _fill(chip: Chip, operation: Operation) -> None:
    value = instruction_of(operation, Fill).value
    counts = operation.streams["dst"].counts
    chip.write(operation, "dst", np.full((chip.memory.batch, *counts), value, np.int64))


@executes(Send)
def _send(chip: Chip, operation: Operation) -> None:
    chip.network.append(chip.read(operation, "src"))


@executes(Recv)
def _recv(chip: Chip, operation: Operation) -> None:
    chip.write(operation, "dst", chip.network.pop())


@executes(Write)
def program_cells(chip: Chip, operation: Operation) -> None:
    """Program the cells of an array from packed levels in constant memory."""
    instruction = instruction_of(operation, Write)
    cell_bits = chip.program.target.array.cell_bits
    packed = _packed(chip, operation).reshape(packed_rows(operation, instruction, cell_bits))
    levels = unpack_levels(packed, instruction.columns, cell_bits)
    crossbars, target = chip.crossbars, (operation.core, instruction.array)
    crossbars.write(*target, instruction.row, instruction.column, levels)


@executes(WriteMatrix)
def program_matrix(chip: Chip, operation: Operation) -> None:
    """Program all cells of a matrix, run by run."""
    index = instruction_of(operation, WriteMatrix).matrix
    cells, packed = chip.program.cells[index], _packed(chip, operation)
    if packed.size != cells.size:
        raise MachineError(f"src has {packed.size} bytes; the cells of m{index} take {cells.size}")
    for run in cells.runs:
        rows = packed[run.offset : run.offset + run.size].reshape(run.rows, -1)
        levels = unpack_levels(rows, run.columns, chip.program.target.array.cell_bits)
        chip.crossbars.write(operation.core, run.array, run.row, run.column, levels)


def _packed(chip: Chip, operation: Operation) -> NDArray[np.uint8]:
    """The packed levels that an instruction writes."""
    src = operation.streams["src"]
    if not chip.memory.layout.is_constant(src):
        raise MachineError("cells are written from constant global memory only")
    return element_view(chip.memory.layout.constants, src).reshape(-1).view(np.uint8)


@executes(Mvm)
def _mvm(chip: Chip, operation: Operation) -> None:
    instruction = instruction_of(operation, Mvm)
    matrix = chip.program.matrices[instruction.matrix]
    x = chip.read(operation, "src").reshape(chip.memory.batch, -1, matrix.rows)
    y = literal_product(matrix, chip.crossbars, x).reshape(chip.memory.batch, -1)
    if instruction.accumulate:
        y = y + chip.read(operation, "dst").reshape(y.shape)
    chip.write(operation, "dst", y)


@executes(Requant)
def _requant(chip: Chip, operation: Operation) -> None:
    src, bias, words = (_flat(chip, operation, name) for name in ("src", "bias", "scale"))
    chip.write(operation, "dst", requantize(src + bias, words, output_stage(operation)))


@executes(Add)
def _add(chip: Chip, operation: Operation) -> None:
    a, b, words = (_flat(chip, operation, name) for name in ("a", "b", "params"))
    chip.write(operation, "dst", _by_parameters(add_codes, a, b, words, output_stage(operation)))


@executes(Mul)
def _mul(chip: Chip, operation: Operation) -> None:
    a, b, words = (_flat(chip, operation, name) for name in ("a", "b", "params"))
    stage = output_stage(operation)
    chip.write(operation, "dst", _by_parameters(multiply_codes, a, b, words, stage))


@executes(Lut)
def _lut(chip: Chip, operation: Operation) -> None:
    src, table = _flat(chip, operation, "src"), _flat(chip, operation, "table")
    chip.write(operation, "dst", np.take_along_axis(table, src & 255, axis=1))


@executes(Max)
def _max(chip: Chip, operation: Operation) -> None:
    outer, inner = inner_split(operation.streams["src"], instruction_of(operation, Max).inner)
    src = _flat(chip, operation, "src").reshape(-1, outer, inner)
    chip.write(operation, "dst", src.max(axis=2))


@executes(Sum)
def _sum(chip: Chip, operation: Operation) -> None:
    outer, inner = inner_split(operation.streams["src"], instruction_of(operation, Sum).inner)
    src = _flat(chip, operation, "src").reshape(-1, outer, inner)
    chip.write(operation, "dst", src.sum(axis=2))


@executes(Accumulate)
def _accumulate(chip: Chip, operation: Operation) -> None:
    chip.write(operation, "dst", _flat(chip, operation, "a") + _flat(chip, operation, "b"))


@executes(Softmax)
def _softmax(chip: Chip, operation: Operation) -> None:
    steps = instruction_of(operation, Softmax).steps
    stage = output_stage(operation)
    row = next((c for c in reversed(operation.streams["src"].counts) if c > 1), 1)
    src, table = _flat(chip, operation, "src"), _flat(chip, operation, "table")
    rows = src.reshape(chip.memory.batch, -1, row)
    results = [softmax(x, e, steps, stage) for x, e in zip(rows, table, strict=True)]
    chip.write(operation, "dst", np.stack(results))


@executes(Dot)
def _dot(chip: Chip, operation: Operation) -> None:
    inner = instruction_of(operation, Dot).inner
    a, b = (chip.view(operation, name)[:, None] for name in ("a", "b"))
    zero_points = signed_words(_flat(chip, operation, "params"))
    za, zb = zero_points.T.reshape(2, -1, *[1] * (inner + 1))
    outer, axes = a.shape[1 : a.ndim - inner], tuple(range(-inner, 0))
    sums = np.empty((chip.memory.batch, *outer), np.int64)
    # One place after the other on all outer axes but the last: the products of all would not
    # fit the memory of a host.
    for place in np.ndindex(*outer[:-1]):
        row = (slice(None), *place)
        sums[row] = ((a[row] - za) * (b[row] - zb)).sum(axis=axes)
    chip.write(operation, "dst", sums)


@executes(Norm)
def _norm(chip: Chip, operation: Operation) -> None:
    instruction = instruction_of(operation, Norm)
    _, inner = inner_split(operation.streams["src"], instruction.inner)
    rows = chip.read(operation, "src").reshape(chip.memory.batch, -1, inner)
    words = _flat(chip, operation, "params")
    center = bool(instruction.center)
    results = [normalize(x, w, center) for x, w in zip(rows, words, strict=True)]
    chip.write(operation, "dst", np.stack(results))


@executes(Gather)
def _gather(chip: Chip, operation: Operation) -> None:
    inner = instruction_of(operation, Gather).inner
    rows, row = inner_split(operation.streams["table"], inner)
    table = chip.view(operation, "table").reshape(chip.memory.batch, rows, row)
    indices = _flat(chip, operation, "src")
    check_indices(indices, rows)
    found = [one[index].astype(np.int64) for one, index in zip(table, indices, strict=True)]
    chip.write(operation, "dst", np.stack(found))


@executes(Divide)
def _divide(chip: Chip, operation: Operation) -> None:
    a, b, words = (_flat(chip, operation, name) for name in ("a", "b", "params"))
    results = [divide_codes(*parts) for parts in zip(a, b, words, strict=True)]
    chip.write(operation, "dst", np.stack(results))


executes.require_complete()


def check_indices(indices: NDArray[np.integer], rows: int) -> None:
    """Raise `MachineError` naming the first index that is not in ``-rows..rows - 1``."""
    wrong = (indices < -rows) | (indices >= rows)
    if wrong.any():
        raise MachineError(
            f"index {int(indices[wrong][0])} names no row; the table has {rows} "
            f"({-rows}..{rows - 1})"
        )


def instruction_of(operation: Operation, cls: type[_I]) -> _I:
    """Return the instruction of an operation as the class that it is known to have."""
    assert isinstance(operation.instruction, cls)
    return operation.instruction


def _flat(chip: Chip, operation: Operation, name: str) -> Integers:
    return chip.read(operation, name).reshape(chip.memory.batch, -1)


def _by_parameters(
    function: Callable[[Integers, Integers, Integers, OutputStage], Integers],
    a: Integers,
    b: Integers,
    words: Integers,
    stage: OutputStage,
) -> Integers:
    """Apply `function` to all inputs at once where their parameters agree, as they always do."""
    if (words == words[0]).all():
        return function(a, b, words[0], stage)
    return np.stack([function(x, y, w, stage) for x, y, w in zip(a, b, words, strict=True)])
