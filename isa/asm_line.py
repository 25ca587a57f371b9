"""One line of assembly text: parsed with lark, read by the instruction table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import NoReturn

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from . import instructions as _instructions  # noqa: F401  (fills BY_MNEMONIC)
from .errors import AssemblyError, EncodingError
from .fields import Kind
from .instruction import BY_MNEMONIC, Field, Instruction
from .problems import did_you_mean

_NAMES = {
    "DIRECTIVE": "a directive",
    "NAME": "a name",
    "NUMBER": "a number",
    "VERSION": "a version",
    "JSON": "JSON",
    "COMMA": "','",
    "$END": "the end of the line",
}


@dataclass(frozen=True)
class Word:
    """A piece of a line and the column where it begins, counted from 1."""

    text: str
    column: int


@dataclass(frozen=True)
class Directive:
    """A line such as ``.origin 3 0 5 ["conv"]``: its name, its numbers and its JSON."""

    name: Word
    numbers: tuple[Word, ...]
    json: Word | None


def parse_line(line: str) -> Directive | Instruction:
    """Read a line that holds a directive or an instruction.

    Raises `AssemblyError` with the column in `column` and a message without the place.
    """
    try:
        tree = _parser().parse(line)
    except UnexpectedInput as error:
        _refuse(error, len(line))
    words = [Word(str(token), token.column or 1) for token in tree.scan_values(_is_token)]
    if tree.data == "directive":
        return _directive(tree, words)
    return _instruction(words)


def operand_value(kind: Kind, word: Word, field: str) -> int:
    """Read an operand of the given kind; raises `AssemblyError`."""
    if kind.choices is not None:
        return _choice(kind.choices, word, field)
    digits = word.text.removeprefix(kind.prefix)
    has_prefix = word.text.startswith(kind.prefix)
    if not has_prefix or not digits.removeprefix("-").isdecimal() or not digits.isascii():
        wanted = f"'{kind.prefix}' and a number, such as '{kind.prefix}0'" if kind.prefix else ""
        raise AssemblyError(
            f"operand '{field}' is '{word.text}'; expected {wanted or 'a number'}",
            column=word.column,
        )
    return int(digits)


@cache
def _parser() -> Lark:
    grammar = Path(__file__).with_name("asm.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", maybe_placeholders=False)


def _is_token(value: object) -> bool:
    return isinstance(value, Token)


def _directive(tree: Tree[Token], words: Sequence[Word]) -> Directive:
    last = tree.children[-1]
    has_json = isinstance(last, Token) and last.type == "JSON"
    numbers = words[1:-1] if has_json else words[1:]
    return Directive(words[0], tuple(numbers), words[-1] if has_json else None)


def _instruction(words: Sequence[Word]) -> Instruction:
    mnemonic, *operands = words
    cls = BY_MNEMONIC.get(mnemonic.text)
    if cls is None:
        hint = did_you_mean(mnemonic.text.lower(), BY_MNEMONIC)
        raise AssemblyError(f"unknown instruction '{mnemonic.text}'{hint}", column=mnemonic.column)
    if len(operands) != len(cls.written):
        names = ", ".join(field.name for field in cls.written) or "none"
        raise AssemblyError(
            f"'{mnemonic.text}' takes {len(cls.written)} operands ({names}), not {len(operands)}",
            column=mnemonic.column,
        )
    values: dict[str, int] = {}
    for operand, word in zip(cls.written, operands, strict=True):
        offset = cls.offsets.get(operand.name)
        parts = _apart(word) if offset else (word,)
        for field, part in zip(filter(None, (operand, offset)), parts, strict=False):
            values[field.name] = _field_value(cls, field, part)
    return cls(**values)


def _apart(word: Word) -> Iterator[Word]:
    """A stream, and what is behind it: ``s1`` and ``-64`` of ``s1-64``."""
    stream = word.text[:1] + re.split("[+-]", word.text[1:])[0]
    yield Word(stream, word.column)
    if stream != word.text:
        behind = word.text.removeprefix(stream)
        yield Word(behind.removeprefix("+"), word.column + len(stream))


def _field_value(cls: type[Instruction], field: Field, word: Word) -> int:
    value = operand_value(field.kind, word, field.name)
    try:
        field.kind.check(cls.mnemonic, field.name, value)
    except EncodingError as error:
        raise AssemblyError(str(error), column=word.column) from error
    return value


def _choice(choices: type[IntEnum], word: Word, field: str) -> int:
    by_name = {choice.name.lower(): int(choice) for choice in choices}
    if word.text not in by_name:
        hint = did_you_mean(word.text, by_name)
        raise AssemblyError(
            f"operand '{field}' is '{word.text}'; expected one of {', '.join(by_name)}{hint}",
            column=word.column,
        )
    return by_name[word.text]


def _refuse(error: UnexpectedInput, length: int) -> NoReturn:
    expected: set[str] = set()
    found = "the end of the line"
    column = length + 1
    if isinstance(error, UnexpectedCharacters):
        expected, found, column = set(error.allowed or ()), repr(error.char), error.column
    elif isinstance(error, UnexpectedToken):
        expected = set(error.accepts or error.expected)
        if error.token.type != "$END":
            found, column = f"'{error.token}'", error.column
    wanted = " or ".join(_NAMES[name] for name in sorted(expected & _NAMES.keys()))
    raise AssemblyError(f"found {found}; expected {wanted}", column=column) from error
