"""Operands of element-wise rules: constants are codes of the rank of the result."""

from __future__ import annotations

import numpy as np

from ...ir import Array, Graph, Node, QuantParams, Value
from ..quantizer import Quantizer


def broadcast_codes(
    quantizer: Quantizer, node: Node, index: int, params: QuantParams | None = None
) -> Value:
    """The codes of operand `index`, with `params` if they are given.

    Axes are aligned from the last. A constant of lower rank gets leading axes of extent 1, the
    first of which stands for the batch.
    """
    value = node.operands[index]
    array = quantizer.graph.constant(value)
    if array is None:
        return quantizer.codes(value) if params is None else quantizer.codes_as(value, params)
    missing = node.result.type.rank - array.ndim
    deep = np.asarray(array, np.float32).reshape((1,) * missing + array.shape)
    return quantizer.constant_codes(deep, value.name, params)


def scalar_operand(graph: Graph, node: Node, index: int) -> float | None:
    """The number that operand `index` is, if the result has the shape of the other operand."""
    array: Array | None = graph.constant(node.operands[index])
    other = node.operands[1 - index]
    if array is None or array.size != 1 or other.type.shape != node.result.type.shape:
        return None
    return float(array.reshape(()))
