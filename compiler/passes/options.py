"""Options of a pass: the fields of its dataclass, read from text and written as text."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import Field, fields
from enum import StrEnum
from typing import Any, Union, get_args, get_origin, get_type_hints

from imcc.isa.problems import did_you_mean

from ..errors import InputError
from .base import Pass

NONE = "none"


def make_pass(cls: type[Pass], options: Mapping[str, Sequence[str] | None]) -> Pass:
    """A pass with these options; None stands for an option without a value.

    Raises `InputError` for unknown options and for values of the wrong type or range.
    """
    hints = get_type_hints(cls)
    known = {option_name(field): field.name for field in fields(cls)}
    arguments: dict[str, Any] = {}
    for option, items in options.items():
        if option not in known:
            raise InputError(_unknown_option(cls, option, list(known)))
        arguments[known[option]] = _read_option(cls, option, hints[known[option]], items)
    try:
        return cls(**arguments)
    except ValueError as error:
        raise InputError(f"pass '{cls.name}', options {_shown(options)}: {error}") from error


def print_options(pass_: Pass) -> str:
    """The options that differ from their defaults, such as ``weight-bits=4 method=mse``."""
    return " ".join(
        f"{option_name(field)}={_written(value)}"
        for field in fields(pass_)
        if (value := getattr(pass_, field.name)) != field.default
    )


def option_name(field: Field[Any]) -> str:
    """The name of an option in text: that of its field in kebab case."""
    return field.name.replace("_", "-")


def _unknown_option(cls: type[Pass], option: str, known: list[str]) -> str:
    allowed = f"its options are {', '.join(known)}" if known else "it has no options"
    hint = did_you_mean(option, known)
    return f"pass '{cls.name}' has no option '{option}'{hint} ({allowed})"


def _shown(options: Mapping[str, Sequence[str] | None]) -> str:
    return ", ".join(
        f"'{name}'" if items is None else f"'{name}={','.join(items)}'"
        for name, items in options.items()
    )


def _written(value: object) -> str:
    if value is None or value == ():
        return NONE
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(_written(item) for item in value)
    if isinstance(value, float):
        return repr(value)
    return _quoted(str(value))


def _quoted(text: str) -> str:
    plain = text and all(char.isalnum() or char in "_.+-/" for char in text)
    if plain and text.isascii() and text != NONE:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _read_option(cls: type[Pass], option: str, hint: object, items: Sequence[str] | None) -> object:
    try:
        return _read(hint, ("true",) if items is None else items)
    except ValueError as error:
        found = "no value" if items is None else f"'{','.join(items)}'"
        raise InputError(f"pass '{cls.name}', option '{option}': {found} {error}") from error


def _read(hint: Any, items: Sequence[str]) -> object:
    arms = get_args(hint) if get_origin(hint) in (types.UnionType, Union) else (hint,)
    if type(None) in arms and list(items) == [NONE]:
        return None
    (wanted,) = (arm for arm in arms if arm is not type(None))
    if get_origin(wanted) is tuple:
        element = get_args(wanted)[0]
        return tuple(_scalar(element, item) for item in items if list(items) != [NONE])
    if len(items) != 1:
        raise ValueError("is a list, and the option takes one value")
    return _scalar(wanted, items[0])


def _scalar(hint: Any, text: str) -> object:
    if hint is bool:
        if text not in ("true", "false"):
            raise ValueError("is not one of true, false")
        return text == "true"
    if hint in (int, float):
        return _number(hint, text)
    if issubclass(hint, StrEnum):
        return _member(hint, text)
    return str(text)


def _number(hint: type[int] | type[float], text: str) -> int | float:
    try:
        return hint(text)
    except ValueError as error:
        kind = "an integer" if hint is int else "a number"
        raise ValueError(f"is not {kind}") from error


def _member(hint: type[StrEnum], text: str) -> StrEnum:
    allowed = [member.value for member in hint]
    if text not in allowed:
        raise ValueError(f"is not one of {', '.join(allowed)}{did_you_mean(text, allowed)}")
    return hint(text)
