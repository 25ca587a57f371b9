"""Which part of the operand of a Softmax counts.

A score that lies r below the largest of its row has a weight of at most ``exp(-r)``. With
``r = log(2^9 n)`` for n scores in a row, all that lie lower have weights of half a code of eight
bits together. So calibration takes such scores for the largest less r: a mask of -1e4 then costs
the other scores no digits, and codes below the range stand for a weight of 0.
"""

from __future__ import annotations

from math import log

import numpy as np

from ..ir import Array, Graph, Value
from ..ir.ops.normalization import Softmax
from ..ir.ops.shape import Reshape

_HALF_CODE = 2.0**9


def score_axes(graph: Graph) -> dict[str, int]:
    """The axis of the Softmax for each value that is computed for nothing else."""
    values = (value for node in graph.nodes for value in node.results)
    found = ((value.name, _axis(graph, value)) for value in values)
    return {name: axis for name, axis in found if axis is not None}


def _axis(graph: Graph, value: Value) -> int | None:
    """The axis; through reshapes that keep the rows of the last one."""
    users = graph.users(value)
    if len(users) != 1 or graph.is_output(value):
        return None
    (user,) = users
    if isinstance(user.op, Softmax):
        return user.op.axis
    if not isinstance(user.op, Reshape) or user.op.shape[-1:] != value.type.shape[-1:]:
        return None
    behind = _axis(graph, user.result)
    return value.type.rank - 1 if behind == user.result.type.rank - 1 else None


def counting(scores: Array, axis: int) -> Array:
    """The scores, none lower than what is left out of account."""
    reach = log(_HALF_CODE * scores.shape[axis])
    highest = scores.max(axis=axis, keepdims=True)
    return np.asarray(np.maximum(scores, highest - scores.dtype.type(reach)))
