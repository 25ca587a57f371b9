"""What ONNX itself says about an operator: which attributes and how many operands it has."""

from __future__ import annotations

from functools import cache

from onnx import defs

from .conversion import OnnxNode, Rejection
from .registry import NEWEST_OPSET

_LISTED = 10  # unknown attributes; a hostile node has more than can be read
# onnxruntime had them first, in ONNX's own domain, and its optimizer writes them into any model.
_IN_ANY_OPSET = frozenset({"LayerNormalization", "RMSNormalization"})


def expect_schema(node: OnnxNode) -> None:
    """Reject a node that the operator set of the model does not define like this.

    Operators of other domains, and such that ONNX does not define at all, pass.
    """
    _expect_values(node)
    schema = _schema(node.op_type, node.opset)
    if schema is None:
        _expect_not_newer(node)
        return
    _expect_attributes(node, schema)
    operands = list(node.proto.input)
    given = len(operands)
    if not schema.min_input <= given <= schema.max_input:
        most = "any number" if schema.max_input > 1000 else str(schema.max_input)
        text = f"{node.op_type} has {given} operands"
        reason = f"in operator set {node.opset} it takes {schema.min_input} to {most}"
        raise Rejection("IMC0210", text, reason)
    if len(node.proto.output) > schema.max_output:
        raise Rejection("IMC0210", f"{node.op_type} has {len(node.proto.output)} outputs")


@cache
def _schema(op_type: str, opset: int) -> defs.OpSchema | None:
    try:
        return defs.get_schema(op_type, opset, "")
    except defs.SchemaError:
        return None


def _expect_not_newer(node: OnnxNode) -> None:
    if node.op_type in _IN_ANY_OPSET:
        return
    newest = _schema(node.op_type, NEWEST_OPSET)
    if newest is not None and newest.since_version > node.opset:
        text = f"operator set {node.opset} has no {node.op_type}"
        raise Rejection("IMC0210", text, "the operator came with a later one")


def _expect_values(node: OnnxNode) -> None:
    """Reject attributes that stand for those of a function, where there is no function."""
    for attribute in node.proto.attribute:
        if attribute.ref_attr_name:
            text = f"attribute '{attribute.name}' of {node.op_type} has no value"
            reason = f"it refers to '{attribute.ref_attr_name}' of a function, and is in none"
            raise Rejection("IMC0210", text, reason)


def _expect_attributes(node: OnnxNode, schema: defs.OpSchema) -> None:
    names = [attribute.name for attribute in node.proto.attribute]
    unknown = [name for name in names if name not in schema.attributes]
    if unknown:
        listed = ", ".join(f"'{name}'" for name in unknown[:_LISTED])
        listed += f" and {len(unknown) - _LISTED:,} more" if len(unknown) > _LISTED else ""
        known = ", ".join(f"'{name}'" for name in sorted(schema.attributes)) or "none"
        text = f"{node.op_type} has no attribute {listed}"
        raise Rejection("IMC0210", text, f"operator set {node.opset} knows {known}")
    if len(set(names)) < len(names):
        raise Rejection("IMC0210", f"{node.op_type} has an attribute twice")
