"""Loading an ONNX model from a path, bytes or a message in memory."""

from __future__ import annotations

import stat
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, defs

from ..diagnostics import Diagnostic
from ..errors import InputError, UnsupportedError, expect_within
from .fused import expand_fused
from .local_functions import inline_local_functions
from .names import escape_names, names_of
from .nibbles import clip_nibbles
from .registry import NEWEST_OPSET, OLDEST_OPSET
from .skimming import DamagedError, NotSkimmableError, skim
from .tensors import numpy_type

_LARGE = 16 << 20  # bytes of a file that is worth skimming


@dataclass(frozen=True)
class Model:
    """A parsed model; `file` names it in messages, `path` is where external data is looked for.

    With `sketched` the importer does not read long weights, and `raws` are those that it has read
    (see `TensorReader`).
    """

    proto: ModelProto
    file: str
    path: Path | None
    opset: int
    sketched: bool = False
    raws: dict[int, bytes] = field(default_factory=dict)


def load(source: str | Path | bytes | ModelProto, sketched: bool = False) -> Model:
    """Parse and check the frame of a model; raises InputError, UnsupportedError, LimitError.

    With `sketched` the weights of a large file stay there, and are not read by importers either.
    """
    if isinstance(source, ModelProto):
        return _checked(source, "<model>", None)
    if isinstance(source, bytes):
        return _checked(_parse(source, "<bytes>"), "<bytes>", None)
    path = Path(source)
    model = _checked(_parse(_read(path, sketched), path.name), path.name, path)
    return replace(model, sketched=sketched)


def _read(path: Path, sketched: bool) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            text = "the model file cannot be read: it is not a regular file"
            raise _input("IMC0201", text, str(path))
        mib = -(-status.st_size >> 20)
        expect_within(mib, "file_mib", f"the file has {mib:,} MiB", path.name)
        if sketched and status.st_size >= _LARGE:
            with suppress(NotSkimmableError, UnicodeError):
                return skim(path)
        return path.read_bytes()
    except DamagedError as error:
        raise _damaged(path.name) from error
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
        raise _damaged(file) from error


def _damaged(file: str) -> InputError:
    text = "not an ONNX model: its bytes cannot be parsed"
    return _input("IMC0202", text, file, "the file is of another kind, damaged or cut off")


def _checked(proto: ModelProto, file: str, path: Path | None) -> Model:
    missing = [
        name
        for name, there in (
            ("an IR version", bool(proto.ir_version)),
            ("a graph", proto.HasField("graph")),
            ("an operator set", bool(proto.opset_import)),
            ("graph outputs", bool(proto.graph.output or not proto.HasField("graph"))),
        )
        if not there
    ]
    if missing:
        text = f"not a complete ONNX model: it lacks {' and '.join(missing)}"
        raise _input("IMC0203", text, file)
    _check_size(proto, file)
    _check_parts(proto, file)
    opset = _opset(proto, file)
    plain = clip_nibbles(expand_fused(inline_local_functions(proto, file, opset)))
    return Model(plain, file, path, opset)


@dataclass
class _Size:
    """What a model has of everything that is limited, graphs inside nodes included."""

    nodes: int = 0
    weights: int = 0
    external_bytes: int = 0
    depth: int = 0
    longest_text: int = 0
    longest_name: int = 0

    def add(self, graph: GraphProto, depth: int) -> list[GraphProto]:
        """Count one graph; returns the graphs inside its nodes."""
        self.nodes += len(graph.node)
        self.weights += len(graph.initializer)
        self.depth = max(self.depth, depth)
        self.external_bytes += sum(map(_external_bytes, graph.initializer))
        self.longest_name = max(self.longest_name, *map(len, names_of(graph)))
        inner = []
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.type == AttributeProto.STRING:
                    self.longest_text = max(self.longest_text, len(attribute.s))
                elif attribute.type == AttributeProto.GRAPH:
                    inner.append(attribute.g)
                elif attribute.type == AttributeProto.GRAPHS:
                    inner += attribute.graphs
        return inner


def _check_size(proto: ModelProto, file: str) -> None:
    size, waiting = _Size(), [(proto.graph, 0)]
    while waiting:
        graph, depth = waiting.pop()
        escape_names(graph)
        waiting += [(inner, depth + 1) for inner in size.add(graph, depth)]
    expect_within(size.nodes, "nodes", f"the model has {size.nodes:,} nodes", file)
    expect_within(size.weights, "tensors", f"the model has {size.weights:,} weights", file)
    expect_within(size.depth, "subgraph_depth", f"graphs are nested {size.depth} deep", file)
    mib, kib = size.external_bytes >> 20, size.longest_text >> 10
    expect_within(mib, "weights_mib", f"weights in other files take {mib:,} MiB", file)
    expect_within(kib, "attribute_kib", f"a text of a node has {kib:,} KiB", file)
    longest = size.longest_name
    expect_within(longest, "name_chars", f"a name has {longest:,} characters", file)


def _external_bytes(tensor: TensorProto) -> int:
    """What a tensor outside the model claims; what it has there is checked when it is read."""
    if tensor.data_location != TensorProto.EXTERNAL:
        return 0
    dtype = numpy_type(tensor.data_type)
    return int(prod(tensor.dims)) * (1 if dtype is None else dtype.itemsize)


def _check_parts(proto: ModelProto, file: str) -> None:
    parts = [
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
    if versions[0] < OLDEST_OPSET and _is_unchanged(proto.graph, int(versions[0])):
        return OLDEST_OPSET
    if not OLDEST_OPSET <= versions[0] <= NEWEST_OPSET:
        text = f"operator set {versions[0]} is not supported"
        reason = f"supported are {OLDEST_OPSET} to {NEWEST_OPSET}"
        cure = "convert it with onnx.version_converter, or export it again"
        raise UnsupportedError([Diagnostic("IMC0402", text, reason=reason, help=(cure,))], file)
    return int(versions[0])


def _is_unchanged(graph: GraphProto, opset: int) -> bool:
    """Whether the oldest supported operator set defines all operators of a graph as this one."""
    own = [node for node in graph.node if node.domain in ("", "ai.onnx")]
    has_graphs = any(a.type == AttributeProto.GRAPH for node in own for a in node.attribute)
    since = ({_since(node.op_type, version) for version in (opset, OLDEST_OPSET)} for node in own)
    return not has_graphs and all(len(versions) == 1 and None not in versions for versions in since)


def _since(op_type: str, opset: int) -> int | None:
    """The operator set that brought the definition in force; None where there is none."""
    try:
        return int(defs.get_schema(op_type, opset, "").since_version)
    except defs.SchemaError:
        return None


def _input(code: str, text: str, file: str, reason: str = "") -> InputError:
    return InputError([Diagnostic(code, text, reason=reason)], file)
