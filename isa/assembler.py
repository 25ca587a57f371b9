"""Text to program: the inverse of the disassembler, and what people write by hand.

A line is a directive, an instruction, a comment (``; ...``) or empty. Directives:

    .imcc 1.0                        version of the instruction set; the first directive
    .target {...}                    the whole target
    .global 4096                     bytes of global memory
    .note ["key", "value"]           a fact about the compilation
    .input {...} / .output {...}     a binding
    .host {...}                      a host partition, p0 first; its model is in base64
    .matrix {...}                    a matrix handle, m0 first; its tiles follow
    .tile {...}                      a tile of the last matrix
    .origin 3 0 5 ["conv1"]          instructions [0, 5) of core 3 come from these nodes
    .core 3                          the instructions of core 3 follow
    .constants 128                   128 bytes in base64 follow
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .errors import AssemblyError, ContainerError, TargetError
from .instruction import Instruction
from .manifest import HostRecord, check_version
from .matrix import Matrix, Tile
from .problems import did_you_mean
from .program import Binding, HostPartition, Origin, Program
from .target import Target
from .typed_json import from_plain, parse

MAX_TEXT = 1 << 27
MAX_PROBLEMS = 50
_SHOWN = 96
_BASE64_LINE = re.compile(r"[A-Za-z0-9+/]*={0,2}")


def assemble(text: str) -> Program:
    """Assemble a whole program.

    Raises `AssemblyError` that lists every line that is wrong, each with a caret.
    """
    if len(text) > MAX_TEXT:
        raise AssemblyError(f"the text has {len(text)} characters; at most {MAX_TEXT} are allowed")
    return _Assembler(text).run()


class _Assembler:
    """The parts of a program as they are read, line by line."""

    def __init__(self, text: str) -> None:
        self._lines = [line.removesuffix("\r") for line in text.split("\n")]
        self._problems: list[tuple[int, int, str]] = []
        self._known: dict[str, Instruction] = {}
        self._seen: set[str] = set()
        self._target: Target | None = None
        self._global_size = 0
        self._notes: list[tuple[str, str]] = []
        self._inputs: list[Binding] = []
        self._outputs: list[Binding] = []
        self._hosts: list[HostPartition] = []
        self._matrices: list[Matrix] = []
        self._tiles: list[list[Tile]] = []
        self._origins: list[Origin] = []
        self._cores: dict[int, list[Instruction]] = {}
        self._code: list[Instruction] | None = None
        self._in_constants = False
        self._encoded: list[tuple[int, str]] = []
        self._constants_size = 0

    def run(self) -> Program:
        """Read all lines and put the program together."""
        for number, line in enumerate(self._lines, 1):
            if self._in_constants and not line.lstrip().startswith((".", ";")):
                self._encoded.append((number, line.strip()))
                continue
            try:
                self._read(line)
            except AssemblyError as error:
                self._problems.append((number, error.column, str(error)))
        return self._finish()

    def _read(self, line: str) -> None:
        from .asm_line import Directive, parse_line  # lark is loaded only where text is read

        stripped = line.strip()
        if not stripped or stripped.startswith(";"):
            return
        item = self._known.get(stripped) or parse_line(line)
        if isinstance(item, Directive):
            json = item.json.text if item.json else None
            numbers = [word.text for word in item.numbers]
            column = item.json.column if item.json else item.name.column
            self._directive(item.name.text, numbers, json, item.name.column, column)
            return
        self._known[stripped] = item
        if self._code is None:
            raise AssemblyError("an instruction stands before any '.core'", column=_indent(line))
        self._code.append(item)

    def _directive(
        self, name: str, numbers: list[str], json: str | None, column: int, json_column: int
    ) -> None:
        if name not in _DIRECTIVES:
            hint = did_you_mean(name, _DIRECTIVES)
            raise AssemblyError(f"unknown directive '{name}'{hint}", column=column)
        count, has_json, once, action = _DIRECTIVES[name]
        if len(numbers) != count or has_json != (json is not None):
            wanted = f"{count} numbers" if count != 1 else "1 number"
            raise AssemblyError(
                f"'{name}' takes {wanted} and {'JSON' if has_json else 'no JSON'}", column=column
            )
        if once and name in self._seen:
            raise AssemblyError(f"'{name}' stands twice; it must stand once", column=column)
        self._seen.add(name)
        self._code, self._in_constants = None, False
        try:
            action(self, numbers, parse(json, "JSON") if json is not None else None)
        except (ContainerError, TargetError) as error:
            raise AssemblyError(str(error), column=json_column) from error
        except AssemblyError as error:
            raise AssemblyError(str(error), column=column) from error

    def _finish(self) -> Program:
        constants = self._decode_constants()
        for name in (".imcc", ".target", ".global"):
            if name not in self._seen:
                self._problems.append((len(self._lines), 1, f"the directive '{name}' is missing"))
        if self._problems or self._target is None:
            raise self._error()
        return Program(
            target=self._target,
            cores={core: tuple(code) for core, code in self._cores.items()},
            matrices=tuple(
                replace(matrix, tiles=tuple(tiles))
                for matrix, tiles in zip(self._matrices, self._tiles, strict=True)
            ),
            constants=constants,
            inputs=tuple(self._inputs),
            outputs=tuple(self._outputs),
            global_size=self._global_size,
            origins=tuple(self._origins),
            notes=tuple(self._notes),
            hosts=tuple(self._hosts),
        )

    def _decode_constants(self) -> bytes:
        for number, line in self._encoded:
            if not _BASE64_LINE.fullmatch(line):
                self._problems.append((number, 1, "this line is not base64"))
                return b""
        last = self._encoded[-1][0] if self._encoded else len(self._lines)
        try:
            data = b64decode("".join(line for _, line in self._encoded))
        except binascii.Error as error:
            self._problems.append((last, 1, f"the constants are not base64: {error}"))
            return b""
        if len(data) != self._constants_size:
            message = f"'.constants' says {self._constants_size} bytes; {len(data)} follow"
            self._problems.append((last, 1, message))
        return data

    def _error(self) -> AssemblyError:
        problems = sorted(self._problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        parts = [f"the text is not a program: {count}"]
        for number, column, message in problems[:MAX_PROBLEMS]:
            line = self._lines[number - 1].replace("\t", " ")
            shown, shift = _window(line, column)
            caret = " " * (column - 1 - shift) + "^"
            parts.append(f"line {number}, column {column}: {message}\n  {shown}\n  {caret}")
        if len(problems) > MAX_PROBLEMS:
            parts.append(f"... and {len(problems) - MAX_PROBLEMS} more")
        return AssemblyError("\n".join(parts), *problems[0][:2])

    def imcc(self, numbers: list[str], _: object) -> None:
        """``.imcc 1.0``."""
        major, dot, minor = numbers[0].partition(".")
        if not dot:
            raise AssemblyError(f"the version is '{numbers[0]}'; expected such as '1.0'")
        check_version((int(major), int(minor)))

    def target(self, _: list[str], plain: object) -> None:
        """``.target {...}``."""
        self._target = Target.from_tables(plain, "target")

    def global_(self, numbers: list[str], _: object) -> None:
        """``.global 4096``."""
        self._global_size = _natural(numbers[0])

    def note(self, _: list[str], plain: object) -> None:
        """``.note ["key", "value"]``."""
        self._notes.append(from_plain(tuple[str, str], plain, "note"))

    def input(self, _: list[str], plain: object) -> None:
        """``.input {...}``."""
        self._inputs.append(from_plain(Binding, plain, "input"))

    def output(self, _: list[str], plain: object) -> None:
        """``.output {...}``."""
        self._outputs.append(from_plain(Binding, plain, "output"))

    def host(self, _: list[str], plain: object) -> None:
        """``.host {...}``, with the model in base64 under `model`."""
        parts = dict(plain) if isinstance(plain, dict) else {}
        text = from_plain(str, parts.pop("model", None), "host.model")
        record = from_plain(HostRecord, parts, "host")
        try:
            self._hosts.append(record.partition(b64decode(text, validate=True)))
        except (binascii.Error, ValueError) as error:
            raise AssemblyError(f"host.model is not base64: {error}") from error

    def matrix(self, _: list[str], plain: object) -> None:
        """``.matrix {...}``, without the tiles."""
        whole = {**plain, "tiles": []} if isinstance(plain, dict) else plain
        self._matrices.append(from_plain(Matrix, whole, "matrix"))
        self._tiles.append([])

    def tile(self, _: list[str], plain: object) -> None:
        """``.tile {...}``."""
        if not self._tiles:
            raise AssemblyError("'.tile' stands before any '.matrix'")
        self._tiles[-1].append(from_plain(Tile, plain, "tile"))

    def origin(self, numbers: list[str], plain: object) -> None:
        """``.origin 3 0 5 ["conv1"]``."""
        core, start, stop = (_natural(number) for number in numbers)
        self._origins.append(Origin(core, start, stop, from_plain(tuple[str, ...], plain, "nodes")))

    def core(self, numbers: list[str], _: object) -> None:
        """``.core 3``."""
        core = _natural(numbers[0])
        self._code = []
        if core in self._cores:
            raise AssemblyError(f"core {core} has code already")
        self._cores[core] = self._code

    def constants(self, numbers: list[str], _: object) -> None:
        """``.constants 128``."""
        self._constants_size = _natural(numbers[0])
        self._in_constants = True


_Action = Callable[[_Assembler, list[str], Any], None]
# How many numbers, whether JSON, whether only once, and what to do.
_DIRECTIVES: dict[str, tuple[int, bool, bool, _Action]] = {
    ".imcc": (1, False, True, _Assembler.imcc),
    ".target": (0, True, True, _Assembler.target),
    ".global": (1, False, True, _Assembler.global_),
    ".note": (0, True, False, _Assembler.note),
    ".input": (0, True, False, _Assembler.input),
    ".output": (0, True, False, _Assembler.output),
    ".host": (0, True, False, _Assembler.host),
    ".matrix": (0, True, False, _Assembler.matrix),
    ".tile": (0, True, False, _Assembler.tile),
    ".origin": (3, True, False, _Assembler.origin),
    ".core": (1, False, False, _Assembler.core),
    ".constants": (1, False, True, _Assembler.constants),
}


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise AssemblyError(f"'{text}' is not a natural number")
    return int(text)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip()) + 1


def _window(line: str, column: int) -> tuple[str, int]:
    """The part of a line around a column that fits a terminal, and how much is cut before it."""
    if len(line) <= _SHOWN:
        return line, 0
    start = max(0, min(column - _SHOWN // 2, len(line) - _SHOWN))
    return line[start : start + _SHOWN], start
