"""Graphs as MLIR text: one ``func.func`` in a module, in generic syntax.

Every module that is printed is read by MLIR's own tools. SSA identifiers are the names of the
values where MLIR allows that; elsewhere the name stands in an attribute. Constants of few
elements are written out, larger ones are resources after the module.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from .attributes import PREFIX, write_attribute, write_fields
from .graph import Graph, Node, Value
from .lexical import float_literal, quote, resource_keys, value_ids
from .op import Array
from .type_text import write_type
from .types import DType, TensorType

INLINE_ELEMENTS = 16
_ALIGNMENT = (64).to_bytes(4, "little").hex().upper()


def print_graph(graph: Graph, resources: bool = True) -> str:
    """The text of a graph. Without `resources` large constants are named but not given."""
    return "\n".join(_Printer(graph).lines(resources)) + "\n"


def is_inline(array: Array) -> bool:
    """Whether the elements of a constant are written where it is defined."""
    return array.size <= INLINE_ELEMENTS


class _Printer:
    """A graph with the identifiers of its values."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._constants = _constant_values(graph)
        values = [*graph.inputs, *self._constants]
        values += [result for node in graph.nodes for result in node.results]
        self._ids = value_ids(value.name for value in values)
        self._keys = resource_keys(self._large())

    def lines(self, resources: bool) -> Iterator[str]:
        """The lines of the module."""
        yield '"builtin.module"() ({'
        yield f'  "func.func"() <{{{self._signature()}, sym_name = "main"}}> ({{'
        yield f"  ^bb0({', '.join(self._typed(value) for value in self._graph.inputs)}):"
        yield from (f"    {self._constant(value)}" for value in self._constants)
        yield from (f"    {self._node(node)}" for node in self._graph.nodes)
        outputs = self._operands(self._graph.outputs)
        yield f'    "func.return"({outputs}) : ({_types(self._graph.outputs)}) -> ()'
        yield f"  }}) {{{self._function_attributes()}}} : () -> ()"
        yield "}) : () -> ()"
        if resources and self._keys:
            yield from self._resources()

    def _large(self) -> list[str]:
        return [name for name, array in self._graph.constants.items() if not is_inline(array)]

    def _signature(self) -> str:
        inputs, outputs = _types(self._graph.inputs), _types(self._graph.outputs)
        return f"function_type = ({inputs}) -> ({outputs})"

    def _function_attributes(self) -> str:
        entries = {
            "name": quote(self._graph.name),
            "output_names": write_attribute(self._graph.output_names),
        }
        if not self._graph.batched:
            entries["batched"] = write_attribute(False)
        names = tuple(value.name for value in self._graph.inputs)
        if any(self._ids[name] != name for name in names):
            entries["arg_names"] = write_attribute(names)
        return ", ".join(f"{PREFIX}{key} = {text}" for key, text in entries.items())

    def _typed(self, value: Value) -> str:
        return f"%{self._ids[value.name]}: {write_type(value.type)}"

    def _operands(self, values: tuple[Value, ...]) -> str:
        return ", ".join(f"%{self._ids[value.name]}" for value in values)

    def _constant(self, value: Value) -> str:
        array = self._graph.constants[value.name]
        storage = TensorType(DType.of(array.dtype), array.shape)
        key = self._keys.get(value.name)
        data = f"dense<{_elements(array)}>" if key is None else f"dense_resource<{key}>"
        entries = [f"value = {data} : {write_type(storage)}", *self._names((value,))]
        text = f'"{PREFIX}constant"() {{{", ".join(entries)}}} : () -> {write_type(value.type)}'
        return f"{self._operands((value,))} = {text}"

    def _node(self, node: Node) -> str:
        entries = [f"{name} = {text}" for name, text in write_fields(node.op)]
        if node.origin:
            entries.append(f"origin = {write_attribute(node.origin)}")
        entries += self._names(node.results)
        attributes = f" {{{', '.join(entries)}}}" if entries else ""
        results = _types(node.results)
        signature = f"({_types(node.operands)}) -> " + (
            results if len(node.results) == 1 else f"({results})"
        )
        call = f'"{PREFIX}{node.op.name}"({self._operands(node.operands)})'
        return f"{self._operands(node.results)} = {call}{attributes} : {signature}"

    def _names(self, values: tuple[Value, ...]) -> list[str]:
        names = tuple(value.name for value in values)
        if all(self._ids[name] == name for name in names):
            return []
        return [f"names = {write_attribute(names)}"]

    def _resources(self) -> Iterator[str]:
        yield "{-#"
        yield "  dialect_resources: {"
        yield "    builtin: {"
        last = len(self._keys) - 1
        for index, (name, key) in enumerate(self._keys.items()):
            data = _little_endian(self._graph.constants[name]).hex().upper()
            yield f'      {key}: "0x{_ALIGNMENT}{data}"{"," if index < last else ""}'
        yield "    }"
        yield "  }"
        yield "#-}"


def _constant_values(graph: Graph) -> list[Value]:
    used = [operand for node in graph.nodes for operand in node.operands]
    types = {value.name: value.type for value in (*used, *graph.outputs)}
    return [
        Value(name, types.get(name, TensorType(DType.of(array.dtype), array.shape)))
        for name, array in graph.constants.items()
    ]


def _types(values: tuple[Value, ...]) -> str:
    return ", ".join(write_type(value.type) for value in values)


def _little_endian(array: Array) -> bytes:
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _elements(array: Array) -> str:
    if array.size == 0:
        return ""
    if array.ndim:
        return f"[{', '.join(_elements(row) for row in array)}]"
    if array.dtype.kind == "b":
        return "true" if array else "false"
    if array.dtype.kind in "iu":
        return str(array)
    value = array[()]
    if math.isfinite(value):
        return float_literal(float(value), str(value))
    return f"0x{_little_endian(array)[::-1].hex().upper()}"
