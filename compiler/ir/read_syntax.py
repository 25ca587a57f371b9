"""From text to the tree of MLIR's generic syntax, by the grammar in ``ir.lark``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken, v_args
from lark.exceptions import UnexpectedCharacters

from .lexical import unquote
from .source import Position, Source
from .syntax import (
    Attribute,
    Dense,
    Module,
    Operation,
    Region,
    Resource,
    Signature,
    float_of_bits,
)
from .type_text import read_quant, read_type
from .types import DType, QuantParams, TensorType

_T = TypeVar("_T")

_KINDS = {
    "ARRAY": "array<...>",
    "BOOLEAN": "true or false",
    "ELEMENT": "a type such as i64",
    "FLOAT": "a float",
    "HEX": "hexadecimal bits",
    "INT": "an integer",
    "LABEL": "a block label such as ^bb0",
    "NAME": "a name",
    "QUANT": "!quant.uniform<...>",
    "SCALARS": "a name",
    "RESOURCE": "dense_resource<...>",
    "STRING": "a string",
    "TENSOR": "tensor<...>",
    "VALUE": "a value such as %x",
}


_SCALARS = {"true": True, "false": False}


def read_syntax(source: Source) -> Module:
    """Read a module; raises `InputError` with the place of the first thing that cannot be read."""
    try:
        return cast(Module, _grammar().parse(source.text))
    except _TokenError as error:
        raise source.error(_position(error.token), str(error)) from error
    except UnexpectedInput as error:
        raise source.error(_place(source, error), _expectation(error)) from error


class _TokenError(Exception):
    """A token of the right form with wrong content."""

    def __init__(self, token: Token, message: object) -> None:
        super().__init__(str(message))
        self.token = token


def _position(token: Token) -> Position:
    return Position(token.line or 1, token.column or 1)


def _place(source: Source, error: UnexpectedInput) -> Position:
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        return source.end
    return Position(error.line, error.column)


def _expectation(error: UnexpectedInput) -> str:
    if isinstance(error, UnexpectedToken):
        expected = error.accepts or error.expected
        end = error.token.type == "$END"
        found = "the text ends here" if end else f"found '{str(error.token)[:40]}'"
    else:
        expected = cast(UnexpectedCharacters, error).allowed or set()
        found = "cannot read this"
    return f"{found}, expected {' or '.join(sorted({_spelled(name) for name in expected}))}"


def _spelled(terminal: str) -> str:
    if terminal == "$END":
        return "the end of the text"
    found = next(t.pattern for t in _grammar().terminals if t.name == terminal)
    return _KINDS.get(terminal) or f"'{found.value}'"


def _checked(token: Token, read: Callable[[str], _T]) -> _T:
    try:
        return read(str(token))
    except ValueError as error:
        raise _TokenError(token, error) from error


def _read_array(text: str) -> tuple[bool | int | float, ...]:
    """Elements of ``array<i64: 1, 2>``; raises ValueError for elements of another type."""
    kind, _, listed = text.removeprefix("array<").removesuffix(">").partition(":")
    dtype = DType(kind.strip())
    items = [item.strip() for item in listed.split(",")] if listed.strip() else []
    if dtype is DType.BOOL:
        return tuple(_read_bool(item) for item in items)
    return tuple(float(item) if dtype.is_float else int(item) for item in items)


def _read_bool(item: str) -> bool:
    if item not in _SCALARS:
        raise ValueError(f"{item!r} is not one of true, false")
    return _SCALARS[item]


@v_args(inline=True)
class _Builder(Transformer[Token, Module]):
    """Turns each rule of the grammar into its value while the text is being read."""

    def start(self, operation: Operation, resources: Mapping[str, str] | None) -> Module:
        return Module(operation, resources or {})

    def operation(
        self,
        results: tuple[str, ...] | None,
        name: Token,
        operands: tuple[str, ...],
        properties: Mapping[str, Attribute] | None,
        regions: tuple[Region, ...] | None,
        attributes: Mapping[str, Attribute] | None,
        signature: Signature,
    ) -> Operation:
        merged = {**(properties or {}), **(attributes or {})}
        place, text = _position(name), _checked(name, unquote)
        return Operation(text, place, results or (), operands, merged, regions or (), signature)

    def results(self, *values: Token) -> tuple[str, ...]:
        return tuple(str(value[1:]) for value in values)

    operands = results

    def properties(self, entries: Mapping[str, Attribute]) -> Mapping[str, Attribute]:
        return entries

    def regions(self, *regions: Region) -> tuple[Region, ...]:
        return regions

    def region(
        self, arguments: tuple[tuple[str, TensorType], ...] | None, *operations: Operation
    ) -> Region:
        return Region(arguments or (), operations)

    def block(
        self, _label: Token, *arguments: tuple[str, TensorType] | None
    ) -> tuple[tuple[str, TensorType], ...]:
        return tuple(argument for argument in arguments if argument)

    def argument(self, value: Token, type_: TensorType) -> tuple[str, TensorType]:
        return (str(value[1:]), type_)

    def signature(
        self, operands: tuple[TensorType, ...], results: tuple[TensorType, ...]
    ) -> Signature:
        return Signature(operands, results)

    def types(self, *types: TensorType) -> tuple[TensorType, ...]:
        return types

    single = types

    def tensor(self, token: Token) -> TensorType:
        return _checked(token, read_type)

    def dictionary(self, *entries: dict[str, Attribute]) -> dict[str, Attribute]:
        return {key: value for entry in entries for key, value in entry.items()}

    def entry(self, key: Token, value: Attribute) -> dict[str, Attribute]:
        return {_checked(key, unquote) if key.type == "STRING" else str(key): value}

    def scalars(self, token: Token) -> dict[str, Attribute]:
        pairs = (entry.partition(" = ") for entry in token.split(", "))
        return {
            key: _SCALARS[text] if text in _SCALARS else int(text[:-6]) for key, _, text in pairs
        }

    def integer(self, digits: Token, _type: Token | None) -> int:
        return int(digits)

    def real(self, digits: Token, _type: Token | None) -> float:
        return float(digits)

    def bits(self, digits: Token, type_: Token) -> float:
        return _checked(digits, lambda text: float_of_bits(text, DType(type_)))

    def string(self, token: Token) -> str:
        return _checked(token, unquote)

    def boolean(self, token: Token) -> bool:
        return str(token) == "true"

    def unit(self) -> None:
        return None

    def list(self, *items: Attribute) -> tuple[Attribute, ...]:
        return items

    def array(self, token: Token) -> tuple[bool | int | float, ...]:
        return _checked(token, _read_array)

    def quant(self, token: Token) -> QuantParams:
        return _checked(token, read_quant)

    def dense(self, *parts: Any) -> Dense:
        *elements, type_ = (part for part in parts if part is not None)
        made = Dense(elements[0] if elements else (), _checked(type_, read_type))
        _checked(type_, lambda _: made.array())
        return made

    def number(self, token: Token) -> str:
        return str(token)

    def elements(self, *items: Any) -> tuple[Any, ...]:
        return items

    def resource(self, token: Token, type_: TensorType) -> Resource:
        return Resource(token.removeprefix("dense_resource<").removesuffix(">").strip(), type_)

    def resources(self, *blobs: tuple[str, str]) -> dict[str, str]:
        return dict(blobs)

    def blob(self, key: Token, text: Token) -> tuple[str, str]:
        return (str(key), text[1:-1])


@cache
def _grammar() -> Lark:
    text = Path(__file__).with_name("ir.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", transformer=_Builder(), maybe_placeholders=True)
