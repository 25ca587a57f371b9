"""Strings, numbers and identifiers as MLIR spells them."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable

_ESCAPED = re.compile(r'[\x00-\x1f"\\\x7f]')
_ESCAPE = re.compile(rb"\\(?:([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b'"': b'"', b"\\": b"\\"}
_VALUE_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_$.-]*|[0-9]+", re.ASCII)
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_]", re.ASCII)


def quote(text: str) -> str:
    """A string literal; control characters, quotes and backslashes become two hex digits."""
    return '"' + _ESCAPED.sub(lambda match: f"\\{ord(match[0]):02X}", text) + '"'


def unquote(literal: str) -> str:
    """The text of a string literal; raises ValueError for escapes that MLIR does not have."""
    inner = literal[1:-1]
    if "\\" not in inner:
        return inner
    return _ESCAPE.sub(_unescaped, inner.encode()).decode()


def _unescaped(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return bytes.fromhex(match[1].decode())
    if match[2] not in _LETTERS:
        raise ValueError(f"unknown escape \\{match[2].decode(errors='replace')} in a string")
    return _LETTERS[match[2]]


def float_literal(value: float, shortest: str | None = None) -> str:
    """A finite number with a decimal point, as MLIR wants it; `shortest` is its digits."""
    mantissa, exponent, power = (shortest or repr(value)).partition("e")
    point = "" if "." in mantissa else ".0"
    return f"{mantissa}{point}{exponent}{power}"


def float_bits(value: float) -> str:
    """The bits of a float64 in hexadecimal: the only way to write infinities and NaN."""
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def float_attribute(value: float) -> str:
    """A float attribute that reads back as exactly `value`."""
    return f"{float_literal(value) if math.isfinite(value) else float_bits(value)} : f64"


def value_ids(names: Iterable[str]) -> dict[str, str]:
    """An SSA identifier, without the percent sign, for each name: the name itself where legal."""
    listed = list(names)
    taken = {name for name in listed if _VALUE_ID.fullmatch(name)}
    ids: dict[str, str] = {}
    for name in listed:
        ids[name] = name if name in taken else _unused(_bare(name), taken)
        taken.add(ids[name])
    return ids


def resource_keys(names: Iterable[str]) -> dict[str, str]:
    """A bare identifier for each name."""
    keys: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        keys[name] = _unused(_bare(name), taken)
        taken.add(keys[name])
    return keys


def _bare(name: str) -> str:
    plain = _NOT_IN_ID.sub("_", name)
    return plain if plain[:1].isalpha() else f"v{plain}"


def _unused(wanted: str, taken: set[str]) -> str:
    unique, count = wanted, 0
    while unique in taken:
        count += 1
        unique = f"{wanted}_{count}"
    return unique
