"""Normalization by a sample's own statistics."""

from __future__ import annotations

from math import prod

import numpy as np

from imcc.isa.instructions import STREAM_AXES

from ...ir import Graph, Node, Value
from ...ir.ops.normalize import Normalize
from ...ir.ops.quantized_normalize import LONGEST_ROW, QNormalize, affine_words
from ..quantizer import Quantizer
from ..registry import Kind, quantizes


def short_rows(graph: Graph, node: Node) -> str:
    """Rows have at most 32,768 elements; scale and bias are constant."""
    assert isinstance(node.op, Normalize)
    row = prod(node.result.type.shape[axis] for axis in node.op.axes)
    if node.result.type.rank > STREAM_AXES + 1:
        return f" has {node.result.type.rank} axes; at most {STREAM_AXES + 1} are walked"
    if row > LONGEST_ROW:
        return f" normalizes {row} elements together; at most {LONGEST_ROW} are exact"
    computed = any(graph.constant(operand) is None for operand in node.operands[1:])
    return " has a computed scale or bias; they must be constant" if computed else ""


@quantizes(Normalize, kind=Kind.FUSING, refuses=short_rows)
def quantize_normalize(quantizer: Quantizer, node: Node) -> Value:
    """Exact statistics; scale and bias become words of the output stage."""
    op, requant = node.op, quantizer.requant(node)
    assert isinstance(op, Normalize)
    given = [quantizer.constant(operand) for operand in node.operands[1:]]
    scale = given[0] if given else np.asarray(1.0)
    bias = given[1] if len(given) > 1 else np.asarray(0.0)
    row = prod(node.result.type.shape[axis] for axis in op.axes)
    words = affine_words(scale, bias, row, requant.output)
    names = (f"{node.result.name}.bias", f"{node.result.name}.scale")
    constants = [quantizer.builder.constant(a, n) for a, n in zip(words, names, strict=True)]
    made = QNormalize(tuple(sorted(op.axes)), op.epsilon, op.center, requant)
    return quantizer.add(made, (quantizer.codes(node.operands[0]), *constants), node)
