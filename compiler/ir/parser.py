"""From MLIR text to graphs; the inverse of ``printer.py``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import InputError
from .attributes import PREFIX, read_op
from .graph import Graph, Node, Value
from .op import Array, OpError, freeze
from .read_syntax import read_syntax
from .source import Source
from .syntax import Attribute, Dense, Operation, Resource
from .type_text import describe_type
from .types import TensorType

_ALIGNMENT_DIGITS = len("0x") + 8


def parse_graph(
    text: str, resources: Mapping[str, Array] | None = None, name: str = "<text>"
) -> Graph:
    """Read a graph; the result is not verified.

    `resources` has the arrays, by name of the constant, that the text does not have itself.
    `name` is what errors call the text. Raises `InputError` with line, column and the reason.
    """
    return _Reader(Source(text, name), resources or {}).graph()


class _Reader:
    """A module, and the values that have been defined so far."""

    def __init__(self, source: Source, arrays: Mapping[str, Array]) -> None:
        self._source = source
        self._arrays = arrays
        self._module = read_syntax(source)
        self._values: dict[str, Value] = {}
        self._constants: dict[str, Array] = {}
        self._nodes: list[Node] = []

    def graph(self) -> Graph:
        """The graph of the only function."""
        function = self._only(self._module.operation, "builtin.module", "func.func")
        (region,) = function.regions
        ids = tuple(id_ for id_, _ in region.arguments)
        types = tuple(type_ for _, type_ in region.arguments)
        names = self._strings(function, f"{PREFIX}arg_names", ids)
        inputs = self._define(function, ids, names, types)
        *body, last = region.operations or (function,)
        for operation in body:
            self._operation(operation)
        return self._finished(function, inputs, last)

    def _finished(self, function: Operation, inputs: tuple[Value, ...], last: Operation) -> Graph:
        if last.name != "func.return":
            raise self._error(last, "the function must end with 'func.return'")
        outputs = self._uses(last)
        default = tuple(value.name for value in outputs)
        names = self._strings(function, f"{PREFIX}output_names", default)
        title = function.attributes.get(f"{PREFIX}name", "main")
        nodes = tuple(self._nodes)
        batched = function.attributes.get(f"{PREFIX}batched", True) is not False
        return Graph(str(title), inputs, outputs, names, nodes, self._constants, batched)

    def _only(self, operation: Operation, name: str, inner: str) -> Operation:
        """The only operation inside `operation`, which has one region."""
        if operation.name != name or len(operation.regions) != 1:
            raise self._error(operation, f"expected '{name}' with one region")
        inside = operation.regions[0].operations
        if len(inside) != 1 or inside[0].name != inner or len(inside[0].regions) != 1:
            raise self._error(operation, f"expected one '{inner}' with one region in it")
        return inside[0]

    def _operation(self, operation: Operation) -> None:
        names = self._strings(operation, "names", operation.results)
        types = operation.signature.results
        if operation.name == f"{PREFIX}constant":
            (value,) = self._define(operation, operation.results, names, types)
            self._constants[value.name] = self._constant(operation, value)
            return
        operands = self._uses(operation)
        results = self._define(operation, operation.results, names, types)
        origin = self._strings(operation, "origin", ())
        kept = {k: a for k, a in operation.attributes.items() if k not in ("names", "origin")}
        try:
            op = read_op(operation.name, kept)
        except (ValueError, OpError) as error:
            raise self._error(operation, str(error)) from error
        self._nodes.append(Node(op, operands, results, origin))

    def _define(
        self,
        operation: Operation,
        ids: tuple[str, ...],
        names: tuple[str, ...],
        types: tuple[TensorType, ...],
    ) -> tuple[Value, ...]:
        if not len(ids) == len(names) == len(types):
            counts = f"{len(ids)} values, {len(names)} names and {len(types)} types"
            raise self._error(operation, f"there are {counts}; the numbers must be equal")
        values = tuple(Value(name, type_) for name, type_ in zip(names, types, strict=True))
        for id_, value in zip(ids, values, strict=True):
            if id_ in self._values:
                raise self._error(operation, f"%{id_} is defined twice")
            self._values[id_] = value
        return values

    def _uses(self, operation: Operation) -> tuple[Value, ...]:
        ids, types = operation.operands, operation.signature.operands
        if len(ids) != len(types):
            raise self._error(operation, f"there are {len(ids)} operands and {len(types)} types")
        return tuple(
            self._use(operation, id_, type_) for id_, type_ in zip(ids, types, strict=True)
        )

    def _use(self, operation: Operation, id_: str, type_: TensorType) -> Value:
        if id_ not in self._values:
            raise self._error(operation, f"%{id_} is used before it is defined")
        value = self._values[id_]
        if value.type != type_:
            found, defined = describe_type(type_), describe_type(value.type)
            message = f"%{id_} is used as {found}, but is defined as {defined}"
            raise self._error(operation, message)
        return value

    def _constant(self, operation: Operation, value: Value) -> Array:
        data = operation.attributes.get("value")
        if isinstance(data, Dense):
            return freeze(data.array())
        if not isinstance(data, Resource):
            raise self._error(operation, "'value' must be dense<...> or dense_resource<...>")
        if value.name in self._arrays:
            return freeze(self._arrays[value.name])
        if data.key not in self._module.resources:
            message = f"the text has no data for {value.name!r}: it was printed without resources"
            raise self._error(operation, message)
        try:
            return freeze(_array(self._module.resources[data.key], data.type))
        except ValueError as error:
            raise self._error(operation, f"resource '{data.key}': {error}") from error

    def _strings(self, operation: Operation, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        found: Attribute = operation.attributes.get(key, default)
        if isinstance(found, tuple) and all(isinstance(item, str) for item in found):
            return tuple(str(item) for item in found)
        raise self._error(operation, f"'{key}' must be a list of strings")

    def _error(self, operation: Operation, message: str) -> InputError:
        return self._source.error(operation.position, f"{operation.name}: {message}")


def _array(blob: str, type_: TensorType) -> Array:
    """Elements from ``0x``, four bytes of alignment and the data; raises ValueError."""
    data = bytes.fromhex(blob[_ALIGNMENT_DIGITS:])
    dtype = type_.dtype.numpy.newbyteorder("<")
    if not blob.startswith("0x") or len(data) != type_.size * dtype.itemsize:
        raise ValueError(f"{len(data)} bytes, the type needs {type_.size * dtype.itemsize}")
    return np.frombuffer(data, dtype).astype(type_.dtype.numpy).reshape(type_.shape)
