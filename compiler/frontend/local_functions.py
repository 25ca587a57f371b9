"""Functions that a model defines itself: every call is replaced by the nodes of the body.

What the model would grow to is counted first, each function once, so that a file of a few
kilobytes cannot ask for billions of nodes. Calls are then written out depth first.

1. Names inside a body are unique for each call: they begin with the label of the call.
2. Attributes that refer to those of the call get their values, or the function's default; where
   there is neither, the node goes without.
3. Operators of a body mean what the function's own operator set says; where the model's set gives
   one of them another meaning, the model is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, defs

from ..diagnostics import Diagnostic
from ..errors import InputError, UnsupportedError, expect_within
from ..limits import limits

Key = tuple[str, str, str]
_DEFAULT_DOMAINS = ("", "ai.onnx")
_LONGEST_PREFIX = 200


def inline_local_functions(proto: ModelProto, file: str, opset: int) -> ModelProto:
    """The model without functions; `proto` itself where it has none.

    Raises `InputError` for functions that call themselves and for calls that do not fit,
    `LimitError` where the nodes would be too many, `UnsupportedError` for operator sets that
    differ.
    """
    if not proto.functions:
        return proto
    functions = _table(proto, file)
    counter = _Counter(functions, file)
    count = counter.count(proto.graph.node)
    expect_within(count, "nodes", f"the model has {count:,} nodes, functions written out", file)
    for key in counter.sizes:
        _expect_same_operators(functions[key], opset, file)
    whole = ModelProto()
    whole.CopyFrom(proto)
    del whole.functions[:]
    _Inliner(functions, file, _names(proto.graph)).rewrite(whole.graph)
    return whole


def _table(proto: ModelProto, file: str) -> dict[Key, FunctionProto]:
    table: dict[Key, FunctionProto] = {}
    for function in proto.functions:
        key = (function.domain, function.name, function.overload)
        if key in table:
            raise _invalid("IMC0204", f"two functions have the name '{function.name}'", file)
        table[key] = function
    return table


def _key(node: NodeProto) -> Key:
    return node.domain, node.op_type, node.overload


def _graphs(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs inside a node."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == AttributeProto.GRAPHS:
            yield from attribute.graphs


def _all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Nodes and the nodes of the graphs inside them."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        for graph in _graphs(node):
            waiting.extend(graph.node)


@dataclass
class _Counter:
    """How many nodes functions are, written out, and how deep they call each other."""

    functions: Mapping[Key, FunctionProto]
    file: str
    sizes: dict[Key, int] = field(default_factory=dict)
    depths: dict[Key, int] = field(default_factory=dict)

    def count(self, nodes: Iterable[NodeProto]) -> int:
        """Nodes that these are when all calls are written out."""
        listed = list(_all_nodes(nodes))
        for key in dict.fromkeys(map(_key, listed)):
            if key in self.functions:
                self._measure(key)
        depth = max((self.depths.get(_key(node), 0) for node in listed), default=0)
        text = f"functions call each other {depth} deep"
        expect_within(depth, "subgraph_depth", text, self.file)
        return self._sum(listed)

    def _measure(self, first: Key) -> None:
        """Post-order over the calls, without recursion: the depth is up to the file."""
        open_: dict[Key, None] = {}
        waiting = [first]
        while waiting:
            key = waiting[-1]
            if key in self.sizes:
                waiting.pop()
                continue
            called = self._called(key)
            missing = [other for other in called if other not in self.sizes]
            looped = [other for other in missing if other in open_ or other == key]
            if looped:
                text = f"function '{looped[0][1]}' calls itself, at once or through others"
                raise _invalid("IMC0206", text, self.file)
            if missing:
                open_[key] = None
                waiting.append(missing[0])
                continue
            waiting.pop()
            open_.pop(key, None)
            self.sizes[key] = self._sum(list(_all_nodes(self.functions[key].node)))
            self.depths[key] = 1 + max((self.depths[other] for other in called), default=0)

    def _called(self, key: Key) -> list[Key]:
        nodes = _all_nodes(self.functions[key].node)
        return list(dict.fromkeys(k for k in map(_key, nodes) if k in self.functions))

    def _sum(self, nodes: list[NodeProto]) -> int:
        # Beyond the limit the exact number is of no use, and could have millions of digits.
        most = limits().nodes + 1
        return min(most, sum(self.sizes.get(_key(node), 1) for node in nodes))


def _expect_same_operators(function: FunctionProto, opset: int, file: str) -> None:
    """Refuse functions whose operators mean something else in the model's operator set."""
    own = [entry.version for entry in function.opset_import if entry.domain in _DEFAULT_DOMAINS]
    if not own or own[0] == opset:
        return
    for node in _all_nodes(function.node):
        if node.domain not in _DEFAULT_DOMAINS or _since(node, own[0]) == _since(node, opset):
            continue
        text = f"function '{function.name}' has {node.op_type} of operator set {own[0]}"
        reason = f"in the model's operator set {opset} it is another operator"
        cure = "export the model with one operator set"
        found = Diagnostic("IMC0402", text, reason=reason, help=(cure,))
        raise UnsupportedError([found], file)


def _since(node: NodeProto, opset: int) -> int | None:
    try:
        return int(defs.get_schema(node.op_type, opset, "").since_version)
    except defs.SchemaError:
        return None


def _names(graph: GraphProto) -> set[str]:
    """All names of tensors in a graph."""
    found = {entry.name for entry in (*graph.input, *graph.output, *graph.initializer)}
    for node in _all_nodes(graph.node):
        found.update(node.input, node.output)
        for inner in _graphs(node):
            found.update(entry.name for entry in (*inner.input, *inner.initializer))
    return found


@dataclass
class _Scope:
    """One call: what the names and attributes of the body stand for, and how it is labelled."""

    names: dict[str, str]
    attributes: Mapping[str, AttributeProto]
    prefix: str


@dataclass
class _Inliner:
    """Writes calls out; names that it gives are new to the whole model."""

    functions: Mapping[Key, FunctionProto]
    file: str
    taken: set[str]
    repeated: Counter[str] = field(default_factory=Counter)

    def rewrite(self, graph: GraphProto) -> None:
        """Replace the calls in a graph and in the graphs inside its nodes."""
        nodes = [n for index, node in enumerate(graph.node) for n in self._written(node, index)]
        del graph.node[:]
        graph.node.extend(nodes)

    def _written(self, node: NodeProto, index: int) -> Iterator[NodeProto]:
        function = self.functions.get(_key(node))
        if function is None:
            for graph in _graphs(node):
                self.rewrite(graph)
            yield node
            return
        scope = self._scope(node, function, node.name or f"{node.op_type}_{index}")
        for position, inner in enumerate(function.node):
            yield from self._written(self._bound(inner, scope, position), position)
        yield from self._handed_on(node, function, scope)

    def _scope(self, call: NodeProto, function: FunctionProto, label: str) -> _Scope:
        if len(call.input) > len(function.input) or len(call.output) > len(function.output):
            text = f"{label} calls function '{function.name}' with too many operands or outputs"
            raise _invalid("IMC0210", text, self.file)
        names = dict.fromkeys(function.input, "")
        names.update(zip(function.input, call.input, strict=False))
        prefix = label if len(label) <= _LONGEST_PREFIX else function.name[:_LONGEST_PREFIX]
        produced = {name for node in function.node for name in node.output}
        outputs = zip(function.output, call.output, strict=False)
        names.update((inner, outer) for inner, outer in outputs if outer and inner in produced)
        given = {attribute.name: attribute for attribute in function.attribute_proto}
        given.update((attribute.name, attribute) for attribute in call.attribute)
        scope = _Scope(names, given, prefix)
        for name in sorted(produced):
            self._named(name, scope)
        return scope

    def _handed_on(
        self, call: NodeProto, function: FunctionProto, scope: _Scope
    ) -> Iterator[NodeProto]:
        """Outputs that are an input of the function, or another output of the same name."""
        for inner, outer in zip(function.output, call.output, strict=False):
            source = scope.names.get(inner, "")
            if not outer or source == outer:
                continue
            if not source:
                text = f"output '{inner}' of function '{function.name}' is not provided"
                raise _invalid("IMC0205", text, self.file)
            yield NodeProto(op_type="Identity", name=scope.prefix, input=[source], output=[outer])

    def _bound(self, node: NodeProto, scope: _Scope, index: int) -> NodeProto:
        """A node of a body as it is in this call."""
        made = NodeProto()
        made.CopyFrom(node)
        made.name = f"{scope.prefix}/{node.name or f'{node.op_type}_{index}'}"
        made.input[:] = [self._named(name, scope) for name in node.input]
        made.output[:] = [self._named(name, scope) for name in node.output]
        del made.attribute[:]
        for attribute in node.attribute:
            made.attribute.extend(_bound_attribute(attribute, scope.attributes))
        for graph in _graphs(made):
            self._bind_graph(graph, scope)
        return made

    def _bind_graph(self, graph: GraphProto, outer: _Scope) -> None:
        """A graph inside a node of a body: it sees the names of the body and has its own."""
        scope = _Scope(dict(outer.names), outer.attributes, outer.prefix)
        own = [*graph.input, *graph.initializer]
        for entry in own:
            scope.names[entry.name] = self._fresh(entry.name, scope.prefix)
            entry.name = scope.names[entry.name]
        nodes = [self._bound(node, scope, index) for index, node in enumerate(graph.node)]
        del graph.node[:]
        graph.node.extend(nodes)
        for entry in graph.output:
            entry.name = self._named(entry.name, scope)

    def _named(self, name: str, scope: _Scope) -> str:
        """What a name of the body stands for; new names are made for what the body computes."""
        if not name:
            return ""
        if name not in scope.names:
            scope.names[name] = self._fresh(name, scope.prefix)
        return scope.names[name]

    def _fresh(self, name: str, prefix: str) -> str:
        base = f"{prefix}/{name[:_LONGEST_PREFIX]}"
        unique = base
        while unique in self.taken:
            self.repeated[base] += 1
            unique = f"{base}_{self.repeated[base]}"
        self.taken.add(unique)
        return unique


def _bound_attribute(
    attribute: AttributeProto, given: Mapping[str, AttributeProto]
) -> Iterator[AttributeProto]:
    """The attribute with the value that it refers to, or nothing where there is none."""
    if not attribute.ref_attr_name:
        yield attribute
        return
    found = given.get(attribute.ref_attr_name)
    if found is not None:
        made = AttributeProto()
        made.CopyFrom(found)
        made.name = attribute.name
        yield made


def _invalid(code: str, text: str, file: str) -> InputError:
    return InputError([Diagnostic(code, text)], file)
