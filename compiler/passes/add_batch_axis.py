"""The pass `add-batch-axis`: a graph of whole tensors becomes one that takes samples in batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..errors import HostNeededError, VerificationError
from ..ir import Graph, Node, OpError, Value
from . import batch_axis as batch_axis  # registers the rules
from .base import Pass, PassContext
from .batch_axis.apart import stays_apart
from .batch_axis.carrier import Carrier
from .batch_axis.registry import BATCH_RULES, SHIFTS


@dataclass(frozen=True)
class AddBatchAxis(Pass):
    """Gives a graph without batch axis one, so that on a batch it does to each sample what it did.

    1. Inputs and outputs with extent 1 along axis 0 have their batch there, others get a new
       axis 0.
    2. An operator that leaves axis 0 alone stays as it is where that axis has extent 1.
    3. Others work behind the new axis: their axes, permutations and shapes are shifted by one.
    4. Operators that know a batch of their own (convolution, pooling) keep it; one of several
       elements becomes spatial positions or channels, or the operator is repeated.
    5. What depends on constants only is computed.
    """

    name: ClassVar[str] = "add-batch-axis"

    def run(self, graph: Graph, context: PassContext) -> Graph:
        """The batched graph; a graph that is batched stays as it is."""
        if graph.batched:
            return graph
        carrier = Carrier(graph)
        for value in graph.inputs:
            carrier.enter(value)
        for node in graph.nodes:
            if all(carrier.is_known(operand) for operand in node.operands):
                _convert(carrier, node)
        if carrier.problems:
            raise HostNeededError(carrier.problems, carrier.reasons)
        return carrier.finish()

    def ensures(self, graph: Graph) -> None:
        """The graph is batched."""
        if not graph.batched:
            raise VerificationError("the graph has no batch axis")


def _convert(carrier: Carrier, node: Node) -> None:
    if not carrier.computed(node):
        carrier.fold(node)
        return
    try:
        results = _results(carrier, node)
        reason = "it works across axis 0, and behind a batch axis it has no form"
    except OpError as error:
        results, reason = None, str(error)
    if results is None:
        shapes = ", ".join(str(list(operand.type.shape)) for operand in node.operands)
        text = f"{type(node.op).__name__} of {shapes} cannot get a batch axis"
        carrier.refuse(node, "IMC0404", text, reason)
        return
    carrier.carry(node, results)


def _results(carrier: Carrier, node: Node) -> tuple[Value, ...] | None:
    rule = BATCH_RULES.get(type(node.op))
    if rule is not None:
        return rule(carrier, node)
    shift = SHIFTS.get(type(node.op))
    if len(carrier.computed(node)) != 1 or (shift is None and len(node.operands) > 1):
        return None
    if stays_apart(carrier, node, convert=shift is None):
        return carrier.add(node.op, carrier.all_kept(node), node)
    if shift is None:
        return None
    op = shift(node.op, [operand.type for operand in node.operands])
    return carrier.add(op, carrier.all_under(node), node)
