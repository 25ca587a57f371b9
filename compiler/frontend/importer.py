"""From an ONNX graph to the IR: every node through its converter, every problem collected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from onnx import AttributeProto, GraphProto, ValueInfoProto

from ..diagnostics import Diagnostic, Severity
from ..ir.builder import GraphBuilder
from ..ir.graph import Graph, Value
from ..ir.op import Array, OpError
from ..ir.types import DType, TensorType
from .conversion import Conversion, OnnxNode, Operand, Rejection
from .dequantized import Codes, moved
from .external import TensorError
from .folding import evaluated, expect_foldable
from .hosted import Hosting, HostNode
from .inputs import input_type, whole_type
from .registry import FOLDS, Converter, Fold, Form, find_converter, sentence
from .schema import expect_schema
from .shapes import InputShapes
from .structure import order_nodes
from .tensors import TensorReader, type_name

_INPUT_TYPES = (
    "inputs are float32, int64, int32, or 8-bit integers of which every use is a "
    "DequantizeLinear with the same constants"
)

Way = Converter | Fold
_UNSUPPORTED = "IMC04"  # codes below are bad input
_MIXES_SAMPLES = "IMC0404"


@dataclass
class Importer:
    """The state of one import. A name maps to a value, an array, or None if it is unknown.

    `compiled` says that a graph without batch axis is to be compiled, and not only evaluated. With
    `hosting` nodes that cannot be imported stay ONNX nodes, for the host; `hosted` says which.
    """

    graph: GraphProto
    opset: int
    tensors: TensorReader
    inputs: InputShapes
    problems: list[Diagnostic] = field(default_factory=list)
    batched: bool = True
    compiled: bool = False
    hosting: Hosting | None = None
    hosted: list[Diagnostic] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._builder = GraphBuilder(self.graph.name or "main", self.batched)
        self._known: dict[str, Operand | None] = {}
        self._codes: dict[str, Codes] = {}
        self._uses = Counter(name for node in self.graph.node for name in node.input)
        self._uses.update(output.name for output in self.graph.output)
        self._batches = frozenset(b for b in self.inputs.batches if b is not None)
        self._single = not self.batched or self.inputs.batches == {1}

    def run(self, nodes: Sequence[OnnxNode]) -> Graph | None:
        """The graph, or None where `problems` has errors."""
        self._add_weights(self.graph)
        self._add_inputs(nodes)
        for node in nodes:
            results = self._convert(node)
            self._known.update(zip((n for n in node.proto.output), results, strict=False))
        outputs = [self._output(entry.name) for entry in self.graph.output]
        if self.problems:
            return None
        values = [output for output in outputs if output is not None]
        made = self._builder.finish(values, [entry.name for entry in self.graph.output])
        if self.batched or self.compiled:
            self.problems.extend(map(_fixed_output, _fixed_outputs(made)))
        return None if self.problems else made

    def known(self, name: str) -> Operand | None:
        """What a tensor of the model is in the IR; None where that could not be found out."""
        return self._known.get(name)

    def partial(self, names: Sequence[str]) -> Graph:
        """After `run`: the graph behind these computed tensors, problems elsewhere or not."""
        values = [value for name in names if isinstance(value := self.known(name), Value)]
        return self._builder.finish(values, [value.name for value in values])

    def _add_weights(self, graph: GraphProto) -> None:
        inside = graph is not self.graph  # of a node, where numbers begin again
        for number, tensor in enumerate(graph.initializer):
            try:
                read = self.tensors.read(tensor, None if inside else number)
                self._known[tensor.name] = read
            except TensorError as error:
                self._known[tensor.name] = None
                self.problems.append(self._wrong_weight(graph, tensor.name, error))

    def _wrong_weight(self, graph: GraphProto, name: str, error: TensorError) -> Diagnostic:
        """What is wrong with a weight, at the first node that reads it."""
        found = Diagnostic(error.code, f"weight '{name}': {error}")
        readers = (entry for entry in enumerate(graph.node) if name in entry[1].input)
        index, reader = next(readers, (None, None))
        if error.code < _UNSUPPORTED or index is None or reader is None:
            return found
        node = OnnxNode(reader, index, self.opset)
        return replace(
            found,
            node=node.label,
            op_type=node.op_type,
            index=index,
            opset=self.opset,
            reason="weights are float16, float32, float64 or integers of 4 to 64 bits",
            help=("export the model with float32 weights, or with codes of int8 or int4",),
        )

    def _add_inputs(self, nodes: Sequence[OnnxNode]) -> None:
        for entry in self.graph.input:
            if entry.name in self._known:
                continue
            self._known[entry.name] = None
            shape = self.inputs.shapes.get(entry.name)
            if shape is None:
                continue
            type_ = self._input_type(entry, shape, nodes)
            if type_ is not None:
                self._known[entry.name] = self._builder.input(entry.name, type_)
                continue
            found = type_name(entry.type.tensor_type.elem_type)
            text = f"input '{entry.name}' of type {found} is not supported"
            reason = _INPUT_TYPES if self.batched else f"the IR has {', '.join(DType)}"
            self.problems.append(Diagnostic("IMC0405", text, reason=reason))

    def _input_type(
        self, entry: ValueInfoProto, shape: tuple[int, ...], nodes: Sequence[OnnxNode]
    ) -> TensorType | None:
        found = None
        if self.batched or self.compiled:
            found = input_type(entry, shape, nodes, self._known)
        return found if found is not None or self.batched else whole_type(entry, shape)

    def _convert(self, node: OnnxNode) -> Sequence[Operand | None]:
        unknown = [None] * len(node.proto.output)
        ways = self._ways(node)
        names = [name for name in node.proto.input if name]
        if not unknown or any(self._known.get(name) is None for name in names):
            if not ways:
                self._report(node, _no_converter(node, self.opset))
            return unknown  # what else went wrong before has been reported there
        chosen = None if self.hosting is None else self.hosting.reason(node)
        if chosen is not None and not isinstance(done := self._on_host(node, chosen), Rejection):
            return done
        found = self._imported(node, ways) if ways else _no_converter(node, self.opset)
        found = self._on_host(node, found) if isinstance(found, Rejection) else found
        if not isinstance(found, Rejection):
            return found
        self._report(node, found)
        return unknown

    def _imported(
        self, node: OnnxNode, ways: Sequence[Way]
    ) -> Sequence[Operand | None] | Rejection:
        """The results by the first way that does not reject the node, or the last rejection."""
        rejection = _no_converter(node, self.opset)
        for way in ways:
            try:
                return self._results(node, way)
            except Rejection as found:
                rejection = found
            except OpError as error:
                text = f"the operands of {node.op_type} do not fit: {error}"
                rejection = Rejection("IMC0209", text)
            except TensorError as error:
                rejection = Rejection(error.code, f"constant of {node.op_type}: {error}")
        return rejection

    def _on_host(self, node: OnnxNode, why: Rejection) -> Sequence[Operand | None] | Rejection:
        """The results of a node that stays an ONNX node, or why even that cannot be."""
        hostable = why.code >= _UNSUPPORTED and why.code != _MIXES_SAMPLES
        if self.hosting is None or self._is_constant(node) or not hostable:
            return why
        wanted = tuple(bool(name) and self._uses[name] > 0 for name in node.proto.output)
        hosted = HostNode(node, self._known.get, wanted, self.hosting.frame)
        try:
            found = hosted.emit(self._builder, keeps_samples=not self._single)
        except Rejection as error:
            reason = f"{why.reason}, and the host cannot run it: {error.reason}"
            code = min(why.code, error.code)  # what breaks native code is bad input
            return Rejection(code, why.message, reason, why.help)
        except OpError as error:
            return Rejection(why.code, why.message, f"{why.reason}: {error}", why.help)
        self.hosted.append(self._diagnostic(node, why, Severity.WARNING))
        return found

    def _ways(self, node: OnnxNode) -> Sequence[Way]:
        """How a node can be imported: the first that does not reject it is taken."""
        fold, constant = FOLDS.get(node.op_type), self._is_constant(node)
        whole = find_converter(node.op_type, self.opset, Form.WHOLE)
        if self.batched:
            found = find_converter(node.op_type, self.opset, Form.BATCHED)
            found = whole if found is None and constant else found
            chosen = fold if fold is not None and (constant or found is None) else found
            return [] if chosen is None else [chosen]
        first: Way | None = None
        if self.compiled:
            compiled = find_converter(node.op_type, self.opset, Form.COMPILED)
            first = fold if constant else compiled
        ways = [way for way in (first, whole) if way is not None]
        return ways or ([] if fold is None else [fold])

    def _is_constant(self, node: OnnxNode) -> bool:
        """Whether no operand is computed."""
        return not any(isinstance(self._known.get(name), Value) for name in node.proto.input)

    def _conversion(self, node: OnnxNode, builder: GraphBuilder) -> Conversion:
        return Conversion(
            node,
            tuple(self._known[name] if name else None for name in node.proto.input),
            builder,
            self.tensors,
            self._single,
            self._batches,
            tuple(self._uses[name] > 0 if name else False for name in node.proto.output),
            self._nested,
            self._codes,
        )

    def _results(self, node: OnnxNode, way: Way) -> Sequence[Operand]:
        expect_schema(node)
        conversion = self._conversion(node, self._builder)
        results: Sequence[Operand]
        if not isinstance(way, Converter):
            made = _folded(conversion, way)
            results = made if isinstance(made, (tuple, list)) else (made,)
            expect_foldable(conversion, results)
            self._follow(conversion, results)
        else:
            constant = self._is_constant(node)
            folding = constant and _folds(way, self.batched) and not _has_graphs(node)
            if folding:
                conversion = self._conversion(node, GraphBuilder("fold", batched=False))
            _expect_constraints(conversion, way)
            converted = way.function(conversion)
            results = converted if isinstance(converted, (tuple, list)) else (converted,)
            results = evaluated(conversion, results) if folding else results
            if folding:
                self._follow(conversion, results)
        _expect_understood(conversion)
        if any(conversion.wants(index) for index in range(len(results), len(node.proto.output))):
            raise conversion.reject(
                f"with output {len(results)} in use",
                f"only the first {len(results)} outputs are computed",
            )
        return results

    def _follow(self, conversion: Conversion, results: Sequence[Operand]) -> None:
        """Keep the codes behind a dequantized constant that is only moved."""
        node = conversion.node
        codes = conversion.codes_of(0) if node.proto.input else None
        if codes is None or not isinstance(results[0], np.ndarray):
            return
        perm = conversion.ints("perm") if node.op_type == "Transpose" else None
        found = moved(node.op_type, codes, perm, results[0].shape)
        if found is not None:
            self._codes[node.proto.output[0]] = found

    def _nested(self, graph: GraphProto, bound: Mapping[str, Operand]) -> list[Operand]:
        """The outputs of a graph inside a node; it sees all names that are known so far."""
        self.tensors.budget.unroll(len(graph.node))
        inner = {*bound, *(n for node in graph.node for n in node.output)}
        inner.update(tensor.name for tensor in graph.initializer)
        outer = {name: self._known.pop(name) for name in inner if name in self._known}
        self._known.update(bound)
        self._add_weights(graph)
        self._uses.update(name for node in graph.node for name in node.input)
        self._uses.update(output.name for output in graph.output)
        for node in order_nodes(graph, self.opset)[0]:
            self._known.update(zip(node.proto.output, self._convert(node), strict=False))
        outputs = [self._known.get(entry.name) for entry in graph.output]
        for name in inner:
            self._known.pop(name, None)
        self._known.update(outer)
        found = [output for output in outputs if output is not None]
        if len(found) < len(outputs):
            raise Rejection("IMC0408", f"graph '{graph.name}' inside a node is not supported")
        return found

    def _output(self, name: str) -> Value | None:
        found = self._known.get(name)
        if isinstance(found, Value) or found is None:
            return found
        if not (self.batched or self.compiled):
            return self._builder.constant(found, name)
        self.problems.append(_fixed_output(name))
        return None

    def _report(self, node: OnnxNode, rejection: Rejection) -> None:
        self.problems.append(self._diagnostic(node, rejection))

    def _diagnostic(
        self, node: OnnxNode, rejection: Rejection, severity: Severity = Severity.ERROR
    ) -> Diagnostic:
        return Diagnostic(
            rejection.code,
            rejection.message,
            node.label,
            node.op_type,
            node.index,
            node.opset,
            self._tensors_text(node),
            rejection.reason,
            rejection.help,
            severity,
        )

    def _tensors_text(self, node: OnnxNode) -> str:
        operands = "  ".join(self._tensor_text(name) for name in node.proto.input if name)
        results = "  ".join(name for name in node.proto.output if name)
        return f"{operands}  ->  {results}".strip()

    def _tensor_text(self, name: str) -> str:
        known = self._known.get(name)
        if known is None:
            return name
        dtype = known.type.dtype.numpy.name if isinstance(known, Value) else known.dtype.name
        shape = known.type.shape if isinstance(known, Value) else known.shape
        return f"{name}: {dtype}[{','.join(map(str, shape))}]"


def _fixed_output(name: str) -> Diagnostic:
    return Diagnostic("IMC0409", f"output '{name}' does not depend on any input")


def _fixed_outputs(graph: Graph) -> list[str]:
    """Outputs computed of constants alone."""
    found = {value.name for value in graph.inputs}
    for node in graph.nodes:
        if any(operand.name in found for operand in node.operands):
            found.update(result.name for result in node.results)
    pairs = zip(graph.output_names, graph.outputs, strict=True)
    return [name for name, value in pairs if value.name not in found]


def _no_converter(node: OnnxNode, opset: int) -> Rejection:
    folds = find_converter(node.op_type, opset, Form.WHOLE) is not None
    remedies = ["`imcc ops` lists the operators that can be imported"]
    if node.op_type != node.proto.op_type:  # of another domain than ONNX's own
        remedies.append("save it with a body of ONNX operators: as a function of the model")
    return Rejection(
        "IMC0401",
        f"operator {node.op_type} is not supported",
        "it is taken on constants only" if folds else "no converter exists for it",
        tuple(remedies),
    )


def _has_graphs(node: OnnxNode) -> bool:
    """Whether the node has graphs in it, which see more than its operands."""
    return any(entry.type == AttributeProto.GRAPH for entry in node.proto.attribute)


def _folds(converter: Converter, batched: bool) -> bool:
    """Whether what is built of constants is evaluated now; pass fold-constants does the rest."""
    return not batched or converter.floats_only or Form.BATCHED not in converter.form


def _folded(conversion: Conversion, fold: Fold) -> Array | Sequence[Array]:
    try:
        return fold(conversion)
    except (TypeError, ValueError, OverflowError) as error:  # as NumPy puts what does not fit
        text = f"the constants of {conversion.node.op_type} do not fit: {error}"
        raise Rejection("IMC0209", text) from error


def _expect_constraints(conversion: Conversion, converter: Converter) -> None:
    for constraint in converter.constraints:
        found = constraint(conversion)
        if found is not None:
            raise conversion.reject(found, sentence(constraint))


def _expect_understood(conversion: Conversion) -> None:
    unknown = [f"attribute '{name}'" for name in conversion.unknown_attributes()]
    unknown += [f"operand {index}" for index in conversion.unknown_operands()]
    if unknown:
        text = f"{', '.join(unknown)} of {conversion.node.op_type} is not known"
        reason = f"operator set {conversion.node.opset} gives it no meaning here"
        raise Rejection("IMC0407", text, reason)
