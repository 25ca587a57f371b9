"""From one operation to one step: a function an instruction.

Each function returns the fastest step that is provably equal to the literal meaning, and the
literal step where nothing is proved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imcc.isa.fields import ElementType, Role
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
from imcc.isa.table import InstructionTable
from imcc.isa.walk import Operation

from .constants import KnownBytes
from .crossbar import copies_agree
from .dot_step import DotAxes, dot_step
from .errors import MachineError
from .gather_step import GatherStep
from .host import host_step
from .memory import Elements, Place, inner_split
from .mvm_steps import DealtMvmStep, MvmStep, RequantStep
from .norm_step import NormStep, is_exact
from .numerics import add_codes, divide_codes, multiply_codes, signed_words, word_pair
from .output_stage import Requantizer, requantizer
from .prepare import prepare
from .products import Product
from .semantics import Chip, instruction_of, output_stage, program_cells, program_matrix
from .steps import (
    AccumulateStep,
    CopyStep,
    FillStep,
    LiteralStep,
    PairTableStep,
    ReduceStep,
    Step,
    TableStep,
    stream_dtype,
)

Integers = NDArray[np.int64]
ProductKey = tuple[int, tuple[int, ...]]

_BYTE_TYPES = (ElementType.U8, ElementType.I8)
# The largest magnitude of an element, where nothing more is known of it.
_REACH = {
    ElementType.U8: 255,
    ElementType.I8: 128,
    ElementType.U16: 65535,
    ElementType.I16: 32768,
    ElementType.I32: 1 << 31,
    ElementType.U32: (1 << 32) - 1,
}


@dataclass(frozen=True)
class Context:
    """What decoding knows at an operation: arrays as programmed so far, and known memory."""

    chip: Chip
    known: KnownBytes
    products: dict[ProductKey, tuple[Product, ...]]

    def prepared(self, matrix: int) -> tuple[Product, ...]:
        """Return the product of a matrix; prepared once for the same cells.

        Where the copies of the matrix do not hold the same cells, it is a product for each.
        """
        table = self.chip.program.matrices[matrix]
        arrays = sorted({tile.array for tile in table.tiles})
        versions = tuple(self.chip.crossbars.version(table.core, array) for array in arrays)
        if (matrix, versions) not in self.products:
            crossbars = self.chip.crossbars
            copies = 1 if copies_agree(table, crossbars) else table.copies
            self.products[matrix, versions] = tuple(
                prepare(table, crossbars, copy) for copy in range(copies)
            )
        return self.products[matrix, versions]


Lowering = Callable[[Context, Operation], "Step | None"]
lowers: InstructionTable[Lowering] = InstructionTable("decoding")


def place(operation: Operation, name: str) -> Place:
    """Return where an operand lies."""
    return Place(operation.core, operation.streams[name])


def literal_step(operation: Operation) -> LiteralStep:
    """Return the step that runs an operation literally."""
    layout = operation.instruction.layout
    reads = tuple(place(operation, f.name) for f in layout if f.kind.role is Role.READ)
    writes = tuple(place(operation, f.name) for f in layout if f.kind.role is Role.WRITE)
    return LiteralStep(operation, reads, writes)


@lowers(Barrier, Phase)
def _barrier(context: Context, operation: Operation) -> Step | None:
    return None


@lowers(Host)
def _host(context: Context, operation: Operation) -> Step | None:
    step = host_step(context.chip.program, instruction_of(operation, Host))
    for written in step.writes:
        context.known.forget(written)
    return step


@lowers(Send, Recv)
def _exchange(context: Context, operation: Operation) -> Step | None:
    raise MachineError("a send and its receive are decoded together")


@lowers(Load, Store, Copy)
def _copy(context: Context, operation: Operation) -> Step | None:
    src, dst = place(operation, "src"), place(operation, "dst")
    context.known.copy(src, dst)
    return CopyStep(src, dst)


@lowers(Fill)
def _fill(context: Context, operation: Operation) -> Step | None:
    value = instruction_of(operation, Fill).value
    dst = place(operation, "dst")
    context.known.fill(dst, value)
    return FillStep(dst, value)


@lowers(Write)
def _write(context: Context, operation: Operation) -> Step | None:
    program_cells(context.chip, operation)
    return None


@lowers(WriteMatrix)
def _write_matrix(context: Context, operation: Operation) -> Step | None:
    program_matrix(context.chip, operation)
    return None


@lowers(Mvm)
def _mvm(context: Context, operation: Operation) -> Step | None:
    instruction = instruction_of(operation, Mvm)
    src, dst = place(operation, "src"), place(operation, "dst")
    context.known.forget(dst)
    windows, _ = inner_split(src.stream, instruction.inner)
    products, accumulate = context.prepared(instruction.matrix), bool(instruction.accumulate)
    if len(products) > 1:
        return DealtMvmStep(src, dst, products, windows, accumulate)
    return MvmStep(src, dst, products[0], windows, accumulate)


@lowers(Requant)
def _requant(context: Context, operation: Operation) -> Step | None:
    src, dst = place(operation, "src"), place(operation, "dst")
    row = requant_row(context, operation, _REACH[src.stream.element])
    context.known.forget(dst)
    if row is None:
        return literal_step(operation)
    return RequantStep(src, dst, *row)


def requant_row(
    context: Context, operation: Operation, bound: int, columns: int | None = None
) -> tuple[Requantizer, int] | None:
    """Return the floating-point form of a requant and the length of its row of parameters.

    None where parameters are not known before the run, differ between rows of `columns`
    elements (the last axis of `dst` by default), or the form would not be exact.
    """
    dst = operation.streams["dst"]
    if columns is None:
        columns = next((c for c in reversed(dst.counts) if c != 1), 1)
    bias = _row(context.known.read(place(operation, "bias")), columns)
    words = _row(context.known.read(place(operation, "scale")), columns)
    if bias is None or words is None:
        return None
    stage = output_stage(operation)
    form = requantizer(bias.astype(np.int64), words, stage, bound, dst.element)
    return None if form is None else (form, columns)


def _row(parameters: Elements | None, columns: int) -> Elements | None:
    """Return the row of `columns` parameters that repeats, as a scalar array if all agree."""
    if parameters is None or parameters.size % columns:
        return None
    rows = parameters.reshape(-1, columns)
    if not (rows == rows[0]).all():
        return None
    return rows[0, 0:1].reshape(()) if (rows[0] == rows[0, 0]).all() else rows[0]


@lowers(Add)
def _add(context: Context, operation: Operation) -> Step | None:
    return _pairs(
        context, operation, lambda a, b, words: add_codes(a, b, words, output_stage(operation))
    )


@lowers(Mul)
def _mul(context: Context, operation: Operation) -> Step | None:
    return _pairs(
        context, operation, lambda a, b, words: multiply_codes(a, b, words, output_stage(operation))
    )


@lowers(Divide)
def _divide(context: Context, operation: Operation) -> Step | None:
    return _pairs(context, operation, divide_codes)


def _pairs(context: Context, operation: Operation, function: Callable[..., Integers]) -> Step:
    a, b, dst = (place(operation, name) for name in ("a", "b", "dst"))
    words = context.known.read(place(operation, "params"))
    context.known.forget(dst)
    if words is None or {a.stream.element, b.stream.element} - set(_BYTE_TYPES):
        return literal_step(operation)
    codes = [_all_codes(p.stream.element) for p in (a, b)]
    pairs = np.broadcast_arrays(codes[0][:, None], codes[1][None, :])
    table = function(*pairs, words.reshape(-1).astype(np.int64))
    return PairTableStep(a, b, dst, table.reshape(-1).astype(stream_dtype(dst)))


def _all_codes(element: ElementType) -> Integers:
    """Return the value of each byte as an element."""
    every_byte = np.arange(256, dtype=np.uint8)
    signed = element is ElementType.I8
    return (every_byte.view(np.int8) if signed else every_byte).astype(np.int64)


@lowers(Lut)
def _lut(context: Context, operation: Operation) -> Step | None:
    src, dst = place(operation, "src"), place(operation, "dst")
    table = context.known.read(place(operation, "table"))
    context.known.forget(dst)
    if table is None or src.stream.element not in _BYTE_TYPES:
        return literal_step(operation)
    return TableStep(src, dst, table.reshape(-1).astype(stream_dtype(dst)))


@lowers(Max)
def _max(context: Context, operation: Operation) -> Step | None:
    return _reduction(context, operation, instruction_of(operation, Max).inner, np.maximum)


@lowers(Sum)
def _sum(context: Context, operation: Operation) -> Step | None:
    return _reduction(context, operation, instruction_of(operation, Sum).inner, np.add)


def _reduction(context: Context, operation: Operation, inner: int, function: np.ufunc) -> Step:
    src, dst = place(operation, "src"), place(operation, "dst")
    context.known.forget(dst)
    outer_count, inner_count = inner_split(src.stream, inner)
    return ReduceStep(src, dst, outer_count, inner_count, function)


@lowers(Accumulate)
def _accumulate(context: Context, operation: Operation) -> Step | None:
    a, b, dst = (place(operation, name) for name in ("a", "b", "dst"))
    context.known.forget(dst)
    return AccumulateStep(a, b, dst)


@lowers(Dot)
def _dot(context: Context, operation: Operation) -> Step | None:
    a, b, dst = (place(operation, name) for name in ("a", "b", "dst"))
    inner = instruction_of(operation, Dot).inner
    words = context.known.read(place(operation, "params"))
    context.known.forget(dst)
    if words is None or a.stream.counts != b.stream.counts:
        return literal_step(operation)
    za, zb = signed_words(words.reshape(2)).tolist()
    _, length = inner_split(a.stream, inner)
    bound = length * _farthest(a, za) * _farthest(b, zb)
    axes = DotAxes.of(a.stream, b.stream, inner)
    return dot_step((a, b, dst), axes, (za, zb), bound) or literal_step(operation)


@lowers(Norm)
def _norm(context: Context, operation: Operation) -> Step | None:
    src, dst = place(operation, "src"), place(operation, "dst")
    instruction = instruction_of(operation, Norm)
    words = context.known.read(place(operation, "params"))
    context.known.forget(dst)
    if words is None:
        return literal_step(operation)
    zero_point = int(signed_words(words.reshape(3)[:1])[0])
    _, length = inner_split(src.stream, instruction.inner)
    epsilon = word_pair(words.reshape(3)[1:])
    step = NormStep(src, dst, length, zero_point, epsilon, bool(instruction.center))
    farthest = _farthest(src, zero_point)
    return step if is_exact(src, length, farthest) else literal_step(operation)


def _farthest(operand: Place, zero_point: int) -> int:
    """Return the largest magnitude of an element less the zero point."""
    limits = np.iinfo(stream_dtype(operand))
    return max(abs(int(limits.min) - zero_point), abs(int(limits.max) - zero_point))


@lowers(Gather)
def _gather(context: Context, operation: Operation) -> Step | None:
    src, table, dst = (place(operation, name) for name in ("src", "table", "dst"))
    context.known.forget(dst)
    rows, _ = inner_split(table.stream, instruction_of(operation, Gather).inner)
    return GatherStep(operation, src, table, dst, rows)


@lowers(Softmax)
def _softmax(context: Context, operation: Operation) -> Step | None:
    context.known.forget(place(operation, "dst"))
    return literal_step(operation)


lowers.require_complete()
