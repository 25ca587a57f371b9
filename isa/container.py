"""The `.imc` file: safetensors layout with the manifest under the metadata key `imcc`.

Tensors are `code.<core, five digits>` (uint64, one word an instruction), `constants` (uint8) and
`host.<partition, five digits>` (uint8, an ONNX model). Equal programs give identical bytes. Files
are written atomically. A file that is not well formed is refused with `ContainerError`, whatever is
wrong with it.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import struct
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np

from .encoding import decode, encode
from .errors import ContainerError, EncodingError
from .instruction import Instruction
from .manifest import HostRecord, Section, manifest_text, parse_manifest
from .program import HostPartition, Program
from .typed_json import canonical, from_plain, parse

MAX_FILE_BYTES = 1 << 31
MAX_HEADER_BYTES = 100_000_000
_ALIGNMENT = 8
_CONSTANTS = "constants"
_CODE_NAME = re.compile(r"code\.[0-9]{5}")
_HOST_NAME = re.compile(r"host\.[0-9]{5}")
_ITEM_BYTES = {"U64": 8, "U8": 1}


@dataclass(frozen=True)
class _Tensor:
    """One entry of a safetensors header."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def save_program(program: Program, path: str | Path) -> None:
    """Write `program` to `path`, whole or not at all; raises `ContainerError` on failure."""
    write_atomically(Path(path), program_bytes(program))


def load_program(path: str | Path) -> Program:
    """Read a program; raises `ContainerError` if the file is not a well-formed container."""
    try:
        size = os.stat(path).st_size
        if size > MAX_FILE_BYTES:
            raise ContainerError(f"{path}: {size} bytes; at most {MAX_FILE_BYTES} are allowed")
        data = Path(path).read_bytes()
    except OSError as error:
        raise ContainerError(f"{path}: the file cannot be read: {error.strerror}") from error
    try:
        return program_from_bytes(data)
    except ContainerError as error:
        raise ContainerError(f"{path}: {error}") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, and nothing is left over.

    A link stays one, and devices and pipes are written to.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        _write_through(path, data)
        return
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ContainerError(f"{path}: the file cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _write_through(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ContainerError(f"{path}: the file cannot be written: {error.strerror}") from error


def program_bytes(program: Program) -> bytes:
    """Write a program as a container; equal programs give equal bytes."""
    sections = _sections(program)
    hashes = tuple(Section(name, _sha256(data)) for name, _, data in sections)
    header: dict[str, object] = {"__metadata__": {"imcc": manifest_text(program, hashes)}}
    offset = 0
    for name, dtype, data in sections:
        shape = [len(data) // _ITEM_BYTES[dtype]]
        header[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [offset, offset + len(data)],
        }
        offset += len(data)
    text = canonical(header).encode("ascii")
    text += b" " * (-len(text) % _ALIGNMENT)
    return b"".join([struct.pack("<Q", len(text)), text, *(data for _, _, data in sections)])


def program_from_bytes(data: bytes) -> Program:
    """Read a container; raises `ContainerError` for anything that is not well formed."""
    header, body = _split(data)
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or set(metadata) != {"imcc"}:
        raise ContainerError("the header has no '__metadata__' with the one key 'imcc'")
    manifest, target = parse_manifest(from_plain(str, metadata["imcc"], "__metadata__.imcc"))
    sections = _read_sections(header, body)
    _check_hashes(sections, manifest.sections)
    return Program(
        target=target,
        cores=_decode_cores(sections),
        matrices=manifest.matrices,
        constants=bytes(sections[_CONSTANTS]),
        inputs=manifest.inputs,
        outputs=manifest.outputs,
        global_size=manifest.global_size,
        origins=manifest.origins,
        notes=manifest.notes,
        hosts=_read_hosts(sections, manifest.hosts),
    )


def _sections(program: Program) -> list[tuple[str, str, bytes]]:
    """Name, type and bytes of each tensor; code first, so that it is aligned to words."""
    code = [
        (f"code.{core:05d}", "U64", encode(instructions).astype("<u8").tobytes())
        for core, instructions in sorted(program.cores.items())
    ]
    hosts = [(_host_name(i), "U8", host.model) for i, host in enumerate(program.hosts)]
    return [*code, (_CONSTANTS, "U8", program.constants), *hosts]


def _host_name(index: int) -> str:
    return f"host.{index:05d}"


def _sha256(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def _split(data: bytes) -> tuple[dict[str, object], memoryview]:
    """Header and tensor bytes."""
    if len(data) < 8:
        raise ContainerError(f"{len(data)} bytes are too few for an .imc file")
    (size,) = struct.unpack_from("<Q", data)
    if size > MAX_HEADER_BYTES or size > len(data) - 8:
        raise ContainerError(
            f"not an .imc file: the header would take {size} bytes of {len(data) - 8}"
        )
    if data[8:9] != b"{":
        raise ContainerError("not an .imc file: the header does not start with '{'")
    try:
        text = data[8 : 8 + size].decode("ascii")
    except UnicodeDecodeError as error:
        raise ContainerError(f"the header is not ASCII at byte {8 + error.start}") from error
    header = parse(text, "header")
    if not isinstance(header, dict):
        raise ContainerError("the header is not an object")
    return header, memoryview(data)[8 + size :]


def _read_sections(header: dict[str, object], body: memoryview) -> dict[str, memoryview]:
    tensors = {
        name: _check_tensor(name, from_plain(_Tensor, plain, f"tensor {name!r}"))
        for name, plain in header.items()
    }
    if _CONSTANTS not in tensors:
        raise ContainerError(f"tensor '{_CONSTANTS}' is missing")
    spans = sorted(tensor.data_offsets for tensor in tensors.values())
    edges = [(0, 0), *spans, (len(body), len(body))]
    for (_, end), (start, _) in pairwise(edges):
        if end != start:
            raise ContainerError(
                f"the tensors do not fill the file: one ends at byte {end} of {len(body)}, "
                f"the next begins at {start}"
            )
    return {name: body[slice(*tensor.data_offsets)] for name, tensor in tensors.items()}


def _check_tensor(name: str, tensor: _Tensor) -> _Tensor:
    dtype = "U64" if _CODE_NAME.fullmatch(name) else "U8"
    if dtype == "U8" and name != _CONSTANTS and not _HOST_NAME.fullmatch(name):
        raise ContainerError(
            f"tensor {name!r} is neither 'constants' nor 'code.<five digits>' nor "
            "'host.<five digits>'"
        )
    if tensor.dtype != dtype or len(tensor.shape) != 1:
        raise ContainerError(f"tensor {name!r} must be a vector of {dtype}")
    start, end = tensor.data_offsets
    if start < 0 or end < start or end - start != prod(tensor.shape) * _ITEM_BYTES[dtype]:
        raise ContainerError(
            f"tensor {name!r} of {tensor.shape[0]} items has the bytes {start}..{end}"
        )
    return tensor


def _check_hashes(sections: dict[str, memoryview], recorded: tuple[Section, ...]) -> None:
    names = [section.name for section in recorded]
    if sorted(names) != sorted(sections):
        raise ContainerError(
            f"the manifest lists the sections {names}, the file has {sorted(sections)}"
        )
    for section in recorded:
        if _sha256(sections[section.name]) != section.sha256:
            raise ContainerError(f"section '{section.name}' is damaged: its SHA-256 is wrong")


def _read_hosts(
    sections: dict[str, memoryview], records: tuple[HostRecord, ...]
) -> tuple[HostPartition, ...]:
    names = [_host_name(index) for index in range(len(records))]
    found = sorted(filter(_HOST_NAME.fullmatch, sections))
    if found != names:
        raise ContainerError(f"the manifest needs the models {names}, the file has {found}")
    return tuple(
        record.partition(bytes(sections[name])) for record, name in zip(records, names, strict=True)
    )


def _decode_cores(sections: dict[str, memoryview]) -> dict[int, tuple[Instruction, ...]]:
    cores: dict[int, tuple[Instruction, ...]] = {}
    for name in sorted(filter(_CODE_NAME.fullmatch, sections)):
        core = int(name.removeprefix("code."))
        words = np.frombuffer(sections[name], dtype="<u8").astype(np.uint64)
        try:
            cores[core] = decode(words, f"core {core}")
        except EncodingError as error:
            raise ContainerError(str(error)) from error
    return cores
