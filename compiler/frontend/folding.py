"""Limits on folding: small models must not make large constants."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from ..errors import expect_within
from ..ir.evaluate import evaluate
from ..ir.graph import Value
from ..ir.op import Array
from ..work import work
from .conversion import Conversion, Operand


def expect_fold_size(conversion: Conversion, shape: Sequence[int], itemsize: int) -> None:
    """Raise `LimitError` for a constant that is larger than the limit and than its operands.

    Folds that can make more than they get call this before they allocate.
    """
    size = prod(int(extent) for extent in shape) * itemsize
    if size <= max((operand.nbytes for operand in _constants(conversion)), default=0):
        return
    node = conversion.node
    mib = -(-size >> 20)
    text = f"{node.op_type} '{node.label}' makes a constant of {mib:,} MiB"
    expect_within(mib, "constant_mib", text)


def _constants(conversion: Conversion) -> list[Array]:
    return [o for o in conversion.operands if o is not None and not isinstance(o, Value)]


def expect_foldable(conversion: Conversion, results: Sequence[Operand]) -> None:
    """Check what a fold yielded; raises `LimitError`."""
    arrays = [result for result in results if not isinstance(result, Value)]
    for array in arrays:
        expect_fold_size(conversion, array.shape, array.dtype.itemsize)
    conversion.tensors.budget.spend(arrays, _constants(conversion), _what(conversion))


def _what(conversion: Conversion) -> str:
    return f"{conversion.node.op_type} '{conversion.node.label}'"


def evaluated(conversion: Conversion, results: Sequence[Operand]) -> list[Array]:
    """The arrays of results that a converter built of constants alone."""
    values = [result for result in results if isinstance(result, Value)]
    names = [str(index) for index in range(len(values))]
    graph = conversion.builder.finish(values, names)
    for node in graph.nodes:
        for value in node.results:
            expect_fold_size(conversion, value.type.shape, value.type.dtype.numpy.itemsize)
        operations = work(node.op, [v.type for v in node.operands], [v.type for v in node.results])
        conversion.tensors.budget.operate(operations, _what(conversion))
    with np.errstate(all="ignore"):
        arrays = iter(evaluate(graph, {}).values())
    made = [next(arrays) if isinstance(result, Value) else result for result in results]
    expect_foldable(conversion, made)
    return made
