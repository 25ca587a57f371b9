"""Loading an ONNX model from a path, bytes or a message in memory."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto

from ..diagnostics import Diagnostic
from ..errors import InputError, LimitError, UnsupportedError
from .registry import NEWEST_OPSET, OLDEST_OPSET

MAX_NODES = 200_000
MAX_TENSORS = 1_000_000
MAX_FILE = 2 << 30


@dataclass(frozen=True)
class Model:
    """A parsed model; `file` names it in messages, `path` is where external data is looked for."""

    proto: ModelProto
    file: str
    path: Path | None
    opset: int


def load(source: str | Path | bytes | ModelProto) -> Model:
    """Parse and check the frame of a model; raises InputError, UnsupportedError, LimitError."""
    if isinstance(source, ModelProto):
        return _checked(source, "<model>", None)
    if isinstance(source, bytes):
        return _checked(_parse(source, "<bytes>"), "<bytes>", None)
    path = Path(source)
    return _checked(_parse(_read(path), path.name), path.name, path)


def _read(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            text = "the model file cannot be read: it is not a regular file"
            raise _input("IMC0201", text, str(path))
        if status.st_size > MAX_FILE:
            raise LimitError(
                [Diagnostic("IMC0601", f"the file is larger than {MAX_FILE >> 20} MiB")], path.name
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _input("IMC0201", f"the model file cannot be read: {reason}", str(path)) from error


def _parse(data: bytes, file: str) -> ModelProto:
    if not data:
        raise _input("IMC0202", "not an ONNX model: the file is empty", file)
    try:
        proto = ModelProto()
        proto.ParseFromString(data)
        return proto
    except DecodeError as error:
        raise _input(
            "IMC0202",
            "not an ONNX model: its bytes cannot be parsed",
            file,
            "the file is of another kind, damaged or cut off",
        ) from error


def _checked(proto: ModelProto, file: str, path: Path | None) -> Model:
    missing = [
        name
        for name, there in (
            ("an IR version", bool(proto.ir_version)),
            ("a graph", proto.HasField("graph")),
            ("an operator set", bool(proto.opset_import)),
        )
        if not there
    ]
    if missing:
        text = f"not a complete ONNX model: it lacks {' and '.join(missing)}"
        raise _input("IMC0203", text, file)
    _check_size(proto, file)
    _check_parts(proto, file)
    return Model(proto, file, path, _opset(proto, file))


def _check_size(proto: ModelProto, file: str) -> None:
    graph = proto.graph
    for found, limit, what in (
        (len(graph.node), MAX_NODES, "nodes"),
        (len(graph.initializer), MAX_TENSORS, "weights"),
    ):
        if found > limit:
            text = f"the graph has {found} {what}, the limit is {limit}"
            raise LimitError([Diagnostic("IMC0601", text)], file)


def _check_parts(proto: ModelProto, file: str) -> None:
    parts = [
        (len(proto.functions), "model-local functions"),
        (len(proto.graph.sparse_initializer), "sparse weights"),
        (len(proto.training_info), "training information"),
    ]
    found = [
        Diagnostic("IMC0408", f"models with {what} are not supported", reason=f"it has {number}")
        for number, what in parts
        if number
    ]
    if found:
        raise UnsupportedError(found, file)


def _opset(proto: ModelProto, file: str) -> int:
    versions = [entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")]
    if len(versions) != 1:
        text = f"the model must import the ONNX operator set once, it does so {len(versions)} times"
        raise _input("IMC0203", text, file)
    if not OLDEST_OPSET <= versions[0] <= NEWEST_OPSET:
        text = f"operator set {versions[0]} is not supported"
        reason = f"supported are {OLDEST_OPSET} to {NEWEST_OPSET}"
        cure = "convert it with onnx.version_converter, or export it again"
        raise UnsupportedError([Diagnostic("IMC0402", text, reason=reason, help=(cure,))], file)
    return int(versions[0])


def _input(code: str, text: str, file: str, reason: str = "") -> InputError:
    return InputError([Diagnostic(code, text, reason=reason)], file)
