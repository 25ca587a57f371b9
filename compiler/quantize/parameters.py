"""Scales, zero points and codes of activations, weights and biases."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..ir import Array, QuantParams
from ..ir.sketch import is_sketch, sketch, thinned
from .grids import grid_steps

_LARGEST_BIAS = 1 << 30
_TINY = float(np.finfo(np.float32).tiny)


def activation_params(low: float, high: float, bits: int) -> QuantParams:
    """Unsigned codes for the range ``low <= 0 <= high``; zero is exactly a code.

    A range without extent gets scale 1.
    """
    steps = (1 << bits) - 1
    scale = np.float32((high - low) / steps)
    if scale < _TINY:
        scale = np.float32(1)
    zero = int(np.clip(np.rint(-low / float(scale)), 0, steps))
    return QuantParams((float(scale),), (zero,), None, bits, False)


def range_params(array: Array, bits: int) -> QuantParams:
    """Unsigned codes for all values of an array."""
    return activation_params(min(float(array.min()), 0.0), max(float(array.max()), 0.0), bits)


@dataclass(frozen=True, eq=False)
class ProductCodes:
    """Weights and bias of a product as integers; scales are float32, one an output channel."""

    weights: NDArray[np.int8]
    weight_params: QuantParams
    bias: NDArray[np.int32]
    bias_params: QuantParams


def product_codes(
    weights: Array, bias: Array, axis: int, bits: int, input_scale: float
) -> ProductCodes:
    """Symmetric weights per output channel (`axis`), bias in units of ``f32(sx * sw)``.

    Weight codes are at most ``2^(bits-1) - 1`` in magnitude; up to 4 bits the scale is the one of
    least squared error, which clips the largest weights. Weights that lie on a grid already keep
    it. Where a bias would not fit 31 bits the channel's weight scale is widened; a channel of zeros
    has the largest scale of the others.
    """
    if is_sketch(weights):
        found = product_codes(thinned(weights, axis), bias, axis, bits, input_scale)
        return replace(found, weights=sketch(found.weights, weights.shape))
    largest = (1 << (bits - 1)) - 1
    others = tuple(a for a in range(weights.ndim) if a != axis)
    magnitude = np.abs(weights).max(axis=others).astype(np.float64)
    needed = np.abs(bias.astype(np.float64)) / (input_scale * _LARGEST_BIAS)
    best = _best_fractions(weights, magnitude / largest, axis, largest) if bits <= 4 else 1.0
    grid = grid_steps(np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1), largest)
    chosen = np.where(np.isnan(grid), best * magnitude / largest, grid)
    scales = np.maximum(chosen, needed).astype(np.float32)
    fallback = max(float(scales.max(initial=0)), 0.0)
    scales = np.where(scales < _TINY, np.float32(fallback or 1.0), scales).astype(np.float32)
    shape = tuple(-1 if a == axis else 1 for a in range(weights.ndim))
    codes = weights / scales.reshape(shape)
    np.clip(np.rint(codes, out=codes), -largest, largest, out=codes)
    products = np.float32(input_scale) * scales
    return ProductCodes(
        codes.astype(np.int8),
        _channel_params(scales, axis, bits),
        np.rint(bias.astype(np.float64) / products).astype(np.int32),
        _channel_params(products, 0, 32),
    )


def _best_fractions(
    weights: Array, scales: NDArray[np.float64], axis: int, largest: int
) -> NDArray[np.float64]:
    """The fraction of each channel's full scale that rounds its weights with the least error."""
    rows = np.moveaxis(weights, axis, 0).reshape(len(scales), -1).astype(np.float64)
    fractions = np.linspace(0.4, 1, 61)
    errors = []
    for fraction in fractions:
        steps = np.maximum(fraction * scales, _TINY)[:, np.newaxis]
        codes = np.clip(np.rint(rows / steps), -largest, largest)
        errors.append(np.square(rows - codes * steps).sum(axis=1))
    return np.asarray(fractions[np.argmin(errors, axis=0)])


def _channel_params(scales: NDArray[np.float32], axis: int, bits: int) -> QuantParams:
    values = tuple(scales.tolist())
    return QuantParams(values, (0,) * len(values), axis, bits, True)
