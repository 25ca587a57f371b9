"""The rules that every graph keeps, checked between passes.

1. Names of values are unique; operands are defined before they are used, with the same type.
2. Constants have the dtype and shape of their type, and codes lie in the range of their bits.
3. Results have the types that the operator infers from its operands.
4. In a batched graph inputs have batch axis 1, and operators keep samples apart; outputs are
   defined, and their names are unique.
5. Quantization parameters fit the tensor and are float32.
6. With a stage given, each operator is legal in it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..errors import VerificationError
from .graph import Graph, Node, Value
from .op import Array, OpError, Stage
from .type_text import describe_type
from .types import QuantParams, TensorType


def verify(graph: Graph, stage: Stage | None = None) -> None:
    """Check all rules of `graph`; raises one `VerificationError` that lists every problem."""
    problems = list(_Verifier(graph, stage).problems())
    if not problems:
        return
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    lines = "".join(f"\n  {problem}" for problem in problems)
    raise VerificationError(f"graph {graph.name!r} breaks the rules of the IR, {count}:{lines}")


class _Verifier:
    """One walk over a graph, with the values defined so far."""

    def __init__(self, graph: Graph, stage: Stage | None) -> None:
        self._graph = graph
        self._stage = stage
        self._defined: dict[str, TensorType] = {}
        self._used_constants: set[str] = set()

    def problems(self) -> Iterator[str]:
        """All problems in the order of the graph."""
        for value in self._graph.inputs:
            yield from self._input(value)
        for node in self._graph.nodes:
            where = f"{node.label} (imcc.{node.op.name})"
            yield from (f"{where}: {problem}" for problem in self._node(node))
        yield from self._outputs()

    def _input(self, value: Value) -> Iterator[str]:
        if self._graph.batched and value.type.shape[:1] != (1,):
            yield f"input {value.name!r}: batch axis 0 must be 1, found shape {value.type.shape}"
        yield from self._define(value)

    def _define(self, value: Value) -> Iterator[str]:
        if value.name in self._defined or value.name in self._graph.constants:
            yield f"value {value.name!r} is defined twice; names must be unique"
        self._defined[value.name] = value.type
        yield from (f"value {value.name!r}: {text}" for text in _type_problems(value.type))

    def _node(self, node: Node) -> Iterator[str]:
        found = [text for operand in node.operands for text in self._use(operand)]
        yield from found
        if not found:
            yield from _inference(node, self._graph.batched)
        for result in node.results:
            yield from self._define(result)
        if self._stage is not None and not self._stage & node.op.stages:
            yield f"not legal in stage {self._stage.name}, only in {node.op.stages.name}"

    def _use(self, value: Value) -> Iterator[str]:
        array = self._graph.constant(value)
        if array is not None and value.name not in self._used_constants:
            yield from self._constant(value, array)
        declared = self._defined.get(value.name)
        if declared is None:
            yield f"operand {value.name!r} is used before it is defined"
        elif declared != value.type:
            found, defined = describe_type(value.type), describe_type(declared)
            yield f"operand {value.name!r} has type {found}, but is defined as {defined}"

    def _constant(self, value: Value, array: Array) -> Iterator[str]:
        self._used_constants.add(value.name)
        self._defined.setdefault(value.name, value.type)
        where = f"constant {value.name!r}"
        found = [*_layout_problems(value.type, array), *_type_problems(value.type)]
        yield from (f"{where}: {text}" for text in found)
        if not found:
            yield from (f"{where}: {text}" for text in _code_problems(value.type, array))

    def _outputs(self) -> Iterator[str]:
        names, outputs = self._graph.output_names, self._graph.outputs
        if len(names) != len(outputs):
            yield f"{len(outputs)} outputs have {len(names)} names"
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"output name {name!r} is given twice"
        for value in outputs:
            yield from (f"output: {problem}" for problem in self._use(value))


def _inference(node: Node, batched: bool) -> Iterator[str]:
    operands = [operand.type for operand in node.operands]
    try:
        expected = node.op.infer(operands)
    except OpError as error:
        yield str(error)
        return
    found = tuple(result.type for result in node.results)
    if found != tuple(expected):
        yield f"results are {_listed(found)}, but the operator infers {_listed(expected)}"
    problem = node.op.batch_problem(operands) if batched else ""
    if problem:
        yield problem


def _listed(types: tuple[TensorType, ...]) -> str:
    return ", ".join(describe_type(type_) for type_ in types)


def _layout_problems(type_: TensorType, array: Array) -> Iterator[str]:
    if array.dtype != type_.dtype.numpy or array.shape != type_.shape:
        yield (
            f"the array is {array.dtype}{list(array.shape)}, "
            f"its type says {type_.dtype.numpy}{list(type_.shape)}"
        )


def _type_problems(type_: TensorType) -> Iterator[str]:
    if any(extent < 0 for extent in type_.shape):
        yield f"shape {type_.shape} has a negative extent"
    if type_.quant is None:
        return
    if type_.dtype.is_float:
        yield f"quantized elements must be integers, found {type_.dtype}"
    yield from _quant_problems(type_.quant, type_)


def _quant_problems(quant: QuantParams, type_: TensorType) -> Iterator[str]:
    if quant.axis is not None and not 0 <= quant.axis < type_.rank:
        yield f"quantization axis {quant.axis} is outside of rank {type_.rank}"
        return
    expected = 1 if quant.axis is None else type_.shape[quant.axis]
    if len(quant.scale) != expected or len(quant.zero_point) != expected:
        yield (
            f"{len(quant.scale)} scales and {len(quant.zero_point)} zero points, "
            f"but quantization axis {quant.axis} of shape {type_.shape} needs {expected}"
        )
    scales = np.asarray(quant.scale, np.float64)
    with np.errstate(over="ignore"):
        exact = scales.astype(np.float32) == scales
    if not (np.isfinite(scales) & (scales > 0) & exact).all():
        yield "scales must be positive, finite and exact in float32"
    zeros = quant.zero_point
    if zeros and not quant.low <= min(zeros) <= max(zeros) <= quant.high:
        yield f"zero points must be in [{quant.low}, {quant.high}]"


def _code_problems(type_: TensorType, array: Array) -> Iterator[str]:
    if type_.quant is None or not array.size:
        return
    low, high = int(array.min()), int(array.max())
    if low < type_.quant.low or high > type_.quant.high:
        allowed = f"[{type_.quant.low}, {type_.quant.high}]"
        yield f"codes are in [{low}, {high}], {type_.quant.bits} bits allow {allowed}"
