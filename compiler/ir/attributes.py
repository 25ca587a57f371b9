"""Fields of operators as MLIR attributes, in both directions.

Writing goes by the value, reading by the type hint of the field. A nested dataclass is a
dictionary of its fields; a nested operator has its name under ``op`` as well. None is left out
where a field would be None anyway, and ``unit`` elsewhere. Bytes are a string in base64.
"""

from __future__ import annotations

import math
import types
from base64 import b64decode, b64encode
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from imcc.isa.problems import did_you_mean

from .lexical import float_attribute, float_literal, quote
from .op import OPS, Op
from .syntax import Attribute
from .type_text import write_quant, write_type
from .types import QuantParams, TensorType

PREFIX = "imcc."


def write_fields(value: Any) -> Iterator[tuple[str, str]]:
    """Name and attribute text of each field of a dataclass."""
    for field in fields(value):
        item = getattr(value, field.name)
        if item is not None or field.default not in (None, MISSING):
            yield field.name, write_attribute(item)


def write_attribute(value: object) -> str:
    """The text of an attribute; raises TypeError for values that no operator may hold."""
    match value:
        case None:
            return "unit"
        case bool():
            return "true" if value else "false"
        case int():
            return f"{value} : i64"
        case float():
            return float_attribute(value)
        case str():
            return quote(str(value))
        case bytes():
            return quote(b64encode(value).decode("ascii"))
        case tuple():
            return _write_tuple(value)
    return _write_structure(value)


def _write_structure(value: object) -> str:
    if isinstance(value, QuantParams):
        return write_quant(value)
    if isinstance(value, TensorType):
        return write_type(value)
    if not is_dataclass(value):
        raise TypeError(f"an attribute cannot be a {type(value).__name__}: {value!r}")
    entries = [f"{name} = {text}" for name, text in write_fields(value)]
    if isinstance(value, Op):
        entries.insert(0, f"op = {quote(PREFIX + value.name)}")
    return "{" + ", ".join(entries) + "}"


def _write_tuple(items: tuple[object, ...]) -> str:
    kinds = {type(item) for item in items}
    if kinds == {int}:
        return f"array<i64: {', '.join(map(str, items))}>"
    if kinds == {bool}:
        return f"array<i1: {', '.join(map(write_attribute, items))}>"
    floats = [item for item in items if isinstance(item, float) and math.isfinite(item)]
    if floats and len(floats) == len(items):
        return f"array<f64: {', '.join(float_literal(item) for item in floats)}>"
    return f"[{', '.join(map(write_attribute, items))}]"


def read_op(name: str, attributes: Mapping[str, Attribute]) -> Op:
    """The operator ``imcc.<name>`` with these attributes; raises ValueError with the reason."""
    cls = OPS.get(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
    if cls is None:
        known = [PREFIX + known for known in OPS]
        raise ValueError(f"no operator is named '{name}'{did_you_mean(name, known)}")
    made: Op = _read_dataclass(cls, attributes, name)
    return made


def _read_dataclass(cls: type[Any], attributes: Mapping[str, Attribute], where: str) -> Any:
    known = [field.name for field in fields(cls)]
    for name in attributes:
        if name not in known:
            hint = did_you_mean(name, known)
            allowed = ", ".join(known) or "none"
            raise ValueError(f"{where} has no attribute '{name}'{hint} (it has {allowed})")
    hints = _hints(cast(Hashable, cls))
    return cls(**{f.name: _read_field(f, hints[f.name], attributes, where) for f in fields(cls)})


_hints = cache(get_type_hints)


def _read_field(
    field: Field[Any], hint: Any, attributes: Mapping[str, Attribute], where: str
) -> Any:
    if field.name in attributes:
        return _read(hint, attributes[field.name], f"attribute '{field.name}' of {where}")
    if field.default is not MISSING:
        return field.default
    if type(None) in _arms(hint):
        return None
    raise ValueError(f"{where} lacks the attribute '{field.name}'")


@cache
def _arms(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (types.UnionType, Union) else (hint,)


def _read(hint: Any, value: Attribute, where: str) -> Any:
    if type(value) is hint:
        return value
    arms = _arms(hint)
    if value is None and type(None) in arms:
        return None
    problems: list[ValueError] = []
    for arm in arms:
        try:
            return _read_one(arm, value, where)
        except ValueError as error:
            problems.append(error)
    raise max(problems, key=lambda problem: len(str(problem)))


def _read_one(hint: Any, value: Attribute, where: str) -> Any:
    if get_origin(hint) is tuple and isinstance(value, tuple):
        return _read_tuple(get_args(hint), value, where)
    if not isinstance(hint, type):
        raise ValueError(f"{where} cannot be {_kind(value)}")
    if issubclass(hint, StrEnum) and isinstance(value, str):
        return _read_member(hint, value, where)
    if hint is bytes and isinstance(value, str):
        return _read_bytes(value, where)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is hint:
        return value
    if isinstance(value, Mapping) and issubclass(hint, Op):
        return _read_nested_op(hint, value, where)
    if isinstance(value, Mapping) and is_dataclass(hint):
        return _read_dataclass(hint, value, where)
    raise ValueError(f"{where} must be {hint.__name__}, found {_kind(value)}")


def _read_tuple(hints: tuple[Any, ...], items: tuple[Attribute, ...], where: str) -> Any:
    if len(hints) == 2 and hints[1] is Ellipsis:
        return tuple(_read(hints[0], item, where) for item in items)
    if len(hints) != len(items):
        raise ValueError(f"{where} must have {len(hints)} elements, found {len(items)}")
    return tuple(_read(hint, item, where) for hint, item in zip(hints, items, strict=True))


def _read_member(hint: type[StrEnum], value: str, where: str) -> StrEnum:
    allowed = [member.value for member in hint]
    if value not in allowed:
        near = did_you_mean(value, allowed)
        raise ValueError(f"{where} is '{value}', allowed are {', '.join(allowed)}{near}")
    return hint(value)


def _read_bytes(text: str, where: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(f"{where} is not base64: {error}") from error


def _read_nested_op(hint: type[Op], value: Mapping[str, Attribute], where: str) -> Op:
    name = value.get("op")
    if not isinstance(name, str):
        raise ValueError(f'{where} must name its operator: op = "imcc.relu"')
    op = read_op(name, {key: item for key, item in value.items() if key != "op"})
    if not isinstance(op, hint):
        raise ValueError(f"{where} must be {hint.__name__}, found {name}")
    return op


def _kind(value: Attribute) -> str:
    return "nothing" if value is None else f"{type(value).__name__} {str(value)[:40]}"
