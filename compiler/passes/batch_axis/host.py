"""Parts for the host, which see the shapes of their own model whatever those of the graph."""

from __future__ import annotations

from ...ir import Node, Value
from ...ir.batch import with_batch
from ...ir.ops.host import Host
from .carrier import Carrier
from .registry import batches


@batches(Host)
def host(carrier: Carrier, node: Node) -> tuple[Value, ...] | None:
    """Operands in the form in which they are carried; results get a batch axis as inputs do."""
    assert isinstance(node.op, Host)
    operands = [carrier.as_is(operand) for operand in node.operands]
    outputs = tuple(type_.with_shape(with_batch(type_.shape)) for type_ in node.op.outputs)
    op = Host(node.op.model, tuple(operand.type for operand in operands), outputs)
    return carrier.add(op, operands, node)
