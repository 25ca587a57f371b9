"""Control flow that is decided at import: branches are chosen, scans unrolled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import AttributeProto, GraphProto

from ...ir.graph import Value
from ...ir.ops.shape import Concat, Reshape, Slice
from ...limits import limits
from ..conversion import Conversion, Operand, Rejection, normal_axis
from ..registry import Form, Result, converts


@converts("If", form=Form.WHOLE, constants=(0,))
def if_(conversion: Conversion) -> Sequence[Result]:
    """The condition must be constant: one branch takes the place of the node."""
    condition = conversion.array(0, "condition").reshape(-1)
    if condition.size != 1:
        raise Rejection("IMC0209", f"If has {condition.size} conditions")
    branches = [_body(conversion, name) for name in ("else_branch", "then_branch")]
    return conversion.nested(branches[bool(condition[0])], {})


@converts("Scan", since=9, form=Form.WHOLE)
def scan(conversion: Conversion) -> Sequence[Result]:
    """The body once for each element along the scanned axes."""
    body, scanned = _body(conversion, "body"), conversion.integer("num_scan_inputs", 0)
    operands = [conversion.value(index) for index in range(len(conversion.operands))]
    count = len(operands) - scanned
    states: list[Operand] = [*operands[:count]]
    inputs, axes, length = operands[count:], *_scanned(conversion, operands[count:])
    backwards = _flags(conversion, "scan_input_directions", scanned)
    most = limits().unrolled_nodes
    if not 0 < length * len(body.node) <= most:
        text = f"over {length} elements with {len(body.node)} nodes each"
        raise conversion.reject(text, f"it is unrolled to at most {most} nodes")
    collected: list[list[Operand]] = []
    for step in range(length):
        places = [length - 1 - step if back else step for back in backwards]
        elements = [
            _element(conversion, value, axis, place)
            for value, axis, place in zip(inputs, axes, places, strict=True)
        ]
        names = [entry.name for entry in body.input]
        results = conversion.nested(body, dict(zip(names, [*states, *elements], strict=True)))
        states, outputs = [*results[:count]], [*results[count:]]
        collected.append(outputs)
    return [*states, *_stacked(conversion, collected)]


def _body(conversion: Conversion, name: str) -> GraphProto:
    found = conversion.attribute(name, AttributeProto.GRAPH)
    if found is None:
        raise Rejection("IMC0210", f"{conversion.node.op_type} lacks attribute '{name}'")
    return found.g


def _flags(conversion: Conversion, name: str, count: int) -> tuple[int, ...]:
    found = conversion.ints(name) or (0,) * count
    if len(found) != count:
        raise Rejection("IMC0209", f"attribute '{name}' of Scan has {len(found)} elements")
    return found


def _scanned(conversion: Conversion, inputs: Sequence[Value]) -> tuple[list[int], int]:
    """The scanned axis of each input, and their common extent."""
    given = _flags(conversion, "scan_input_axes", len(inputs))
    axes = [normal_axis(conversion, a, x.type.rank) for a, x in zip(given, inputs, strict=True)]
    lengths = {x.type.shape[axis] for x, axis in zip(inputs, axes, strict=True)}
    if len(lengths) != 1:
        raise Rejection("IMC0209", f"Scan goes over extents {sorted(lengths)}")
    return axes, lengths.pop()


def _element(conversion: Conversion, x: Value, axis: int, place: int) -> Value:
    shape, rank = x.type.shape, x.type.rank
    starts = tuple(place if a == axis else 0 for a in range(rank))
    ends = tuple(place + 1 if a == axis else extent for a, extent in enumerate(shape))
    cut = conversion.emit(Slice(starts, ends, (1,) * rank), x, step="slice")
    return conversion.emit(Reshape((*shape[:axis], *shape[axis + 1 :])), cut, step="element")


def _stacked(conversion: Conversion, collected: list[list[Operand]]) -> list[Result]:
    """The outputs of all steps, each stacked along its axis."""
    count = len(collected[0])
    axes = _flags(conversion, "scan_output_axes", count)
    backwards = _flags(conversion, "scan_output_directions", count)
    results: list[Result] = []
    for index, (axis, back) in enumerate(zip(axes, backwards, strict=True)):
        parts = [_lifted(conversion, outputs[index], axis) for outputs in collected]
        position = axis % parts[0].type.rank
        step = f"output{index}"
        ordered = parts[::-1] if back else parts
        results.append(conversion.emit(Concat(position), *ordered, step=step))
    return results


def _lifted(conversion: Conversion, part: Operand, axis: int) -> Value:
    value = part if isinstance(part, Value) else conversion.constant(part, conversion.name("part"))
    rank = value.type.rank + 1
    shape = np.expand_dims(np.empty(value.type.shape, bool), normal_axis(conversion, axis, rank))
    return conversion.emit(Reshape(shape.shape), value, step="part")
