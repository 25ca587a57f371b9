"""Several host nodes as one: their models, joined at the tensors that one hands to another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import (
    GraphProto,
    ModelProto,
    ValueInfoProto,
    helper,
    load_model_from_string,
    numpy_helper,
)

from ...ir import Graph, Node, TensorType, Value
from ...ir.ops.host import Host
from ...onnx_names import renamed


def merged(graph: Graph, group: Sequence[Node]) -> Node:
    """One node for a group of host nodes in order of the graph.

    Its operands are what the group reads from outside, constants excepted, which go into the
    model; its results are what is read outside.
    """
    if len(group) == 1 and not any(v.name in graph.constants for v in group[0].operands):
        return group[0]
    return _Merger(graph, group).run()


class _Merger:
    """The model in the making: `_tensors` has the name and the shape in it of each value."""

    def __init__(self, graph: Graph, group: Sequence[Node]) -> None:
        self._graph = graph
        self._group = group
        self._body = GraphProto(name=group[0].label)
        self._tensors: dict[str, tuple[str, tuple[int, ...]]] = {}
        self._operands: list[Value] = []
        self._results: list[Value] = []
        self._names: set[str] = set()

    def run(self) -> Node:
        """The node."""
        models = [load_model_from_string(_host(node).model) for node in self._group]
        for node, model in zip(self._group, models, strict=True):
            self._add(node, model.graph)
        made = helper.make_model(
            self._body,
            opset_imports=list(models[0].opset_import),
            ir_version=models[0].ir_version,
            producer_name="imcc",
        )
        operands, results = tuple(self._operands), tuple(self._results)
        op = Host(_serialized(made), _types(operands), _types(results))
        origin = tuple(dict.fromkeys(name for node in self._group for name in node.origin))
        return Node(op, operands, results, origin)

    def _add(self, node: Node, model: GraphProto) -> None:
        """Take over the nodes of a model; the operands of its node are known by now."""
        names = {"": ""}
        for operand, entry in zip(node.operands, model.input, strict=True):
            names[entry.name] = self._operand(operand, entry)
        for result, entry in zip(node.results, model.output, strict=True):
            names[entry.name] = self._result(result, entry)
        inner = [tensor.name for tensor in model.initializer]
        inner += [name for made in model.node for name in made.output]
        for name in inner:
            names.setdefault(name, self._unique(f"{node.results[0].name}:{name}"))
        for tensor in model.initializer:
            self._body.initializer.add().CopyFrom(tensor)
            self._body.initializer[-1].name = names[tensor.name]
        self._body.node.extend(renamed(made, names) for made in model.node)

    def _operand(self, value: Value, entry: ValueInfoProto) -> str:
        shape = _shape(entry)
        if value.name not in self._tensors:
            name = self._unique(value.name)
            self._tensors[value.name] = (name, shape)
            self._enter(value, entry, name)
        name, found = self._tensors[value.name]
        return name if found == shape else self._reshaped(name, shape)

    def _enter(self, value: Value, entry: ValueInfoProto, name: str) -> None:
        """A tensor from outside: an input, or a constant."""
        array = self._graph.constant(value)
        if array is None:
            self._operands.append(value)
            self._body.input.add().CopyFrom(entry)
            self._body.input[-1].name = name
            return
        dtype = helper.tensor_dtype_to_np_dtype(entry.type.tensor_type.elem_type)
        shaped = np.ascontiguousarray(array.astype(dtype)).reshape(_shape(entry))
        self._body.initializer.append(numpy_helper.from_array(shaped, name))

    def _result(self, value: Value, entry: ValueInfoProto) -> str:
        name = self._unique(value.name)
        self._tensors[value.name] = (name, _shape(entry))
        inside = {member.results[0].name for member in self._group}
        users = [user.results[0].name for user in self._graph.users(value)]
        if self._graph.is_output(value) or not inside.issuperset(users):
            self._results.append(value)
            self._body.output.add().CopyFrom(entry)
            self._body.output[-1].name = name
        return name

    def _reshaped(self, name: str, shape: Sequence[int]) -> str:
        """The same elements in the shape that a reader was made for."""
        target, made = self._unique(f"{name}:shape"), self._unique(f"{name}:reshaped")
        self._body.initializer.append(numpy_helper.from_array(np.asarray(shape, np.int64), target))
        self._body.node.append(helper.make_node("Reshape", [name, target], [made]))
        return made

    def _unique(self, name: str) -> str:
        while name in self._names:
            name += "'"
        self._names.add(name)
        return name


def _host(node: Node) -> Host:
    assert isinstance(node.op, Host)
    return node.op


def _types(values: Sequence[Value]) -> tuple[TensorType, ...]:
    return tuple(value.type for value in values)


def _shape(entry: ValueInfoProto) -> tuple[int, ...]:
    return tuple(dim.dim_value for dim in entry.type.tensor_type.shape.dim)


def _serialized(model: ModelProto) -> bytes:
    data: bytes = model.SerializeToString(deterministic=True)
    return data
