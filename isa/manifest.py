"""The part of a program that is not code, constants or ONNX, as one JSON object.

Code, constants and the models of host partitions are *sections*; the manifest holds the SHA-256 of
each.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields

from .errors import ContainerError, TargetError
from .matrix import Matrix
from .program import ISA_VERSION, Binding, HostPartition, Origin, Program
from .target import Target
from .typed_json import Texts, canonical, from_plain, parse

FORMAT = "imcc.program/3"


@dataclass(frozen=True)
class Section:
    """A tensor of the container and the SHA-256 of its bytes, in hexadecimal."""

    name: str
    sha256: str


@dataclass(frozen=True)
class HostRecord:
    """A host partition without its model."""

    name: str
    inputs: tuple[Binding, ...]
    outputs: tuple[Binding, ...]
    nodes: tuple[str, ...]

    @classmethod
    def of(cls, host: HostPartition) -> HostRecord:
        """The record of a partition."""
        return cls(host.name, host.inputs, host.outputs, host.nodes)

    def partition(self, model: bytes) -> HostPartition:
        """The partition with its model."""
        return HostPartition(self.name, model, self.inputs, self.outputs, self.nodes)


@dataclass(frozen=True)
class Manifest:
    """Everything of a program but its sections and target; see `Program` for the fields."""

    format: str
    isa: tuple[int, int]
    matrices: tuple[Matrix, ...]
    inputs: tuple[Binding, ...]
    outputs: tuple[Binding, ...]
    global_size: int
    origins: tuple[Origin, ...]
    notes: tuple[tuple[str, str], ...]
    hosts: tuple[HostRecord, ...]
    sections: tuple[Section, ...]


def manifest_text(program: Program, sections: tuple[Section, ...]) -> str:
    """Canonical JSON of the manifest of `program`."""
    manifest = Manifest(
        FORMAT,
        ISA_VERSION,
        program.matrices,
        program.inputs,
        program.outputs,
        program.global_size,
        program.origins,
        program.notes,
        tuple(map(HostRecord.of, program.hosts)),
        sections,
    )
    texts = Texts()
    parts = {field.name: texts.of(getattr(manifest, field.name)) for field in fields(manifest)}
    parts["target"] = canonical(json.loads(program.target.to_json()))
    return "{" + ",".join(f'"{name}":{text}' for name, text in sorted(parts.items())) + "}"


def parse_manifest(text: str) -> tuple[Manifest, Target]:
    """Read what `manifest_text` wrote; raises `ContainerError` for anything else."""
    plain = parse(text, "manifest")
    if not isinstance(plain, dict):
        raise ContainerError("manifest: must be an object")
    if plain.get("format") != FORMAT:
        raise ContainerError(f"manifest.format: is {plain.get('format')!r}; it must be '{FORMAT}'")
    check_version(from_plain(tuple[int, int], plain.get("isa"), "manifest.isa"))
    raw_target = plain.pop("target", None)
    try:
        target = Target.from_tables(raw_target, "manifest.target")
    except TargetError as error:
        raise ContainerError(str(error)) from error
    return from_plain(Manifest, plain, "manifest"), target


def check_version(version: tuple[int, int]) -> None:
    """Raise `ContainerError` where a program needs another instruction set than this one."""
    major, minor = version
    if major != ISA_VERSION[0] or minor > ISA_VERSION[1]:
        ours = ".".join(map(str, ISA_VERSION))
        raise ContainerError(
            f"the program needs imcc ISA {major}.{minor}; this imcc has {ours}: "
            "compile the program again, or use the imcc that made it"
        )
