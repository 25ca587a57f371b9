"""Products of two computed matrices of codes, as attention has them.

Both operands are activations, so no crossbar holds one of them: the vector unit multiplies. The
sums are exact integers; the output stage is that of other products.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..op import Array, Op, OpError, Stage, op
from ..requant import Requant
from ..types import QuantParams, TensorType
from .codes import activation
from .exact_product import exact_type, largest_code
from .linear import MatrixProduct

# Codes are bytes, so a centred code is at most 255 in magnitude.
_LARGEST_PRODUCT = 255 * 255
LONGEST_SUM = ((1 << 31) - 1) // _LARGEST_PRODUCT


@op("qdot", Stage.QUANTIZED | Stage.TILED)
class QDot(Op):
    """Product of two computed matrices: ``requantize(sum (a - za) * (b - zb))``.

    Operands: a ``[1, ..., M, K]`` and b ``[1, ..., K, N]`` of one rank, at least 3, whose axes
    before the matrices broadcast. K is at most 33,025, so that no sum leaves int32. The real
    product is multiplied by `factor`, above 0: the scale is
    ``f32(f32(sa * sb) / f32(sy / factor))``.
    """

    requant: Requant
    factor: float = 1.0

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes ``[1, ..., M, N]``."""
        a, b = operands
        activation(a, "operand a")
        activation(b, "operand b")
        if a.rank != b.rank or a.rank < 3 or a.shape[-1] != b.shape[-2]:
            raise OpError(f"a {a.shape} and b {b.shape} are not stacks of matrices that fit")
        if a.shape[-1] > LONGEST_SUM:
            raise OpError(f"sums have {a.shape[-1]} products; at most {LONGEST_SUM} fit int32")
        (product,) = MatrixProduct().infer([TensorType(t.dtype, t.shape) for t in operands])
        if product.shape[0] != 1:
            raise OpError(f"axis 0 of a {a.shape} and b {b.shape} is the batch; it must be 1")
        return (self.requant.type(product.shape),)

    @property
    def unscaled(self) -> QuantParams:
        """The parameters of the result before it is multiplied by `factor`."""
        output = self.requant.output
        scale = float(self.requant.scale / np.float32(self.factor))
        return QuantParams((scale,), output.zero_point, None, output.bits, output.signed)

    def accumulator_scale(self, types: Sequence[TensorType]) -> NDArray[np.float32]:
        """Scale from accumulator to output codes, without axes."""
        a, b = (activation(type_) for type_ in types)
        product = np.float32(a.scale[0]) * np.float32(b.scale[0])
        return np.asarray(product / np.float32(self.unscaled.scale[0]), np.float32)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Exact accumulators, then the output stage."""
        a, b = (activation(type_) for type_ in types)
        dtype = exact_type(types[0].shape[-1] * largest_code(a) * largest_code(b))
        left = inputs[0].astype(dtype) - dtype.type(a.zero_point[0])
        right = inputs[1].astype(dtype) - dtype.type(b.zero_point[0])
        return (self.requant.apply(np.matmul(left, right), self.accumulator_scale(types)),)
