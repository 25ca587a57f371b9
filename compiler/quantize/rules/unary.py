"""Functions of one code at a time: tables."""

from __future__ import annotations

from ...ir import Node, Value
from ...ir.ops.activation import Elu, Shrink, Swish, Threshold
from ...ir.ops.composed import Composed
from ...ir.ops.constant_operand import WithConstant
from ...ir.ops.grid import Bipolar, ToGrid
from ...ir.ops.math import Math
from ...ir.ops.quantized import QUnary
from ...ir.ops.unary import (
    Affine,
    Clip,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Relu,
    Sigmoid,
    Tanh,
)
from ..quantizer import Quantizer
from ..registry import quantizes

UNARY = (
    *(Relu, Clip, LeakyRelu, Sigmoid, Tanh, HardSigmoid, HardSwish, Affine),
    *(Elu, Swish, Threshold, Shrink, Math, ToGrid, Bipolar),
    *(WithConstant, Composed),
)


@quantizes(*UNARY)
def quantize_unary(quantizer: Quantizer, node: Node) -> Value:
    """The function as a table of all codes."""
    op = QUnary(node.op, quantizer.params(node.result))
    return quantizer.add(op, (quantizer.codes(node.operands[0]),), node)
