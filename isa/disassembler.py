"""Program to text; `assemble` makes the same program of it again, to the byte."""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator

from .instruction import Instruction
from .instructions import LOOP_DEPTH, Loop
from .manifest import HostRecord
from .matrix import Matrix
from .program import ISA_VERSION, Binding, HostPartition, Program
from .typed_json import canonical, to_plain

_BYTES_A_LINE = 72


def disassemble(program: Program) -> str:
    """Write a whole program as assembly text."""
    return "\n".join(_lines(program)) + "\n"


def _lines(program: Program) -> Iterator[str]:
    yield f".imcc {ISA_VERSION[0]}.{ISA_VERSION[1]}"
    yield f".target {program.target.to_json()}"
    yield f".global {program.global_size}"
    yield from (f".note {canonical(to_plain(note))}" for note in program.notes)
    yield from (f".input {_json(binding)}" for binding in program.inputs)
    yield from (f".output {_json(binding)}" for binding in program.outputs)
    yield from (f".host {_host(host)}" for host in program.hosts)
    for index, matrix in enumerate(program.matrices):
        yield f"; m{index}"
        yield from _matrix(matrix)
    for origin in program.origins:
        nodes = canonical(to_plain(origin.nodes))
        yield f".origin {origin.core} {origin.start} {origin.stop} {nodes}"
    comments = _comments(program)
    for core, code in sorted(program.cores.items()):
        yield ""
        yield f".core {core}"
        yield from _code(code, comments[core])
    yield ""
    yield f".constants {len(program.constants)}"
    for start in range(0, len(program.constants), _BYTES_A_LINE):
        yield b64encode(program.constants[start : start + _BYTES_A_LINE]).decode("ascii")


def _json(binding: Binding) -> str:
    return canonical(to_plain(binding))


def _host(host: HostPartition) -> str:
    plain = to_plain(HostRecord.of(host))
    assert isinstance(plain, dict)
    return canonical({**plain, "model": b64encode(host.model).decode("ascii")})


def _matrix(matrix: Matrix) -> Iterator[str]:
    plain = to_plain(matrix)
    assert isinstance(plain, dict)
    tiles = plain.pop("tiles")
    yield f".matrix {canonical(plain)}"
    yield from (f"  .tile {canonical(tile)}" for tile in tiles)


def _comments(program: Program) -> dict[int, dict[int, list[str]]]:
    """Comment lines by core and by the index of the instruction that they stand before."""
    comments: dict[int, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for origin in program.origins:
        names = ", ".join(ascii(node) for node in origin.nodes)
        comments[origin.core][origin.start].append(f"; node {names}")
    return comments


def _code(code: tuple[Instruction, ...], comments: dict[int, list[str]]) -> Iterator[str]:
    ends: list[int] = []
    for pc, instruction in enumerate(code):
        while ends and pc >= ends[-1]:
            ends.pop()
        indent = "  " * (min(len(ends), LOOP_DEPTH) + 1)
        yield from (indent + comment for comment in comments.get(pc, ()))
        yield indent + str(instruction)
        if isinstance(instruction, Loop):
            ends.append(pc + 1 + instruction.body)
