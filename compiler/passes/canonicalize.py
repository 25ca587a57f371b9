"""The pass `canonicalize`: one form for what can be written in several."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import ClassVar

from ..ir import Graph, Node, Value
from ..ir.ops.binary import Add, Div, Mul, Sub
from ..ir.ops.linear import Conv, MatrixProduct
from ..ir.ops.pooling import AveragePool, GlobalAveragePool, MaxPool
from ..ir.ops.shape import Concat, Reshape, Slice, Transpose
from ..ir.ops.unary import Affine, Clip, Identity, Relu
from .base import Pass, PassContext
from .canonicalize_computed import (
    factor_into_matrix_product,
    factor_of_operand,
    scale_into_normalize,
)
from .canonicalize_products import (
    add_into_product,
    affine_into_product,
    div_to_mul,
    mul_into_product,
    sub_to_add,
)
from .canonicalize_shapes import (
    merge_reshapes,
    merge_transposes,
    pad_into_average,
    pad_into_conv,
    pad_into_maximum,
    single_concat,
    slice_before_reshape,
    slice_before_transpose,
    transpose_to_reshape,
)
from .rewrite import Rewriter, rewrite_until_settled


@dataclass(frozen=True)
class Canonicalize(Pass):
    """Brings a float graph into canonical form.

    1. Identity, Affine(1, 0), unbounded Clip, Concat of one operand and GlobalAveragePool over
       single elements vanish.
    2. Add, Mul and Affine with constants behind a product with no other user go into its weights
       and bias.
    3. Sub of a constant becomes Add, Div by a constant becomes Mul.
    4. Reshapes in a row become one, Transposes too; those that change nothing vanish, and a
       Transpose that only moves axes of extent 1 becomes a Reshape. Slices come before them.
    5. Pad goes into the convolution or pooling behind it where that changes no result.
    6. Clip and Relu in a row become one; Clip(0, inf) becomes Relu.
    7. Affine maps in a row become one.
    8. Mul, Add and Affine with constants behind a normalization become its scale and bias, and a
       number that multiplies a product of computed matrices or one of its operands its factor.
    """

    name: ClassVar[str] = "canonicalize"

    def run(self, graph: Graph, context: PassContext) -> Graph:
        """The graph in canonical form."""
        return rewrite_until_settled(graph, RULES, context.notes)


def drop_identity(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """Identity(x) is x."""
    return operands[0]


def drop_single_mean(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """GlobalAveragePool over one element is x."""
    return operands[0] if operands[0].type == node.result.type else None


def merge_bounds(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """Clip or Relu behind Clip or Relu becomes one, with the first bounds clipped by the second."""
    (x,) = operands
    low, high = _bounds(node)
    if (low, high) == (-inf, inf):
        return x
    before = builder.producer_of(x, Clip, Relu)
    if before is not None:
        first_low, first_high = _bounds(before)
        low, high = (min(max(bound, low), high) for bound in (first_low, first_high))
        if (low, high) == (first_low, first_high):
            return x
        return builder.replace(node, _clip(low, high), before.operands[0], fused=(before,))
    return None if _clip(low, high) == node.op else builder.replace(node, _clip(low, high), x)


def merge_affine(builder: Rewriter, node: Node, operands: tuple[Value, ...]) -> Value | None:
    """``a2 (a1 x + b1) + b2`` is ``(a2 a1) x + (a2 b1 + b2)``; ``1 x + 0`` is x."""
    assert isinstance(node.op, Affine)
    (x,) = operands
    if (node.op.scale, node.op.offset) == (1, 0):
        return x
    before = builder.producer_of(x, Affine)
    if before is None or not isinstance(before.op, Affine):
        return None
    scale = before.op.scale * node.op.scale
    offset = before.op.offset * node.op.scale + node.op.offset
    return builder.replace(node, Affine(scale, offset), before.operands[0], fused=(before,))


def _bounds(node: Node) -> tuple[float, float]:
    return (node.op.low, node.op.high) if isinstance(node.op, Clip) else (0.0, inf)


def _clip(low: float, high: float) -> Clip | Relu:
    return Relu() if (low, high) == (0, inf) else Clip(low, high)


RULES = {
    Identity: (drop_identity,),
    GlobalAveragePool: (drop_single_mean,),
    Concat: (single_concat,),
    Add: (add_into_product, scale_into_normalize),
    Mul: (mul_into_product, scale_into_normalize, factor_into_matrix_product),
    Affine: (merge_affine, affine_into_product, scale_into_normalize, factor_into_matrix_product),
    MatrixProduct: (factor_of_operand,),
    Sub: (sub_to_add,),
    Div: (div_to_mul,),
    Reshape: (merge_reshapes,),
    Slice: (slice_before_transpose, slice_before_reshape),
    Transpose: (merge_transposes, transpose_to_reshape),
    Conv: (pad_into_conv,),
    AveragePool: (pad_into_average,),
    MaxPool: (pad_into_maximum,),
    Clip: (merge_bounds,),
    Relu: (merge_bounds,),
}
