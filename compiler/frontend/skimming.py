"""Reading a model file without its weights: they stay in the file until somebody wants them.

A model is a protocol buffer: a sequence of fields, each a number with a wire type, and for wire
type 2 a length with so many bytes (https://protobuf.dev/programming-guides/encoding). Weights are
``ModelProto.graph`` (field 7) ``.initializer`` (field 5) ``.raw_data`` (field 9). Long ones are
replaced by a reference into the file itself, in the form of external data, and everything else is
kept byte for byte. The file is mapped, so the pages of weights are not even read.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from onnx import TensorProto

LEAST = 64 << 10  # bytes of a weight that stays in the file
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


class DamagedError(Exception):
    """Bytes that are no protocol buffer at all."""


class NotSkimmableError(Exception):
    """Bytes that are no protocol buffer, or one of another form than writers make."""


@dataclass(frozen=True)
class _Field:
    """A field: where it begins, where its content lies."""

    number: int
    wire: int
    start: int
    content: int
    end: int


def skim(path: Path) -> bytes:
    """The model in a file, with references in place of long weights.

    Raises `NotSkimmableError`, after which the whole file should be parsed, and `DamagedError`,
    after which it should not.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return b"".join(_model(data, path.name))


def _model(data: mmap.mmap, name: str) -> Iterator[bytes]:
    for field in _fields(data, 0, len(data)):
        if (field.number, field.wire) != (_GRAPH, _LENGTH):
            yield data[field.start : field.end]
            continue
        graph = b"".join(_graph(data, field, name))
        yield _encoded(_GRAPH, graph)


def _graph(data: mmap.mmap, graph: _Field, name: str) -> Iterator[bytes]:
    for field in _fields(data, graph.content, graph.end):
        long = field.end - field.content > LEAST
        if long and (field.number, field.wire) == (_INITIALIZER, _LENGTH):
            yield _encoded(_INITIALIZER, _tensor(data, field, name))
        else:
            yield data[field.start : field.end]


def _tensor(data: mmap.mmap, tensor: _Field, name: str) -> bytes:
    raw: _Field | None = None
    kept = []
    for field in _fields(data, tensor.content, tensor.end):
        if (field.number, field.wire) == (_RAW_DATA, _LENGTH):
            if raw is not None:
                raise NotSkimmableError("a weight has its bytes twice")
            raw = field
        else:
            kept.append(data[field.start : field.end])
    if raw is None or raw.end - raw.content <= LEAST:
        return data[tensor.content : tensor.end]
    reference = TensorProto(data_location=TensorProto.EXTERNAL)
    place = {"location": name, "offset": raw.content, "length": raw.end - raw.content}
    for key, value in place.items():
        reference.external_data.add(key=key, value=str(value))
    return b"".join([*kept, reference.SerializeToString()])


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[_Field]:
    while start < end:
        key, content = _varint(data, start, end)
        wire = key & 7
        if not key >> 3:
            raise DamagedError("a field has the number 0")
        if wire == _LENGTH:
            size, content = _varint(data, content, end)
            stop = content + size
        elif wire == _VARINT:
            _, stop = _varint(data, content, end)
        elif wire in (_FIXED64, _FIXED32):
            stop = content + (8 if wire == _FIXED64 else 4)
        else:
            raise NotSkimmableError(f"wire type {wire}")
        if stop > end:
            raise NotSkimmableError("a field reaches beyond its message")
        yield _Field(key >> 3, wire, start, content, stop)
        start = stop


def _varint(data: mmap.mmap, start: int, end: int) -> tuple[int, int]:
    """A number of 7 bits a byte, lowest first, and where it ends."""
    value = 0
    for index in range(start, min(start + 10, end)):
        byte = data[index]
        value |= (byte & 127) << 7 * (index - start)
        if byte < 128:
            return value, index + 1
    raise NotSkimmableError("a number without an end")


def _encoded(number: int, content: bytes) -> bytes:
    return _number(number << 3 | _LENGTH) + _number(len(content)) + content


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
