"""Products of matrices and sums of products."""

from __future__ import annotations

from dataclasses import replace
from string import ascii_letters

from ...ir import Node, Value
from ...ir.ops.einsum import Einsum, Equation
from ...ir.ops.linear import MatMul, MatrixProduct
from ...ir.ops.shape import Reshape
from .apart import stays_apart
from .carrier import Carrier
from .moving import lifted
from .registry import batches

Results = tuple[Value, ...] | None


@batches(MatMul)
def matmul(carrier: Carrier, node: Node) -> Results:
    """Rows of x stay rows, whatever axes they have."""
    x, *weights = node.operands
    if not all(carrier.is_constant(weight) for weight in weights):
        return None
    operands = [carrier.as_is(x), *(carrier.as_is(weight) for weight in weights)]
    return carrier.add(node.op, operands, node)


@batches(MatrixProduct)
def matrix_product(carrier: Carrier, node: Node) -> Results:
    """Both operands become matrices of one rank, so that their batch axes meet."""
    a, b = node.operands
    left = (1, *a.type.shape) if a.type.rank == 1 else a.type.shape
    right = (*b.type.shape, 1) if b.type.rank == 1 else b.type.shape
    rank = max(len(left), len(right))
    full = [o for o in carrier.computed(node) if o.type.rank == rank > 2]
    kept = carrier.can_keep(node.result) and any(map(carrier.is_kept, full))
    kept = kept and all(shape[0] == 1 for shape in (left, right) if len(shape) == rank)
    rank += not kept
    operands = [
        carrier.shaped(operand, lifted(shape, rank)) for operand, shape in ((a, left), (b, right))
    ]
    shape = node.result.type.shape if kept else (1, *node.result.type.shape)
    if 1 not in (a.type.rank, b.type.rank):
        return carrier.add(node.op, operands, node)
    product = carrier.step(node.op, operands, node, "product")
    return carrier.add(Reshape(shape), [product], node)


@batches(Einsum)
def einsum(carrier: Carrier, node: Node) -> Results:
    """The new axis has a name of its own, in every computed operand and in the result."""
    assert isinstance(node.op, Einsum)
    if stays_apart(carrier, node):
        return carrier.add(node.op, carrier.all_kept(node), node)
    text = node.op.equation.replace(" ", "")
    name = next((letter for letter in ascii_letters if letter not in text), None)
    if name is None:
        return None
    left, right = text.partition("->")[0], "".join(Equation.parse(text).result)
    terms, operands = [], []
    for term, operand in zip(left.split(","), node.operands, strict=True):
        constant = carrier.is_constant(operand)
        terms.append(term if constant else name + term)
        operands.append(carrier.as_is(operand) if constant else carrier.under(operand))
    op = replace(node.op, equation=f"{','.join(terms)}->{name}{right}")
    return carrier.add(op, operands, node)
