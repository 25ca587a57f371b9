"""Operators of quantized models on codes: one function an operator class.

A rule gets the operator between Dequantize and Quantize and yields the value of codes that takes
the place of the Quantize, or None where an operand has no codes.
"""

from __future__ import annotations

from ...ir import Op, Value
from ...ir.ops.binary import Add, Div, Mul
from ...ir.ops.linear import MatrixProduct
from ...ir.ops.normalization import BatchNormalization, Softmax
from ...ir.ops.pooling import AveragePool, GlobalAveragePool
from ...ir.ops.quant import Dequantize
from ...ir.ops.quantized import (
    QAdd,
    QConcat,
    QGlobalAveragePool,
    QMul,
    QSoftmax,
    QUnary,
)
from ...ir.ops.quantized_divide import QDiv
from ...ir.ops.quantized_dot import QDot
from ...ir.ops.shape import Concat
from ...ir.ops.unary import Identity
from ..registry import Kind, is_kind
from ..rules.dot import stacks_of_matrices
from ..rules.pooling import pooled
from ..rules.unary import UNARY
from .adopter import Adopter, Rule, unsigned
from .products import adopt_normalization, adopt_output, adopt_product
from .site import Site

__all__ = ["adopt_output", "adopt_product", "find_rule"]


def _pair(adopter: Adopter, site: Site) -> Value | None:
    """Add and Mul of two tensors, with the signs that the model gives them."""
    a, b = (adopter.signed_codes(operand) for operand in site.node.operands)
    if a is None or b is None:
        return None
    shape = site.node.result.type.shape
    requant = adopter.requant(site, site.output)
    if isinstance(site.node.op, Mul):
        return adopter.add(QMul(requant), (a, b), site)
    # The operand of full shape comes first, as onnxruntime orders them.
    if a.type.shape != shape and b.type.shape == shape:
        a, b = b, a
    return adopter.add(QAdd(requant), (a, b), site)


def _quotient(adopter: Adopter, site: Site) -> Value | None:
    """Div of two tensors."""
    a, b = (adopter.codes(operand) for operand in site.node.operands)
    if a is None or b is None:
        return None
    return adopter.add(QDiv(adopter.requant(site, unsigned(site.output))), (a, b), site)


def _average(adopter: Adopter, site: Site) -> Value | None:
    op, x = site.node.op, adopter.codes(site.node.operands[0])
    if x is None:
        return None
    requant = adopter.requant(site, unsigned(site.output))
    if isinstance(op, GlobalAveragePool):
        return adopter.add(QGlobalAveragePool(requant), (x,), site)
    assert isinstance(op, AveragePool)
    return adopter.add(pooled(op, requant), (x,), site)


def _concat(adopter: Adopter, site: Site) -> Value | None:
    assert isinstance(site.node.op, Concat)
    found = [adopter.codes(operand) for operand in site.node.operands]
    operands = [value for value in found if value is not None]
    if len(operands) < len(found) or site.bounds.nodes:
        return None
    return adopter.add(QConcat(site.node.op.axis, unsigned(site.output)), operands, site)


def _softmax(adopter: Adopter, site: Site) -> Value | None:
    assert isinstance(site.node.op, Softmax)
    x = adopter.codes(site.node.operands[0])
    if x is None or site.bounds.nodes:
        return None
    return adopter.add(QSoftmax(site.node.op.axis, unsigned(site.output)), (x,), site)


def _dot(adopter: Adopter, site: Site) -> Value | None:
    """A product of two computed matrices."""
    node = site.node
    assert isinstance(node.op, MatrixProduct)
    reason = stacks_of_matrices(adopter.graph, node)
    if reason:
        adopter.note(node, f"not adopted:{reason}")
        return None
    a, b = (adopter.codes(operand) for operand in node.operands)
    if a is None or b is None:
        return None
    requant = adopter.requant(site, unsigned(site.output))
    return adopter.add(QDot(requant, node.op.factor), (a, b), site)


def _unary(adopter: Adopter, site: Site) -> Value | None:
    """Functions of one operand as a table."""
    x = adopter.codes(site.node.operands[0])
    if x is None or site.bounds.nodes:
        return None
    return adopter.add(QUnary(site.node.op, unsigned(site.output)), (x,), site)


def _requantized(adopter: Adopter, site: Site) -> Value | None:
    """Codes that only move, or get other parameters; the same parameters are no operation."""
    x, output = adopter.codes(site.node.result), unsigned(site.output)
    if x is None or site.bounds.nodes:
        return None
    if x.type.quant == output:
        return x
    return adopter.add(QUnary(Identity(), output), (x,), site)


_RULES: dict[type[Op], Rule] = {
    Add: _pair,
    Mul: _pair,
    Div: _quotient,
    AveragePool: _average,
    GlobalAveragePool: _average,
    Concat: _concat,
    BatchNormalization: adopt_normalization,
    MatrixProduct: _dot,
    Softmax: _softmax,
    Dequantize: _requantized,
    **dict.fromkeys(UNARY, _unary),
}


def find_rule(op: Op) -> Rule | None:
    """The rule of an operator; None where it cannot be adopted."""
    return _requantized if is_kind(op, Kind.MOVING) else _RULES.get(type(op))
