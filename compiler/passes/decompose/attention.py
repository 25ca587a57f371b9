"""Attention and rotary embedding as matrix products, Softmax and movements of elements."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ...ir import Array, Node, Value
from ...ir.ops.attention import Attention, AttentionOperand, RotaryEmbedding, Scores
from ...ir.ops.indexing import Gather
from ...ir.ops.linear import MatrixProduct
from ...ir.ops.logic import Where
from ...ir.ops.normalization import Softmax
from ...ir.ops.unary import Tanh
from .masks import HIDDEN, masked
from .registry import decomposes
from .steps import Steps, is_f32


@decomposes(Attention)
def attention(steps: Steps, node: Node) -> tuple[Value, ...] | None:
    """Not where the number of valid keys is computed."""
    assert isinstance(node.op, Attention)
    op, given = node.op, dict(zip(node.op.given, steps.operands[3:], strict=True))
    if AttentionOperand.VALID_KEYS in given or not is_f32(*steps.operands[:3]):
        return None
    if op.scores is Scores.BIASED:
        return None  # hidden scores are -inf there
    heads = (op.query_heads, op.key_heads, op.key_heads)
    keys_before = given.get(AttentionOperand.PAST_KEY)
    q, k, v = (_by_heads(steps, x, n) for x, n in zip(steps.operands, heads, strict=False))
    past = keys_before.type.shape[2] if keys_before is not None else 0
    k = _behind(steps, keys_before, k)
    v = _behind(steps, given.get(AttentionOperand.PAST_VALUE), v)
    keys, values = (_repeated(steps, x, q.type.shape[1]) for x in (k, v))
    scale = 1 / sqrt(q.type.shape[3]) if op.scale is None else op.scale
    stages = _scores(steps, op, q, keys, scale, given.get(AttentionOperand.MASK), past)
    if stages is None:
        return None
    y = steps.add(MatrixProduct(), stages[Scores.SOFTMAX], values)
    if steps.operands[0].type.rank == 3:
        turned = steps.transpose(y, (0, 2, 1, 3))
        y = steps.reshape(turned, (*turned.type.shape[:2], y.type.shape[1] * y.type.shape[3]))
    results = [y, *((k, v) if op.present else ())]
    return (*results, *((stages[op.scores],) if op.scores is not None else ()))


def _by_heads(steps: Steps, x: Value, heads: int) -> Value:
    """Features ``[N, heads, length, size]``."""
    if x.type.rank == 4:
        return x
    batch, length, features = x.type.shape
    return steps.transpose(
        steps.reshape(x, (batch, length, heads, features // heads)), (0, 2, 1, 3)
    )


def _behind(steps: Steps, past: Value | None, x: Value) -> Value:
    return x if past is None else steps.concat([past, x], 2)


def _repeated(steps: Steps, x: Value, heads: int) -> Value:
    """Every head so often in a row that there are so many."""
    batch, own, *rest = x.type.shape
    if own == heads:
        return x
    spread = steps.reshape(x, (batch, own, 1, *rest))
    whole = steps.expand(spread, (batch, own, heads // own, *rest))
    return steps.reshape(whole, (batch, heads, *rest))


def _scores(
    steps: Steps, op: Attention, q: Value, keys: Value, scale: float, mask: Value | None, past: int
) -> dict[Scores, Value] | None:
    """All stages of the scores ``[N, heads, queries, keys]``; None if a mask is too short."""
    product = steps.affine(steps.add(MatrixProduct(), q, steps.swap_last(keys)), scale)
    capped = product
    if op.softcap:
        capped = steps.affine(steps.add(Tanh(), steps.affine(product, 1 / op.softcap)), op.softcap)
    queries, length = product.type.shape[2:]
    seen, biased = _visible(op, queries, length, past), capped
    choices: list[Value] = []  # masks of truth values, True where a key is seen
    constant = None if mask is None else steps.array(mask)
    if constant is not None:
        additive = _additive(constant, length)
        seen = seen & (additive > HIDDEN)
        rest = np.where(additive > HIDDEN, additive, 0).astype(np.float32)
        biased = steps.plus(biased, steps.constant(rest, "mask")) if np.any(rest) else biased
    elif mask is not None and mask.type.shape[-1] < length:
        return None
    elif mask is not None and mask.type.dtype == "i1":
        choices.append(mask)
    elif mask is not None:
        biased = steps.plus(biased, mask)
    blind = bool(choices) or not seen.any(axis=-1).all()
    choices += [] if seen.all() else [steps.constant(seen, "seen")]
    for choice in choices:
        biased = masked(steps, choice, biased)
    weights = steps.add(Softmax(3), biased)
    for choice in choices if blind else ():
        weights = _unseen_to_zero(steps, choice, weights)
    return dict(zip(Scores, (product, capped, biased, weights), strict=True))


def _additive(mask: Array, keys: int) -> Array:
    """A constant mask as what is added to the scores, -inf for keys that it does not reach."""
    additive = np.where(mask, 0, -np.inf) if mask.dtype == bool else mask
    widths = [(0, 0)] * (additive.ndim - 1) + [(0, keys - additive.shape[-1])]
    return np.pad(additive, widths, constant_values=-np.inf)


def _unseen_to_zero(steps: Steps, seen: Value, weights: Value) -> Value:
    """Queries that see nothing have no weights: Softmax alone would give all keys the same."""
    zero = steps.constant(np.zeros((1,) * weights.type.rank, np.float32), "zero")
    return steps.add(Where(), seen, weights, zero)


def _visible(op: Attention, queries: int, keys: int, past: int) -> Array:
    """Which keys each query may see, ``[1, 1, queries, keys]``."""
    ahead = np.arange(keys) - (np.arange(queries)[:, None] + past)
    seen = np.ones((queries, keys), bool)
    if op.causal:
        seen &= ahead <= 0
    if op.left >= 0:
        seen &= -ahead <= op.left
    if op.right >= 0:
        seen &= ahead <= op.right
    return np.asarray(seen[None, None])


@decomposes(RotaryEmbedding)
def rotary_embedding(steps: Steps, node: Node) -> Value | None:
    """Two products for each half of the pairs."""
    assert isinstance(node.op, RotaryEmbedding)
    x, op = steps.operands[0], node.op
    if not is_f32(x):
        return None
    packed = x.type.rank == 3
    shape = x.type.shape
    heads = steps.reshape(x, (*shape[:2], op.heads, shape[2] // op.heads)) if packed else x
    cos, sin = (_angles(steps, table, packed) for table in steps.operands[1:3])
    size = op.rotated or heads.type.shape[3]
    half = size // 2
    if op.interleaved:
        a, b = (steps.slice(heads, 3, start, size, 2) for start in (0, 1))
    else:
        a, b = (steps.slice(heads, 3, start, start + half) for start in (0, half))
    first = steps.minus(steps.times(a, cos), steps.times(b, sin))
    second = steps.plus(steps.times(a, sin), steps.times(b, cos))
    pairs = _joined(steps, first, second, op.interleaved)
    whole = heads.type.shape[3]
    rest = [steps.slice(heads, 3, size, whole)] if size < whole else []
    return steps.reshape(steps.concat([pairs, *rest], 3), shape)


def _angles(steps: Steps, table: Value, packed: bool) -> Value:
    """Cosines or sines that broadcast against the features by heads."""
    positions = steps.operands[3] if len(steps.operands) == 4 else None
    array = steps.array(table)
    known = None if positions is None else steps.array(positions)
    if array is not None and known is not None:
        table, positions = steps.constant(array[known], "angles"), None
    if positions is not None:
        table = steps.add(Gather(0), table, positions)
    batch, length, half = table.type.shape
    shape = (batch, length, 1, half) if packed else (batch, 1, length, half)
    return steps.reshape(table, shape)


def _joined(steps: Steps, first: Value, second: Value, interleaved: bool) -> Value:
    """Both halves in a row, or their elements in turn."""
    if not interleaved:
        return steps.concat([first, second], 3)
    columns = [steps.reshape(x, (*x.type.shape, 1)) for x in (first, second)]
    shape = first.type.shape
    return steps.reshape(steps.concat(columns, 4), (*shape[:3], 2 * shape[3]))
