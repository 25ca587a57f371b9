"""From an ONNX graph to the IR: every node through its converter, every problem collected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from onnx import GraphProto

from ..diagnostics import Diagnostic
from ..ir.builder import GraphBuilder
from ..ir.graph import Graph, Value
from ..ir.op import Array, OpError
from .conversion import Conversion, OnnxNode, Operand, Rejection
from .external import TensorError
from .folding import expect_foldable
from .inputs import input_type
from .registry import FOLDS, Converter, Fold, find_converter, sentence
from .schema import expect_schema
from .shapes import InputShapes
from .tensors import TensorReader, type_name


@dataclass
class Importer:
    """The state of one import. A name maps to a value, an array, or None if it is unknown."""

    graph: GraphProto
    opset: int
    tensors: TensorReader
    inputs: InputShapes
    problems: list[Diagnostic] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._builder = GraphBuilder(self.graph.name or "main")
        self._known: dict[str, Operand | None] = {}
        self._uses = Counter(name for node in self.graph.node for name in node.input)
        self._uses.update(output.name for output in self.graph.output)
        self._batches = frozenset(b for b in self.inputs.batches if b is not None)
        self._single = self.inputs.batches == {1}

    def run(self, nodes: Sequence[OnnxNode]) -> Graph | None:
        """The graph, or None where `problems` has errors."""
        self._add_weights()
        self._add_inputs(nodes)
        for node in nodes:
            results = self._convert(node)
            self._known.update(zip((n for n in node.proto.output), results, strict=False))
        outputs = [self._output(entry.name) for entry in self.graph.output]
        if self.problems:
            return None
        values = [output for output in outputs if output is not None]
        return self._builder.finish(values, [entry.name for entry in self.graph.output])

    def _add_weights(self) -> None:
        for tensor in self.graph.initializer:
            try:
                self._known[tensor.name] = self.tensors.read(tensor)
            except TensorError as error:
                self._known[tensor.name] = None
                text = f"weight '{tensor.name}': {error}"
                self.problems.append(Diagnostic(error.code, text))

    def _add_inputs(self, nodes: Sequence[OnnxNode]) -> None:
        for entry in self.graph.input:
            if entry.name in self._known:
                continue
            self._known[entry.name] = None
            shape = self.inputs.shapes.get(entry.name)
            if shape is None:
                continue
            type_ = input_type(entry, shape, nodes, self._known)
            if type_ is not None:
                self._known[entry.name] = self._builder.input(entry.name, type_)
                continue
            found = type_name(entry.type.tensor_type.elem_type)
            text = f"input '{entry.name}' of type {found} is not supported"
            reason = (
                "inputs are float32, or 8-bit integers of which every use is a DequantizeLinear "
                "with the same constants"
            )
            self.problems.append(Diagnostic("IMC0405", text, reason=reason))

    def _convert(self, node: OnnxNode) -> Sequence[Operand | None]:
        unknown = [None] * len(node.proto.output)
        converter = find_converter(node.op_type, self.opset)
        fold = FOLDS.get(node.op_type)
        if converter is None and fold is None:
            self._report(node, _no_converter(node, self.opset))
            return unknown
        names = [name for name in node.proto.input if name]
        if not unknown or any(self._known.get(name) is None for name in names):
            return unknown  # what went wrong before has been reported there
        conversion = self._conversion(node)
        try:
            return self._results(conversion, converter)
        except Rejection as rejection:
            self._report(node, rejection)
        except OpError as error:
            text = f"the operands of {node.op_type} do not fit: {error}"
            self._report(node, Rejection("IMC0209", text))
        except TensorError as error:
            self._report(node, Rejection(error.code, f"constant of {node.op_type}: {error}"))
        return unknown

    def _conversion(self, node: OnnxNode) -> Conversion:
        return Conversion(
            node,
            tuple(self._known[name] if name else None for name in node.proto.input),
            self._builder,
            self.tensors,
            self._single,
            self._batches,
            tuple(self._uses[name] > 0 if name else False for name in node.proto.output),
        )

    def _results(self, conversion: Conversion, converter: Converter | None) -> Sequence[Operand]:
        node = conversion.node
        expect_schema(node)
        fold = FOLDS.get(node.op_type)
        constant = all(not isinstance(operand, Value) for operand in conversion.operands)
        if fold is not None and (constant or converter is None):
            made = _folded(conversion, fold)
            results: Sequence[Operand] = made if isinstance(made, (tuple, list)) else (made,)
            expect_foldable(conversion, results)
        else:
            assert converter is not None  # one of the two exists
            _expect_constraints(conversion, converter)
            converted = converter.function(conversion)
            results = converted if isinstance(converted, (tuple, list)) else (converted,)
        _expect_understood(conversion)
        if any(conversion.wants(index) for index in range(len(results), len(node.proto.output))):
            raise conversion.reject(
                f"with output {len(results)} in use",
                f"only the first {len(results)} outputs are computed",
            )
        return results

    def _output(self, name: str) -> Value | None:
        found = self._known.get(name)
        if isinstance(found, Value) or found is None:
            return found
        text = f"output '{name}' does not depend on any input"
        self.problems.append(Diagnostic("IMC0409", text))
        return None

    def _report(self, node: OnnxNode, rejection: Rejection) -> None:
        self.problems.append(
            Diagnostic(
                rejection.code,
                rejection.message,
                node.label,
                node.op_type,
                node.index,
                node.opset,
                self._tensors_text(node),
                rejection.reason,
                rejection.help,
            )
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


def _no_converter(node: OnnxNode, opset: int) -> Rejection:
    return Rejection(
        "IMC0401",
        f"operator {node.op_type} is not supported",
        "no converter exists for it",
        ("`imcc ops` lists the operators that can be imported",),
    )


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
