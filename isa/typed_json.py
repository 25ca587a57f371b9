"""Frozen dataclasses as canonical JSON and back, strictly: every key, no other, exact types."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import IntEnum
from functools import cache
from math import isfinite
from numbers import Integral, Real
from operator import attrgetter
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from .errors import ContainerError

_T = TypeVar("_T")
_INT_LIMIT = 1 << 63
_PLAIN = frozenset({int, bool, str, float})


def to_plain(value: object) -> object:
    """Dataclasses as objects, tuples as arrays, enumerations as lower-case names."""
    kind: Any = type(value)
    if kind in _PLAIN:
        return value
    names = _names(kind)
    if names is not None:
        return {name: to_plain(getattr(value, name)) for name in names}
    if isinstance(value, (tuple, list)):
        return [to_plain(item) for item in value]
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


@cache
def _names(kind: type) -> tuple[str, ...] | None:
    """The fields of a dataclass, None for other types."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else None


def canonical(plain: object) -> str:
    """JSON text with sorted keys, no spaces and ASCII only."""
    return json.dumps(
        plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


class Texts:
    """What `canonical` gives for the plain form of values; tuples that they share are made once."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}  # by identity: no tuple is let go before its owner

    def of(self, value: object) -> str:
        """The text of a value, which must outlive this object."""
        kind: Any = type(value)
        if kind is int:
            return str(value)
        if kind is bool:
            return "true" if value else "false"
        if isinstance(value, tuple):
            return self._known.get(id(value)) or self._array(value)
        names = _names(kind)
        if not names:
            return canonical(to_plain(value))
        text, values = _form(names)
        return text % tuple(map(self.of, values(value)))

    def _array(self, items: tuple[object, ...]) -> str:
        text = self._known[id(items)] = f"[{','.join(map(self.of, items))}]"
        return text


@cache
def _form(names: tuple[str, ...]) -> tuple[str, Callable[[object], tuple[object, ...]]]:
    """The text of an object with a place for each of its fields, and what reads these in order."""
    text = ",".join(f'"{name}":%s' for name in sorted(names))
    read = attrgetter(*sorted(names))
    return f"{{{text}}}", read if len(names) > 1 else lambda value: (read(value),)


def parse(text: str | bytes, where: str) -> Any:
    """Parse JSON; raises `ContainerError` for wrong syntax, NaN, depth and duplicate keys."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError as error:
        raise ContainerError(f"{where}: the JSON is nested too deeply") from error
    except ValueError as error:
        raise ContainerError(f"{where}: not valid JSON: {error}") from error


def from_plain(hint: type[_T], plain: object, where: str) -> _T:
    """Build a value of type `hint`; raises `ContainerError` naming the place that is wrong."""
    return _READERS.get(hint, _read_compound)(hint, plain, where)  # type: ignore[no-any-return]


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {twice!r} occurs twice")
    return made


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not allowed")


def _wrong(where: str, wanted: str, plain: object) -> ContainerError:
    text = repr(plain)
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    return ContainerError(f"{where}: must be {wanted}, not {shown}")


def _read_int(_: type, plain: object, where: str) -> int:
    if isinstance(plain, bool) or not isinstance(plain, int) or abs(plain) >= _INT_LIMIT:
        raise _wrong(where, "an integer of 64 bits", plain)
    return plain


def _read_float(_: type, plain: object, where: str) -> float:
    if isinstance(plain, bool) or not isinstance(plain, (int, float)):
        raise _wrong(where, "a finite number", plain)
    if abs(plain) > 1e308 or not isfinite(plain):
        raise _wrong(where, "a finite number", plain)
    return float(plain)


def _read_bool(_: type, plain: object, where: str) -> bool:
    if not isinstance(plain, bool):
        raise _wrong(where, "true or false", plain)
    return plain


def _read_str(_: type, plain: object, where: str) -> str:
    if not isinstance(plain, str):
        raise _wrong(where, "a string", plain)
    return plain


_READERS: dict[object, Callable[[Any, object, str], Any]] = {
    int: _read_int,
    float: _read_float,
    bool: _read_bool,
    str: _read_str,
}


def _read_compound(hint: Any, plain: object, where: str) -> Any:
    if get_origin(hint) is tuple:
        return _read_tuple(get_args(hint), plain, where)
    if issubclass(hint, IntEnum):
        return _read_enum(hint, plain, where)
    return _read_dataclass(hint, plain, where)


def _read_tuple(hints: tuple[Any, ...], plain: object, where: str) -> tuple[Any, ...]:
    if not isinstance(plain, list):
        raise _wrong(where, "an array", plain)
    if hints[-1] is Ellipsis:
        return tuple(from_plain(hints[0], item, f"{where}[{i}]") for i, item in enumerate(plain))
    if len(plain) != len(hints):
        raise _wrong(where, f"an array of {len(hints)} items", plain)
    pairs = enumerate(zip(hints, plain, strict=True))
    return tuple(from_plain(hint, item, f"{where}[{i}]") for i, (hint, item) in pairs)


def _read_enum(hint: type[IntEnum], plain: object, where: str) -> IntEnum:
    by_name = {choice.name.lower(): choice for choice in hint}
    if not isinstance(plain, str) or plain not in by_name:
        raise _wrong(where, f"one of {', '.join(by_name)}", plain)
    return by_name[plain]


def _read_dataclass(hint: Any, plain: object, where: str) -> Any:
    if not isinstance(plain, dict):
        raise _wrong(where, "an object", plain)
    hints = _hints(hint)
    for name in plain:
        if name not in hints:
            raise ContainerError(f"{where}: unknown key {name!r}; allowed are {', '.join(hints)}")
    for name in hints:
        if name not in plain:
            raise ContainerError(f"{where}: key {name!r} is missing")
    return hint(**{name: from_plain(hints[name], plain[name], f"{where}.{name}") for name in hints})


@cache
def _hints(cls: type) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls)}
