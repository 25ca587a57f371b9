"""Rules and helpers that converters of several families share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from onnx import AttributeProto

from ...ir.graph import Value
from ...ir.op import Op
from ..conversion import Conversion, Rejection

_T = TypeVar("_T")


def chosen(conversion: Conversion, name: str, default: str, choices: Mapping[str, _T]) -> _T:
    """What a string attribute means; rejects words that are not among the choices."""
    word = conversion.text(name, default)
    if word not in choices:
        allowed = ", ".join(choices)
        raise conversion.reject(f"with attribute {name} = '{word}'", f"allowed are {allowed}")
    return choices[word]


def strings(conversion: Conversion, name: str) -> tuple[str, ...] | None:
    """An attribute that is a list of strings."""
    found = conversion.attribute(name, AttributeProto.STRINGS)
    if found is None:
        return None
    return tuple(text.decode("utf-8", "backslashreplace") for text in found.strings)


def floats(conversion: Conversion, name: str) -> tuple[float, ...]:
    """An attribute that is a list of floats; empty where it is not given."""
    found = conversion.attribute(name, AttributeProto.FLOATS)
    return () if found is None else tuple(found.floats)


def scalar(conversion: Conversion, index: int, what: str) -> int:
    """An operand that must be one constant integer."""
    found = conversion.integers(index, what)
    if len(found) != 1:
        raise Rejection("IMC0210", f"{conversion.node.op_type} needs one number as {what}")
    return found[0]


def emit_results(
    conversion: Conversion, op: Op, operands: Sequence[Value], count: int
) -> tuple[Value, ...]:
    """Add a node with `count` results, also where the ONNX node names fewer outputs."""
    outputs = [*conversion.node.proto.output, *[""] * count][:count]
    label = conversion.node.label
    names = [name or f"{label}/output{index}" for index, name in enumerate(outputs)]
    return conversion.builder.add_many(op, operands, names, (label,))
