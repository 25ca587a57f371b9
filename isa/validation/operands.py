"""Which operands an instruction takes: a table of memories, element types and counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from ..cells import packed_bytes
from ..fields import ElementType, Role, Space
from ..instruction import TABLE, Instruction
from ..instructions import (
    Accumulate,
    Add,
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
from ..walk import Operation
from .inner_axes import (
    check_dot,
    check_gather,
    check_norm,
    check_reduction,
    check_sum,
    inner_split,
)
from .ranges import RANGES

CODES = frozenset({ElementType.U8, ElementType.I8, ElementType.U16, ElementType.I16})
BYTES = frozenset({ElementType.U8, ElementType.I8})
U8 = frozenset({ElementType.U8})
I32 = frozenset({ElementType.I32})
U32 = frozenset({ElementType.U32})
WORDS = I32 | U32
INDICES = U8 | I32
ALL = frozenset(ElementType)


class Where(Enum):
    """Memories that an operand may lie in: local memory or not, the constants or not, and all."""

    LOCAL = "local memory", True, False, False
    GLOBAL = "global memory", False, True, True
    CONSTANT = "the constants", False, True, False
    PARAMETER = "local memory or the constants", True, True, False
    ANY = "any memory", True, True, True

    def __init__(self, text: str, local: bool, constants: bool, others: bool) -> None:
        self.text = text
        self.local = local
        self.constants = constants
        self.others = others


@dataclass(frozen=True)
class Operand:
    """What is asked of one operand; `count` is exact where it is not 0."""

    where: Where
    elements: frozenset[ElementType]
    count: int = 0


@dataclass(frozen=True)
class Rule:
    """What is asked of one instruction.

    The operands in `same` have as many elements as `dst`; those in `alike` the element type of
    `dst` too. With `stage` the output stage must be set and its bounds fit `dst`. An
    `elementwise` instruction may have a source that is the very stream of `dst`.
    """

    operands: Mapping[str, Operand]
    same: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()
    stage: bool = False
    elementwise: bool = False
    extra: Callable[[Program, Operation], Iterator[str]] | None = None


def check_operands(program: Program, operation: Operation) -> Iterator[str]:
    """Check one operation against the rule of its instruction."""
    rule = RULES.get(type(operation.instruction))
    if rule is None:
        return
    streams = operation.streams
    for name, operand in rule.operands.items():
        stream = streams[name]
        if not _fits(program, operand, stream):
            yield from _operand(program, name, operand, stream)
    if rule.same or rule.alike:
        yield from _relations(rule, operation)
    if rule.stage:
        yield from _stage(operation)
    if rule.extra is not None:
        yield from rule.extra(program, operation)


def is_constant(program: Program, stream: StreamState) -> bool:
    """Tell whether a stream lies in the constants."""
    return stream.space is Space.GLOBAL and stream.extent[1] <= len(program.constants)


def _fits(program: Program, operand: Operand, stream: StreamState) -> bool:
    walk = stream.walk
    return (
        walk.element in operand.elements
        and (not operand.count or walk.count == operand.count)
        and _lies_in(program, operand.where, stream)
    )


def _operand(program: Program, name: str, operand: Operand, stream: StreamState) -> Iterator[str]:
    if stream.element not in operand.elements:
        allowed = ", ".join(element.name.lower() for element in sorted(operand.elements))
        yield f"{name} has elements {stream.element.name.lower()}; allowed are {allowed}"
    if operand.count and stream.count != operand.count:
        yield f"{name} has {stream.count} elements; it must have {operand.count}"
    if not _lies_in(program, operand.where, stream):
        yield f"{name} at byte {stream.base} of {stream.space.name.lower()} memory must lie in " + (
            operand.where.text
        )


def _lies_in(program: Program, where: Where, stream: StreamState) -> bool:
    if stream.walk.space is Space.LOCAL:
        return where.local
    return where.others or (where.constants and is_constant(program, stream))


def _relations(rule: Rule, operation: Operation) -> Iterator[str]:
    streams = operation.streams
    for name in rule.same:
        if streams[name].count != streams["dst"].count:
            yield f"{name} has {streams[name].count} elements, dst {streams['dst'].count}"
    for name in rule.alike:
        if streams[name].element is not streams["dst"].element:
            yield (
                f"{name} has elements {streams[name].element.name.lower()}, "
                f"dst {streams['dst'].element.name.lower()}"
            )


def _stage(operation: Operation) -> Iterator[str]:
    if operation.stage is None:
        yield "the output stage is used before any setq"
        return
    element = operation.streams["dst"].element
    low, high = RANGES[element]
    if operation.stage.low < low or operation.stage.high > high:
        yield (
            f"the output stage clips to {operation.stage.low}..{operation.stage.high}; dst of "
            f"{element.name.lower()} holds {low}..{high}"
        )


def _fill(program: Program, operation: Operation) -> Iterator[str]:
    assert isinstance(operation.instruction, Fill)
    element = operation.streams["dst"].element
    low, high = RANGES[element]
    if not low <= operation.instruction.value <= high:
        name = element.name.lower()
        yield f"{operation.instruction.value} does not fit {name} ({low}..{high})"


def _write(program: Program, operation: Operation) -> Iterator[str]:
    assert isinstance(operation.instruction, Write)
    array = program.target.array
    row_bytes = packed_bytes(operation.instruction.columns, array.cell_bits)
    count = operation.streams["src"].count
    if count % row_bytes:
        yield f"src has {count} bytes; a row of packed levels takes {row_bytes}"
    elif operation.instruction.row + count // row_bytes > array.rows:
        first, rows = operation.instruction.row, count // row_bytes
        yield f"{rows} rows from {first} are not in 0..{array.rows - 1}"


def _write_matrix(program: Program, operation: Operation) -> Iterator[str]:
    assert isinstance(operation.instruction, WriteMatrix)
    index, src = operation.instruction.matrix, operation.streams["src"]
    matrix, size = program.matrices[index], program.cells[index].size
    if matrix.core != operation.core:
        yield f"matrix m{index} is on core {matrix.core}"
    if src.count != size:
        yield f"src has {src.count} bytes; the cells of the matrix take {size}"
    if not src.walk.is_dense:
        yield "src must be dense: its bytes follow each other"


def _mvm(program: Program, operation: Operation) -> Iterator[str]:
    assert isinstance(operation.instruction, Mvm)
    matrix = program.matrices[operation.instruction.matrix]
    windows, inner = inner_split(operation.streams["src"], operation.instruction.inner)
    if matrix.core != operation.core:
        yield f"matrix m{operation.instruction.matrix} is on core {matrix.core}"
    if inner != matrix.rows:
        yield f"the last {operation.instruction.inner} axes of src have {inner} elements; " + (
            f"the matrix has {matrix.rows} rows"
        )
    elif operation.streams["dst"].count != windows * matrix.cols:
        yield f"dst has {operation.streams['dst'].count} elements; " + (
            f"{windows} windows of {matrix.cols} columns make {windows * matrix.cols}"
        )


_SAME = {"dst": Operand(Where.LOCAL, CODES), "a": Operand(Where.LOCAL, CODES)}

RULES: dict[type[Instruction], Rule] = {
    Host: Rule({}),
    Load: Rule(
        {"dst": Operand(Where.LOCAL, ALL), "src": Operand(Where.GLOBAL, ALL)},
        same=("src",),
        alike=("src",),
    ),
    Store: Rule(
        {"dst": Operand(Where.GLOBAL, ALL), "src": Operand(Where.LOCAL, ALL)},
        same=("src",),
        alike=("src",),
    ),
    Copy: Rule(
        {"dst": Operand(Where.LOCAL, ALL), "src": Operand(Where.LOCAL, ALL)},
        same=("src",),
        alike=("src",),
        elementwise=True,
    ),
    Fill: Rule({"dst": Operand(Where.LOCAL, ALL)}, extra=_fill),
    Send: Rule({"src": Operand(Where.ANY, ALL)}),
    Recv: Rule({"dst": Operand(Where.ANY, ALL)}),
    Write: Rule({"src": Operand(Where.CONSTANT, U8)}, extra=_write),
    WriteMatrix: Rule({"src": Operand(Where.CONSTANT, U8)}, extra=_write_matrix),
    Mvm: Rule(
        {"dst": Operand(Where.LOCAL, I32), "src": Operand(Where.LOCAL, U8)},
        extra=_mvm,
    ),
    Requant: Rule(
        {
            "dst": Operand(Where.LOCAL, CODES),
            "src": Operand(Where.LOCAL, CODES | I32),
            "bias": Operand(Where.PARAMETER, I32),
            "scale": Operand(Where.PARAMETER, U32),
        },
        same=("src", "bias", "scale"),
        stage=True,
        elementwise=True,
    ),
    Add: Rule(
        {
            **_SAME,
            "b": Operand(Where.LOCAL, CODES),
            "params": Operand(Where.PARAMETER, U32, count=3),
        },
        same=("a", "b"),
        stage=True,
        elementwise=True,
    ),
    Mul: Rule(
        {
            **_SAME,
            "b": Operand(Where.LOCAL, CODES),
            "params": Operand(Where.PARAMETER, WORDS, count=3),
        },
        same=("a", "b"),
        stage=True,
        elementwise=True,
    ),
    Lut: Rule(
        {
            "dst": Operand(Where.LOCAL, ALL),
            "src": Operand(Where.LOCAL, BYTES),
            "table": Operand(Where.PARAMETER, ALL, count=256),
        },
        same=("src",),
        alike=("table",),
        elementwise=True,
    ),
    Max: Rule(
        {"dst": Operand(Where.LOCAL, ALL), "src": Operand(Where.LOCAL, ALL)},
        alike=("src",),
        extra=check_reduction,
    ),
    Sum: Rule(
        {"dst": Operand(Where.LOCAL, I32), "src": Operand(Where.LOCAL, CODES)},
        extra=check_sum,
    ),
    Accumulate: Rule(
        {
            "dst": Operand(Where.LOCAL, I32),
            "a": Operand(Where.LOCAL, I32),
            "b": Operand(Where.LOCAL, I32),
        },
        same=("a", "b"),
        elementwise=True,
    ),
    Softmax: Rule(
        {
            "dst": Operand(Where.LOCAL, CODES),
            "src": Operand(Where.LOCAL, BYTES),
            "table": Operand(Where.PARAMETER, U32, count=256),
        },
        same=("src",),
        stage=True,
        elementwise=True,
    ),
    Dot: Rule(
        {
            "dst": Operand(Where.LOCAL, I32),
            "a": Operand(Where.LOCAL, CODES),
            "b": Operand(Where.LOCAL, CODES),
            "params": Operand(Where.PARAMETER, WORDS, count=2),
        },
        extra=check_dot,
    ),
    Norm: Rule(
        {
            "dst": Operand(Where.LOCAL, I32),
            "src": Operand(Where.LOCAL, CODES),
            "params": Operand(Where.PARAMETER, WORDS, count=3),
        },
        extra=check_norm,
    ),
    Gather: Rule(
        {
            "dst": Operand(Where.LOCAL, ALL),
            "src": Operand(Where.LOCAL, INDICES),
            "table": Operand(Where.ANY, ALL),
        },
        alike=("table",),
        extra=check_gather,
    ),
    Divide: Rule(
        {
            "dst": Operand(Where.LOCAL, I32),
            "a": Operand(Where.LOCAL, CODES),
            "b": Operand(Where.LOCAL, CODES),
            "params": Operand(Where.PARAMETER, WORDS, count=2),
        },
        same=("a", "b"),
    ),
}


def _require_complete() -> None:
    for cls in TABLE.values():
        operands = {f.name for f in cls.layout if f.kind.role in (Role.READ, Role.WRITE)}
        if operands != set(RULES[cls].operands if cls in RULES else ()):
            raise TypeError(f"the operand rule of {cls.mnemonic} does not fit its fields")


_require_complete()
