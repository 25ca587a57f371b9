"""Exact integer products of codes and weights through floating-point BLAS.

A float product of whole numbers is exact in any order of summation as long as
``max|x| * max_n sum_k |w[k, n]| + max|bias|`` stays below 2^24 (float32) or 2^53 (float64). The
bound is taken from the actual weights. Codes enter minus their zero point, so that padding is 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..op import Array
from ..sketch import thinned
from ..types import QuantParams
from . import linear
from .windows import Windows

_CHUNK = 1 << 23  # codes made floats at once


def largest_code(params: QuantParams) -> int:
    """Largest magnitude of a code minus its zero point."""
    zero = params.zero_point[0]
    return max(params.high - zero, zero - params.low)


def accumulator_bound(
    params: QuantParams, weights: Array, bias: Array, axis: int, shift: int = 0
) -> int:
    """Largest magnitude that an accumulator can take, for any input codes.

    `axis` is the axis of the output channels in `weights`; sums of products count `shift` bits
    higher than the bias.
    """
    others = tuple(a for a in range(weights.ndim) if a != axis)
    shown = thinned(weights, axis)
    repeats = weights.size // max(1, shown.size)
    sums = repeats * _magnitudes(shown).sum(axis=others, dtype=np.int64)
    products = (largest_code(params) * sums) << shift
    return int(np.max(products + np.abs(bias.astype(np.int64))))


def _magnitudes(weights: Array) -> Array:
    """Magnitudes without a sign: that of the lowest number has no place in its own type."""
    magnitudes = np.abs(weights)
    return magnitudes.view(f"u{weights.itemsize}") if weights.dtype.kind == "i" else magnitudes


def exact_type(bound: int) -> np.dtype[np.floating]:
    """The float type in which whole numbers up to `bound` are exact."""
    return np.dtype(np.float32 if bound < 1 << 24 else np.float64)


def matmul(
    x: Array, params: QuantParams, weights: Array, bias: Array, shift: int = 0
) -> NDArray[np.floating]:
    """Accumulators ``((x - zero_point) @ weights) * 2^shift + bias`` of codes ``x[..., K]``."""
    dtype = exact_type(accumulator_bound(params, weights, bias, 1, shift))
    centred = x.astype(dtype) - dtype.type(params.zero_point[0])
    products = centred @ weights.astype(dtype)
    return np.asarray(products * dtype.type(1 << shift) + bias.astype(dtype))


def convolve(
    x: Array,
    params: QuantParams,
    weights: Array,
    bias: Array,
    windows: Windows,
    group: int,
    shift: int = 0,
) -> NDArray[np.floating]:
    """Accumulators of a grouped N-D convolution of codes ``x[B, C, *spatial]``.

    The sums of products are multiplied by ``2^shift`` before the bias is added.
    """
    dtype = exact_type(accumulator_bound(params, weights, bias, 0, shift))
    kernels = weights.astype(dtype) * dtype.type(1 << shift)
    offset = bias.astype(dtype).reshape(-1, *(1 for _ in windows.kernel))
    step = max(1, _CHUNK // max(1, x[0].size))
    parts = []
    for start in range(0, len(x), step):
        centred = x[start : start + step].astype(dtype) - dtype.type(params.zero_point[0])
        parts.append(linear.convolve(centred, kernels, windows, group) + offset)
    return np.concatenate(parts)
