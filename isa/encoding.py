"""Binary form of instructions: one little-endian 64-bit word each, laid out by the table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from . import instructions as _instructions  # noqa: F401  (fills TABLE)
from .errors import EncodingError
from .instruction import OPCODE_BITS, TABLE, WORD_BITS, Field, Instruction

MAX_PROBLEMS = 50
_OPCODE_MASK = np.uint64((1 << OPCODE_BITS) - 1)


def encode(instructions: Sequence[Instruction]) -> NDArray[np.uint64]:
    """Encode instructions, one word each."""
    words = np.zeros(len(instructions), dtype=np.uint64)
    groups: dict[type[Instruction], list[int]] = defaultdict(list)
    for index, instruction in enumerate(instructions):
        groups[type(instruction)].append(index)
    for cls, indices in groups.items():
        group = np.full(len(indices), cls.opcode, dtype=np.uint64)
        for field in cls.layout:
            read = attrgetter(field.name)
            values = np.array([read(instructions[index]) for index in indices], dtype=np.int64)
            group |= (values.astype(np.uint64) & _mask(field)) << np.uint64(field.low_bit)
        words[indices] = group
    return words


def decode(words: NDArray[np.uint64], where: str) -> tuple[Instruction, ...]:
    """Decode words; `where` names their origin in errors ("core 3").

    Raises `EncodingError` that lists every word that is no instruction: an unknown opcode, a
    reserved bit that is set or a choice that does not exist.
    """
    words = np.ascontiguousarray(words, dtype=np.uint64)
    opcodes = words & _OPCODE_MASK
    decoded = np.empty(len(words), dtype=object)
    problems: list[tuple[int, str]] = []
    for opcode in np.unique(opcodes).tolist():
        indices = np.flatnonzero(opcodes == np.uint64(opcode))
        cls = TABLE.get(opcode)
        if cls is None:
            problems += [(i, f"unknown opcode {opcode:#04x}") for i in indices.tolist()]
            continue
        found = _problems(cls, words[indices], indices)
        problems += found
        if not found:
            decoded[indices] = _instances(cls, words[indices])
    if problems:
        raise EncodingError(_message(where, words, problems))
    return tuple(decoded.tolist())


def _mask(field: Field) -> np.uint64:
    return np.uint64((1 << field.kind.width) - 1)


def _extract(field: Field, words: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Values of a field, sign-extended where it is signed."""
    if not field.kind.signed:
        return ((words >> np.uint64(field.low_bit)) & _mask(field)).astype(np.int64)
    above = np.uint64(WORD_BITS - field.low_bit - field.kind.width)
    return (words << above).view(np.int64) >> np.int64(WORD_BITS - field.kind.width)


def _instances(cls: type[Instruction], words: NDArray[np.uint64]) -> list[Instruction]:
    names = [field.name for field in cls.layout]
    columns = [_extract(field, words).tolist() for field in cls.layout]
    rows = zip(*columns, strict=True) if columns else [()] * len(words)
    return [_instance(cls, dict(zip(names, row, strict=True))) for row in rows]


def _instance(cls: type[Instruction], values: dict[str, int]) -> Instruction:
    # The values fit their fields by construction, so the checks of __init__ are not repeated:
    # they would take most of the time of loading a program.
    made = object.__new__(cls)
    made.__dict__.update(values)
    return made


def _problems(
    cls: type[Instruction], words: NDArray[np.uint64], indices: NDArray[np.int64]
) -> list[tuple[int, str]]:
    used = OPCODE_BITS + sum(field.kind.width for field in cls.layout)
    problems: list[tuple[int, str]] = []
    if used < WORD_BITS:
        reserved = indices[(words >> np.uint64(used)) != 0]
        text = f"'{cls.mnemonic}' has reserved bits set: bits {used}..{WORD_BITS - 1} must be zero"
        problems += [(i, text) for i in reserved.tolist()]
    for field in cls.layout:
        if field.kind.choices is not None:
            wrong = ~np.isin(_extract(field, words), [int(c) for c in field.kind.choices])
            names = ", ".join(choice.name.lower() for choice in field.kind.choices)
            text = f"'{cls.mnemonic}' field '{field.name}' must be one of {names}"
            problems += [(i, text) for i in indices[wrong].tolist()]
    return problems


def _message(where: str, words: NDArray[np.uint64], problems: list[tuple[int, str]]) -> str:
    problems.sort()
    lines = [
        f"{where}, instruction {index}: {text} (word {int(words[index]):#018x})"
        for index, text in problems[:MAX_PROBLEMS]
    ]
    if len(problems) > MAX_PROBLEMS:
        lines.append(f"... and {len(problems) - MAX_PROBLEMS} more")
    return "\n".join(lines)
