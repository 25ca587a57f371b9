"""Masks before a Softmax.

Exporters hide a key by adding a number such as -1e9 or -inf to its score, or by putting it in
place of the score. On codes such a number would take the whole range and leave nothing to the
scores. Where the hidden places are constant, the score is replaced there by `HIDDEN`: far enough
below every score that its exponential is 0 in float32, and yet a number that calibration can leave
out (see `quantize.scores`).
"""

from __future__ import annotations

import numpy as np

from ...ir import Array, Node, Value
from ...ir.ops.binary import Add
from ...ir.ops.logic import Where
from ...ir.ops.normalization import Softmax
from ...ir.ops.unary import Clip
from .registry import decomposes
from .steps import Steps, is_f32

HIDDEN = -1e4


@decomposes(Softmax)
def softmax(steps: Steps, node: Node) -> Value | None:
    """The scores with bounded masks, if something changes."""
    (scores,) = steps.operands
    bounded = _bounded(steps, scores) if is_f32(scores) else None
    return None if bounded is None else steps.add(node.op, bounded)


def _bounded(steps: Steps, scores: Value) -> Value | None:
    """What takes the place of masked scores; None if they are not masked, or bounded already."""
    source = steps.builder.producer_of(scores, Add, Where, Clip)
    if source is None:
        return None
    match source.op:
        case Add():
            return _added(steps, *source.operands)
        case Where():
            return _chosen(steps, *source.operands)
        case Clip(low=low, high=high) if low <= HIDDEN and high == np.inf:
            return _bounded(steps, source.operands[0])  # the scores were kept from being -inf
    return None


def _added(steps: Steps, a: Value, b: Value) -> Value | None:
    """A score plus a mask that is constant, or chosen between 0 and a constant."""
    for x, mask in ((a, b), (b, a)):
        array = steps.array(mask)
        found = _plus_choice(steps, x, mask) if array is None else _plus_constant(steps, x, array)
        if found is not None:
            return found
    return None


def _plus_constant(steps: Steps, x: Value, array: Array) -> Value | None:
    if not np.any(array <= HIDDEN):
        return None
    seen = array > HIDDEN
    rest = np.where(seen, array, np.float32(0))
    score = steps.plus(x, steps.constant(rest, "mask")) if np.any(rest) else x
    return masked(steps, steps.constant(seen, "seen"), score)


def _plus_choice(steps: Steps, x: Value, mask: Value) -> Value | None:
    """A score plus 0 where a computed condition holds, and a large negative number elsewhere."""
    choice = steps.builder.producer_of(mask, Where)
    if choice is None:
        return None
    condition, yes, no = choice.operands
    numbers = (steps.scalar(yes), steps.scalar(no))
    hidden = [number is not None and number <= HIDDEN for number in numbers]
    if sorted(hidden) != [False, True] or 0 not in numbers:
        return None
    bounded = steps.constant(np.full((1,) * x.type.rank, HIDDEN, np.float32), "hidden")
    return steps.add(Where(), condition, *((bounded, x) if hidden[0] else (x, bounded)))


def _chosen(steps: Steps, mask: Value, yes: Value, no: Value) -> Value | None:
    """A score or a constant, as a mask says."""
    for index, value in enumerate((yes, no)):
        array = steps.array(value)
        if array is not None and np.any(array < HIDDEN):
            bounded = steps.constant(np.maximum(array, np.float32(HIDDEN)), "hidden")
            pair = (bounded, no) if index == 0 else (yes, bounded)
            return steps.add(Where(), mask, *pair)
    return None


def masked(steps: Steps, seen: Value, scores: Value) -> Value:
    """The scores where they are seen, `HIDDEN` elsewhere."""
    hidden = steps.constant(np.full((1,) * scores.type.rank, HIDDEN, np.float32), "hidden")
    return steps.add(Where(), seen, scores, hidden)
