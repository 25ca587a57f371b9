"""Limits on folding: small models must not make large constants."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ..ir.evaluate import evaluate
from ..ir.graph import Value
from ..ir.op import Array
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


def evaluated(conversion: Conversion, results: Sequence[Operand]) -> list[Array]:
    """The arrays of results that a converter built of constants alone."""
    values = [result for result in results if isinstance(result, Value)]
    names = [str(index) for index in range(len(values))]
    graph = conversion.builder.finish(values, names)
    for node in graph.nodes:
        for value in node.results:
            expect_fold_size(conversion, value.type.shape, value.type.dtype.numpy.itemsize)
    with np.errstate(all="ignore"):
        arrays = iter(evaluate(graph, {}).values())
    return [next(arrays) if isinstance(result, Value) else result for result in results]
