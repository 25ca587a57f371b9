"""Scaled dot-product attention, and rotary position embedding.

For each head, with queries Q ``[q, E]``, keys K ``[k, E]`` and values V ``[k, F]``:
``S = softcap(sqrt(scale) * Q (sqrt(scale) * K)^T) + bias``, ``Y = softmax(S) V``, where
``softcap(s) = c * tanh(s / c)``. The bias is the mask (booleans: 0 or -inf) plus -inf where a
query may not see a key. A query at index i has the position ``p = i + offset``; a causal one sees
keys j <= p, a window those with ``p - left <= j <= p + right``. The offset is the number of past
keys, or the number of valid keys minus the number of queries. A query that sees nothing yields 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from math import sqrt
from typing import TypeVar

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import DType, TensorType
from .checks import expect_count
from .real import expect_real, working_type

_T = TypeVar("_T")
_UNBOUNDED = -1


class AttentionOperand(StrEnum):
    """What may follow queries, keys and values, in this order."""

    MASK = "mask"
    PAST_KEY = "past-key"
    PAST_VALUE = "past-value"
    VALID_KEYS = "valid-keys"


class Scores(StrEnum):
    """Which scores the last result holds."""

    PRODUCT = "product"
    CAPPED = "capped"
    BIASED = "biased"
    SOFTMAX = "softmax"


@op("attention", Stage.FLOAT)
class Attention(Op):
    """Attention of q, k, v: ``[N, heads, length, size]``, or packed ``[N, length, heads * size]``.

    Heads of queries are a multiple of those of keys; neighbouring ones share a key. With packed
    operands `query_heads` and `key_heads` give their numbers. Results: y in the layout of q; with
    `present` the keys and values including the past, ``[N, heads, length, size]``; with `scores`
    the scores ``[N, heads, queries, keys]``. `scale` None is 1 / sqrt(size of a key).
    Softmax is computed in the type of q, or in `softmax_type`.
    """

    given: tuple[AttentionOperand, ...] = ()
    query_heads: int = 0
    key_heads: int = 0
    scale: float | None = None
    softcap: float = 0.0
    causal: bool = False
    left: int = _UNBOUNDED
    right: int = _UNBOUNDED
    softmax_type: DType | None = None
    present: bool = False
    scores: Scores | None = None

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Types of y, of present keys and values, and of the scores."""
        expect_count(operands, 3 + len(self.given))
        packed = operands[0].rank == 3
        q, k, v = (
            self._split(type_, heads) for type_, heads in zip(operands, self._heads, strict=False)
        )
        dtype = expect_real(operands[:3])
        self._expect_fit(q, k, v)
        past = self._optional(operands, AttentionOperand.PAST_KEY)
        keys = k[2] + (past.shape[2] if past is not None else 0)
        self._expect_optional(operands, (*q[:3], keys))
        y = (q[0], q[2], q[1] * v[3]) if packed else (*q[:3], v[3])
        shapes = [y]
        if self.present:
            shapes += [(*k[:2], keys, k[3]), (*v[:2], keys, v[3])]
        if self.scores is not None:
            shapes.append((*q[:3], keys))
        return tuple(TensorType(dtype, shape) for shape in shapes)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Two batched matrix products; each step of float16 is computed in float32 and rounded."""
        dtype, working = inputs[0].dtype, working_type(inputs[0].dtype)
        q, k, v = (
            self._unpacked(array, heads) for array, heads in zip(inputs, self._heads, strict=False)
        )
        k = self._with_past(k, self._optional(inputs, AttentionOperand.PAST_KEY))
        v = self._with_past(v, self._optional(inputs, AttentionOperand.PAST_VALUE))
        bias = self._bias(inputs, q.shape[2], k.shape[2], working)
        repeats = q.shape[1] // k.shape[1]
        keys, values = (np.repeat(array.astype(working), repeats, axis=1) for array in (k, v))
        factor = dtype.type(sqrt(1 / sqrt(q.shape[3]) if self.scale is None else self.scale))
        left, right = ((array * factor).astype(working) for array in (q, keys.astype(dtype)))
        product = np.matmul(left, right.swapaxes(2, 3)).astype(dtype).astype(working)
        capped = self.softcap * np.tanh(product / self.softcap) if self.softcap else product
        biased = capped + bias
        kind = dtype if self.softmax_type is None else self.softmax_type.numpy
        weights = _softmax(biased.astype(kind), bias)
        y = np.matmul(weights.astype(dtype).astype(working), values)
        if inputs[0].ndim == 3:
            y = y.transpose(0, 2, 1, 3).reshape(len(y), y.shape[2], -1)
        results = [y.astype(dtype)]
        if self.present:
            results += [k, v]
        if self.scores is not None:
            stages = dict(zip(Scores, (product, capped, biased, weights), strict=True))
            results.append(stages[self.scores].astype(dtype))
        return tuple(np.ascontiguousarray(result) for result in results)

    @property
    def _heads(self) -> tuple[int, int, int]:
        return self.query_heads, self.key_heads, self.key_heads

    def _optional(self, operands: Sequence[_T], which: AttentionOperand) -> _T | None:
        return operands[3 + self.given.index(which)] if which in self.given else None

    def _split(self, type_: TensorType, heads: int) -> tuple[int, int, int, int]:
        """Batch, heads, length and size of q, k or v."""
        shape = type_.shape
        if len(shape) == 4:
            return shape[0], shape[1], shape[2], shape[3]
        if len(shape) != 3 or heads < 1 or shape[2] % heads:
            raise OpError(
                f"an operand of shape {list(shape)} does not split into {heads} heads; allowed are "
                "[N, heads, length, size] and [N, length, heads * size]"
            )
        return shape[0], heads, shape[1], shape[2] // heads

    def _expect_fit(self, q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...]) -> None:
        if k[1] < 1 or q[1] % k[1] or k[:3] != v[:3] or q[0] != k[0] or q[3] != k[3]:
            raise OpError(
                f"queries {list(q)}, keys {list(k)} and values {list(v)} (batch, heads, length, "
                "size) do not fit: query heads are a multiple of key heads, keys and values have "
                "one length, queries and keys one size"
            )

    def _expect_optional(self, operands: Sequence[TensorType], scores: tuple[int, ...]) -> None:
        pasts = [o in self.given for o in (AttentionOperand.PAST_KEY, AttentionOperand.PAST_VALUE)]
        if pasts[0] != pasts[1]:
            raise OpError("past keys and past values come together")
        valid = self._optional(operands, AttentionOperand.VALID_KEYS)
        if valid is not None and (valid.shape != scores[:1] or valid.dtype is not DType.I64):
            raise OpError(f"valid keys are {valid.dtype} {list(valid.shape)}, needed is i64 [N]")
        mask = self._optional(operands, AttentionOperand.MASK)
        if mask is None:
            return
        allowed = (*scores[:-1], mask.shape[-1] if mask.rank else 0)
        extents = zip(mask.shape[::-1], allowed[::-1], strict=False)
        if (
            not 1 <= mask.rank <= 4
            or mask.shape[-1] > scores[3]
            or any(extent not in (1, whole) for extent, whole in extents)
        ):
            raise OpError(f"the mask {list(mask.shape)} does not broadcast to {list(scores)}")

    def _unpacked(self, array: Array, heads: int) -> Array:
        if array.ndim == 4:
            return array
        return array.reshape(*array.shape[:2], heads, -1).transpose(0, 2, 1, 3)

    def _with_past(self, array: Array, past: Array | None) -> Array:
        return array if past is None else np.concatenate([past, array], axis=2)

    def _bias(
        self, inputs: Sequence[Array], queries: int, keys: int, dtype: np.dtype[np.floating]
    ) -> Array:
        """What is added to the scores: broadcasts to ``[N, heads, queries, keys]``."""
        bias = np.zeros((1, 1, queries, keys), dtype)
        mask = self._optional(inputs, AttentionOperand.MASK)
        if mask is not None:
            bias = bias + _additive(mask, keys, dtype)
        past = self._optional(inputs, AttentionOperand.PAST_KEY)
        valid = self._optional(inputs, AttentionOperand.VALID_KEYS)
        offset: Array = np.asarray(0 if past is None else past.shape[2])
        if valid is not None:
            bias = bias + _open(np.arange(keys) < valid.reshape(-1, 1, 1, 1), dtype)
            offset = offset if past is not None else valid.reshape(-1, 1, 1, 1) - queries
        ahead = np.arange(keys) - (np.arange(queries)[:, None] + offset)
        if self.causal:
            bias = bias + _open(ahead <= 0, dtype)
        if self.left != _UNBOUNDED:
            bias = bias + _open(-ahead <= self.left, dtype)
        if self.right != _UNBOUNDED:
            bias = bias + _open(ahead <= self.right, dtype)
        return np.asarray(bias)


@op("rotary_embedding", Stage.FLOAT)
class RotaryEmbedding(Op):
    """Rotation of pairs of features by angles that grow with the position.

    Operands: x ``[N, heads, length, size]`` or ``[N, length, heads * size]``, cos and sin of the
    angles: ``[N, length, rotated / 2]``, or tables ``[positions, rotated / 2]`` followed by the
    positions ``[N, length]``. Pairs (a, b) become ``(a cos - b sin, a sin + b cos)``; a pair is
    two neighbours if `interleaved`, else the same places of the two halves. Features from `rotated`
    on stay (0 rotates all).
    """

    heads: int = 0
    rotated: int = 0
    interleaved: bool = False

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of x."""
        expect_count(operands, 3, 4)
        expect_real(operands[:3])
        x, cos, sin = operands[:3]
        batch, length, size = self._extents(x)
        half = (self.rotated or size) // 2
        tables = len(operands) == 4
        needed = (cos.shape[0], half) if tables else (batch, length, half)
        if cos.shape != needed or sin.shape != needed or 2 * half > size:
            raise OpError(
                f"cos {list(cos.shape)} and sin {list(sin.shape)} do not fit, needed is "
                f"{['positions' if tables else batch, *needed[1:]]}"
            )
        if tables and (operands[3].shape != (batch, length) or operands[3].dtype is not DType.I64):
            raise OpError(f"positions must be i64 [{batch}, {length}]")
        return (x,)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Two products a pair."""
        x = inputs[0]
        y = np.array(self._by_heads(x))
        cos, sin = (table[inputs[3]] if len(inputs) == 4 else table for table in inputs[1:3])
        cos, sin = cos[:, :, None], sin[:, :, None]
        size = self.rotated or y.shape[3]
        first = slice(0, size, 2) if self.interleaved else slice(0, size // 2)
        second = slice(1, size, 2) if self.interleaved else slice(size // 2, size)
        a, b = y[..., first].copy(), y[..., second].copy()
        y[..., first] = a * cos - b * sin
        y[..., second] = a * sin + b * cos
        if x.ndim == 4:
            y = y.transpose(0, 2, 1, 3)
        return (np.ascontiguousarray(y.reshape(x.shape)),)

    def _extents(self, x: TensorType) -> tuple[int, int, int]:
        """Batch, length and size of a head."""
        if x.rank == 4:
            return x.shape[0], x.shape[2], x.shape[3]
        if x.rank != 3 or self.heads < 1 or x.shape[2] % self.heads:
            raise OpError(f"{list(x.shape)} does not split into {self.heads} heads")
        return x.shape[0], x.shape[1], x.shape[2] // self.heads

    def _by_heads(self, x: Array) -> Array:
        """The features ``[N, length, heads, size]``."""
        if x.ndim == 4:
            return x.transpose(0, 2, 1, 3)
        return x.reshape(*x.shape[:2], self.heads, -1)


def _softmax(scores: Array, bias: Array) -> Array:
    """Weights of the keys, in the type of the scores; 0 for a query that sees none."""
    blind = np.isneginf(bias.max(axis=-1, keepdims=True))
    scores = np.where(blind, scores.dtype.type(0), scores)
    exponential = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exponential / exponential.sum(axis=-1, keepdims=True)
    return np.asarray(np.where(blind, weights.dtype.type(0), weights))


def _open(seen: Array, dtype: np.dtype[np.floating]) -> Array:
    """0 where a key is seen, else -inf."""
    return np.where(seen, dtype.type(0), dtype.type(-np.inf))


def _additive(mask: Array, keys: int, dtype: np.dtype[np.floating]) -> Array:
    """The mask as a bias, with -inf for keys that it does not reach."""
    bias = _open(mask, dtype) if mask.dtype == np.bool_ else mask.astype(dtype)
    widths = [(0, 0)] * (bias.ndim - 1) + [(0, keys - bias.shape[-1])]
    return np.pad(bias, widths, constant_values=-np.inf) if bias.shape[-1] < keys else bias
