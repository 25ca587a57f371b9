"""Parts of the network that the host computes."""

from __future__ import annotations

from ...ir import Node, TensorType, Value
from ...ir.ops.host import Host
from ...ir.requant import code_type
from ..quantizer import Quantizer
from ..registry import quantizes


@quantizes(Host)
def quantize_host(quantizer: Quantizer, node: Node) -> tuple[Value, ...]:
    """The same part between codes; what only the host has stays as it is."""
    assert isinstance(node.op, Host)
    operands = [quantizer.codes(operand) for operand in node.operands]
    inputs = tuple(operand.type for operand in operands)
    outputs = tuple(_result_type(quantizer, value) for value in node.results)
    names = [value.name for value in node.results]
    op = Host(node.op.model, inputs, outputs)
    return quantizer.builder.add_many(op, operands, names, node.origin)


def _result_type(quantizer: Quantizer, value: Value) -> TensorType:
    if quantizer.is_raw(value):
        return value.type
    params = quantizer.params(value)
    return TensorType(code_type(params), value.type.shape, params)
