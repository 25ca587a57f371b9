"""Limits on folding: small models must not make large constants."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ..ir.graph import Value
from .conversion import Conversion, Operand, Rejection

FOLD_LIMIT = 16 << 20  # bytes of one folded constant, unless its operands are larger still


def expect_fold_size(conversion: Conversion, shape: Sequence[int], itemsize: int) -> None:
    """Reject a constant that would be larger than the limit and than its operands.

    Folds that can make more than they get call this before they allocate.
    """
    size = prod(int(extent) for extent in shape) * itemsize
    operands = [o.nbytes for o in conversion.operands if o is not None and not isinstance(o, Value)]
    if size > max([FOLD_LIMIT, *operands]):
        text = f"{conversion.node.op_type} makes a constant of {size} bytes"
        raise Rejection("IMC0406", text, f"the limit for folding is {FOLD_LIMIT} bytes")


def expect_foldable(conversion: Conversion, results: Sequence[Operand]) -> None:
    """Check what a fold yielded."""
    for array in results:
        assert not isinstance(array, Value)  # a fold yields arrays
        expect_fold_size(conversion, array.shape, array.dtype.itemsize)
