"""The instruction base class and the decorator that turns a short class into a table row.

`@instruction(opcode)` reads the annotated fields, lays them out from bit 8 upwards in
declaration order behind the 8-bit opcode, checks that they fit the 64-bit word, and registers
the class. A field `<operand>_offset` belongs to that stream operand, and stands behind it in text;
offsets are declared last, and are 0 unless given. Encoder, decoder, assembler, disassembler,
validator and manual work from this table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar, dataclass_transform, get_args, get_type_hints

from .fields import Kind, Role

WORD_BITS = 64
OPCODE_BITS = 8
_OFFSET = "_offset"


@dataclass(frozen=True)
class Field:
    """One operand field of an instruction: its name, its kind and its lowest bit."""

    name: str
    kind: Kind
    low_bit: int


class Instruction:
    """One instruction; subclasses are frozen dataclasses made by `@instruction`.

    `layout` has all fields; `written` those that are operands in text, and `offsets` the others, by
    the stream operands that they belong to.
    """

    opcode: ClassVar[int]
    mnemonic: ClassVar[str]
    layout: ClassVar[tuple[Field, ...]]
    written: ClassVar[tuple[Field, ...]]
    offsets: ClassVar[Mapping[str, Field]]
    _limits: ClassVar[tuple[tuple[str, int, int, frozenset[int], Kind], ...]]

    def __post_init__(self) -> None:
        """Check every field against its kind."""
        for name, low, high, values, kind in self._limits:
            value = getattr(self, name)
            if not low <= value <= high or (values and value not in values):
                kind.check(self.mnemonic, name, value)

    @property
    def operands(self) -> tuple[int, ...]:
        """Field values in table order."""
        return tuple(getattr(self, field.name) for field in self.layout)

    def streams(self, role: Role) -> tuple[int, ...]:
        """Stream registers that this instruction uses in the given role."""
        return tuple(getattr(self, f.name) for f in self.layout if f.kind.role is role)

    def __str__(self) -> str:
        """Assembly text."""
        return f"{self.mnemonic} {', '.join(map(self._text, self.written))}".rstrip()

    def _text(self, operand: Field) -> str:
        parts = [operand, *filter(None, [self.offsets.get(operand.name)])]
        return "".join(part.kind.format(getattr(self, part.name)) for part in parts)


TABLE: dict[int, type[Instruction]] = {}
BY_MNEMONIC: dict[str, type[Instruction]] = {}

_T = TypeVar("_T", bound=type[Instruction])


@dataclass_transform(frozen_default=True)
def instruction(opcode: int) -> Callable[[_T], _T]:
    """Make a class an instruction with this opcode and add it to the table."""

    def register(cls: _T) -> _T:
        made: Any = dataclass(frozen=True)(cls)
        made.opcode = opcode
        made.mnemonic = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", ".", cls.__name__).lower()
        made.layout = _lay_out(made)
        made.written = tuple(f for f in made.layout if f.kind.role is not Role.OFFSET)
        made.offsets = _offsets(made)
        made._limits = tuple(
            (f.name, f.kind.low, f.kind.high, f.kind.values, f.kind) for f in made.layout
        )
        _check_unique(made)
        TABLE[opcode] = made
        BY_MNEMONIC[made.mnemonic] = made
        return made  # type: ignore[no-any-return]

    return register


def _lay_out(cls: type[Instruction]) -> tuple[Field, ...]:
    hints = get_type_hints(cls, include_extras=True)
    laid_out: list[Field] = []
    low_bit = OPCODE_BITS
    for field in fields(cls):  # type: ignore[arg-type]
        kind = get_args(hints[field.name])[1]
        laid_out.append(Field(field.name, kind, low_bit))
        low_bit += kind.width
    if low_bit > WORD_BITS:
        raise TypeError(f"{cls.__name__} needs {low_bit} bits; a word has {WORD_BITS}")
    return tuple(laid_out)


def _offsets(cls: type[Instruction]) -> dict[str, Field]:
    streams = (f.name for f in cls.written if f.kind.role in (Role.READ, Role.WRITE))
    known = {field.name: field for field in cls.layout}
    found = {name: known[name + _OFFSET] for name in streams if name + _OFFSET in known}
    if cls.layout != (*cls.written, *found.values()):
        raise TypeError(f"{cls.__name__}: offsets must come last, in the order of their streams")
    return found


def _check_unique(cls: type[Instruction]) -> None:
    for other in (TABLE.get(cls.opcode), BY_MNEMONIC.get(cls.mnemonic)):
        if other is not None:
            raise TypeError(f"{cls.__name__} and {other.__name__} share an opcode or a mnemonic")
