"""Operators of language models that carry a state or a cache from one call to the next."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from math import sqrt
from typing import TypeVar

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import DType, TensorType
from .checks import expect_count, expect_vector
from .real import expect_real, working_type

_T = TypeVar("_T")


class StateOperand(StrEnum):
    """What may follow queries, keys and values of linear attention, in this order."""

    STATE = "state"
    DECAY = "decay"
    RATE = "rate"


@op("linear_attention", Stage.FLOAT)
class LinearAttention(Op):
    """Attention through a matrix S ``[E, F]`` a head instead of scores.

    For each step with query q, key k and value v: ``S = exp(g) * S`` if a decay g is given;
    ``v = b * (v - S^T k)`` if a rate b is given; then ``S = S + k v^T`` and ``y = scale * S^T q``.
    Operands: q ``[N, T, query_heads * E]``, k ``[N, T, key_heads * E]``,
    v ``[N, T, key_heads * F]`` and what `given` names: the state ``[N, key_heads, E, F]``,
    decays ``[N, T, key_heads]`` or ``[N, T, key_heads * E]``, rates ``[N, T, key_heads]`` or
    ``[N, T, 1]``. Results: y ``[N, T, query_heads * F]`` and the last state. `scale` None is
    1 / sqrt(E).
    """

    query_heads: int
    key_heads: int
    given: tuple[StateOperand, ...] = ()
    scale: float | None = None

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Types of y and of the state."""
        expect_count(operands, 3 + len(self.given))
        q, k, v = operands[:3]
        dtype = expect_real(operands[:3])
        if self.key_heads < 1 or self.query_heads < 1 or self.query_heads % self.key_heads:
            raise OpError(f"{self.query_heads} query heads must be a multiple of {self.key_heads}")
        if any(type_.rank != 3 or type_.shape[:2] != q.shape[:2] for type_ in (q, k, v)):
            raise OpError("queries, keys and values must be [N, T, heads * size]")
        sizes = (q.shape[2] / self.query_heads, k.shape[2] / self.key_heads)
        if sizes[0] != sizes[1] or not sizes[0].is_integer() or v.shape[2] % self.key_heads:
            raise OpError(f"features {[t.shape[2] for t in (q, k, v)]} do not split into heads")
        size, width = int(sizes[0]), v.shape[2] // self.key_heads
        state = (q.shape[0], self.key_heads, size, width)
        self._expect_optional(operands, state)
        past = self._optional(operands, StateOperand.STATE)
        y = (*q.shape[:2], self.query_heads * width)
        return (TensorType(dtype, y), TensorType(past.dtype if past else dtype, state))

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """One step after the other; float16 is computed in float32."""
        working = working_type(inputs[0].dtype)
        q = self._by_step(inputs[0], self.query_heads, working)
        k, v = (self._by_step(array, self.key_heads, working) for array in inputs[1:3])
        past = self._optional(inputs, StateOperand.STATE)
        shape = (*k.shape[1:], v.shape[-1])
        state = np.zeros(shape, working) if past is None else past.astype(working)
        decay, rate = (
            None if found is None else self._parameter(found, working)
            for found in (
                self._optional(inputs, StateOperand.DECAY),
                self._optional(inputs, StateOperand.RATE),
            )
        )
        scale = 1 / sqrt(q.shape[-1]) if self.scale is None else self.scale
        y = np.empty((*q.shape[:3], v.shape[-1]), working)
        for step in range(len(q)):
            if decay is not None:
                state = state * np.exp(decay[step])[..., None]
            value = v[step]
            if rate is not None:
                value = rate[step] * (value - _read(state, k[step]))
            state = state + k[step][..., None] * value[..., None, :]
            read = np.repeat(state, self.query_heads // self.key_heads, axis=1)
            y[step] = scale * _read(read, q[step])
        packed = y.transpose(1, 0, 2, 3).reshape(*inputs[0].shape[:2], -1)
        kind = inputs[0].dtype if past is None else past.dtype
        return packed.astype(inputs[0].dtype), state.astype(kind)

    def _optional(self, operands: Sequence[_T], which: StateOperand) -> _T | None:
        return operands[3 + self.given.index(which)] if which in self.given else None

    def _by_step(self, array: Array, heads: int, dtype: np.dtype[np.floating]) -> Array:
        """Features ``[T, N, heads, size]``."""
        return array.astype(dtype).reshape(*array.shape[:2], heads, -1).swapaxes(0, 1)

    def _parameter(self, array: Array, dtype: np.dtype[np.floating]) -> Array:
        """Decays or rates ``[T, N, heads, size]``, of which both may be 1."""
        return self._by_step(array, min(self.key_heads, array.shape[2]), dtype)

    def _expect_optional(self, operands: Sequence[TensorType], state: tuple[int, ...]) -> None:
        steps, heads = operands[0].shape[:2], self.key_heads
        allowed = {
            StateOperand.STATE: (state,),
            StateOperand.DECAY: ((*steps, heads), (*steps, heads * state[2])),
            StateOperand.RATE: ((*steps, heads), (*steps, 1)),
        }
        for which, type_ in zip(self.given, operands[3:], strict=True):
            if type_.shape not in allowed[which]:
                listed = " or ".join(str(list(shape)) for shape in allowed[which])
                raise OpError(f"the {which} has shape {list(type_.shape)}, allowed is {listed}")


@op("causal_conv", Stage.FLOAT)
class CausalConv(Op):
    """Convolution of each channel with its past: ``y[t] = sum_j w[j] * x[t - k + 1 + j] + b``.

    Operands: x ``[N, C, T]``, w ``[C, 1, k]``, b ``[C]``, and the ``k - 1`` elements before x
    ``[N, C, k - 1]``. With `silu` y becomes ``y / (1 + exp(-y))``. Results: y and the last
    ``k - 1`` elements.
    """

    silu: bool = False

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Types of x and of the elements before it."""
        expect_count(operands, 4)
        expect_real(operands)
        x, w, bias, past = operands
        if x.rank != 3 or w.rank != 3 or w.shape[:2] != (x.shape[1], 1) or w.shape[2] < 1:
            raise OpError(f"x {list(x.shape)} and w {list(w.shape)} must be [N, C, T], [C, 1, k]")
        expect_vector(bias, x.shape[1], "bias")
        if past.shape != (*x.shape[:2], w.shape[2] - 1):
            raise OpError(f"the past has shape {list(past.shape)}, it must hold k - 1 elements")
        return (x, past)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A sum over the kernel elements; float16 is computed in float32."""
        x, w, bias, past = inputs
        whole = np.concatenate([past, x], axis=2)
        y = np.zeros(x.shape, working_type(x.dtype)) + bias[:, None]
        for index in range(w.shape[2]):
            y += whole[:, :, index : index + x.shape[2]].astype(y.dtype) * w[:, :, index]
        if self.silu:
            y = y.astype(x.dtype).astype(y.dtype)
            y = y * 0.5 * (1 + np.tanh(0.5 * y))
        return y.astype(x.dtype), np.ascontiguousarray(whole[:, :, x.shape[2] :])


@op("cache_update", Stage.FLOAT)
class CacheUpdate(Op):
    """A cache ``[N, ...]`` into which new elements are written along one axis.

    Operands: cache, new elements (as the cache but for `axis`), the first place for each sample
    ``[N]``. With `circular` places count modulo the extent of the cache.
    """

    axis: int
    circular: bool = False

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of the cache."""
        expect_count(operands, 3)
        cache, new, first = operands
        if not 1 <= self.axis < cache.rank:
            raise OpError(f"axis is {self.axis}, allowed are 1 to {cache.rank - 1}")
        grown = (*new.shape[: self.axis], cache.shape[self.axis], *new.shape[self.axis + 1 :])
        fits = new.rank == cache.rank and new.shape[self.axis] <= cache.shape[self.axis]
        if not fits or grown != cache.shape or new.dtype is not cache.dtype:
            raise OpError(f"{list(new.shape)} cannot be written into a cache {list(cache.shape)}")
        if first.dtype is not DType.I64:
            raise OpError(f"places are {first.dtype}, needed is i64")
        expect_vector(first, cache.shape[0], "the first place")
        return (cache,)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A copy with the elements written; linear places outside raise `ArithmeticError`."""
        cache, new, first = inputs
        extent = cache.shape[self.axis]
        places = first[:, None] + np.arange(new.shape[self.axis])
        if self.circular:
            places = places % extent
        elif places.size and not 0 <= places.min() <= places.max() < extent:
            raise ArithmeticError(f"places up to {places.max()} in a cache of {extent}")
        shape = [1] * cache.ndim
        shape[0], shape[self.axis] = places.shape
        result = cache.copy()
        index = np.broadcast_to(places.reshape(shape), new.shape)
        np.put_along_axis(result, index, new, self.axis)
        return (result,)


def _read(state: Array, vector: Array) -> Array:
    """``S^T x`` for each head."""
    return np.asarray(np.matmul(vector[..., None, :], state)[..., 0, :])
