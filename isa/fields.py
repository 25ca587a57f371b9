"""Kinds of instruction fields: width in bits, value range, text form and role.

A field is declared as ``Annotated[int, kind]``. The kind carries everything that the encoder,
the assembler, the disassembler and the manual need, so no other place repeats it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Annotated

from .errors import EncodingError


class Space(IntEnum):
    """The memory that a stream walks through."""

    LOCAL = 0
    GLOBAL = 1


class ElementType(IntEnum):
    """The type of one element of a stream (little endian in memory), `size` bytes long."""

    size: int

    U8 = 0, 1
    I8 = 1, 1
    U16 = 2, 2
    I16 = 3, 2
    I32 = 4, 4
    U32 = 5, 4

    def __new__(cls, value: int, size: int = 1) -> ElementType:
        """Make a member."""
        member = int.__new__(cls, value)
        member._value_, member.size = value, size
        return member


class HostType(IntEnum):
    """The type in which the host has the values of a tensor, as ONNX names them."""

    F32 = 0
    F16 = 1
    I8 = 2
    I16 = 3
    I32 = 4
    I64 = 5
    U8 = 6
    U16 = 7
    U32 = 8
    U64 = 9
    BOOL = 10

    @property
    def element(self) -> ElementType:
        """The element type in which values lie in memory where they are not quantized.

        Floats lie there as their bits; 64-bit integers as 32-bit ones, which they must fit.
        """
        return _PLAIN[self]


_PLAIN = {
    HostType.F32: ElementType.U32,
    HostType.F16: ElementType.U16,
    HostType.I8: ElementType.I8,
    HostType.I16: ElementType.I16,
    HostType.I32: ElementType.I32,
    HostType.I64: ElementType.I32,
    HostType.U8: ElementType.U8,
    HostType.U16: ElementType.U16,
    HostType.U32: ElementType.U32,
    HostType.U64: ElementType.U32,
    HostType.BOOL: ElementType.U8,
}


class Rounding(IntEnum):
    """How the output stage turns a scaled value into an integer.

    `FLOAT24` and `FLOAT24_BIASED` keep 24 significant bits after the product, as float32 does;
    the former adds the zero point after the last rounding, the latter before it. The `FIXED`
    modes round once.
    """

    FLOAT24 = 0
    FLOAT24_BIASED = 1
    FIXED_HALF_EVEN = 2
    FIXED_HALF_UP = 3


class Role(IntEnum):
    """What an instruction does with a stream operand."""

    NONE = 0
    READ = 1
    WRITE = 2
    UPDATE = 3  # changes the stream register itself, not the memory behind it
    OFFSET = 4  # says how many bytes from the base of the register the operand begins


@dataclass(frozen=True)
class Kind:
    """One kind of field: `width` bits, two's complement if `signed`, written with `prefix`."""

    width: int
    signed: bool = False
    prefix: str = ""
    role: Role = Role.NONE
    choices: type[IntEnum] | None = None

    @cached_property
    def low(self) -> int:
        """Smallest value that fits."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @cached_property
    def high(self) -> int:
        """Largest value that fits."""
        return (1 << (self.width - self.signed)) - 1

    @cached_property
    def values(self) -> frozenset[int]:
        """The choices, none where every value in the range fits."""
        return frozenset(self.choices or ())

    def check(self, owner: str, name: str, value: int) -> None:
        """Raise `EncodingError` unless `value` fits."""
        if self.choices is not None and value not in self.values:
            names = ", ".join(choice.name.lower() for choice in self.choices)
            raise EncodingError(f"{owner}: field '{name}' is {value}; it must be one of {names}")
        if not self.low <= value <= self.high:
            raise EncodingError(
                f"{owner}: field '{name}' is {value}; it must be in {self.low}..{self.high} "
                f"({self.width} bits)"
            )

    def format(self, value: int) -> str:
        """Text form of a value."""
        if self.choices is not None:
            return self.choices(value).name.lower()
        if self.role is Role.OFFSET:
            return f"{value:+}" if value else ""
        return f"{self.prefix}{value}"


def _stream(role: Role) -> Kind:
    return Kind(5, prefix="s", role=role)


def _offset(width: int) -> Kind:
    return Kind(width, signed=True, role=Role.OFFSET)


ReadStream = Annotated[int, _stream(Role.READ)]
WriteStream = Annotated[int, _stream(Role.WRITE)]
StreamRegister = Annotated[int, _stream(Role.UPDATE)]
ShortOffset = Annotated[int, _offset(19)]
LongOffset = Annotated[int, _offset(23)]
MatrixId = Annotated[int, Kind(16, prefix="m")]
ArrayId = Annotated[int, Kind(16, prefix="a")]
PartitionId = Annotated[int, Kind(16, prefix="p")]
CoreId = Annotated[int, Kind(16, prefix="c")]
SpaceField = Annotated[int, Kind(1, choices=Space)]
ElementField = Annotated[int, Kind(3, choices=ElementType)]
RoundingField = Annotated[int, Kind(2, choices=Rounding)]
Axis = Annotated[int, Kind(3)]
Address = Annotated[int, Kind(40)]
Delta = Annotated[int, Kind(40, signed=True)]
Count = Annotated[int, Kind(20)]
Stride = Annotated[int, Kind(28, signed=True)]
Code = Annotated[int, Kind(17, signed=True)]
Word32 = Annotated[int, Kind(32, signed=True)]
Steps = Annotated[int, Kind(17)]
Repeat = Annotated[int, Kind(24)]
Tag = Annotated[int, Kind(16)]
Rounds = Annotated[int, Kind(8)]
CellIndex = Annotated[int, Kind(11)]
CellCount = Annotated[int, Kind(12)]
Flag = Annotated[int, Kind(1)]
