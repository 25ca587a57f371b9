"""Weights that were not read, as codes of typical ones.

How many rows an array can drive at once without loss depends on weights. In their place stand
normal random numbers, one column for all outputs, quantized so that the largest is the
largest code: the distribution that initialization gives and training keeps roughly.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir import Array, Graph
from ..ir.ops.quantized import QConv, QMatMul
from ..ir.sketch import is_sketch, sketch


def with_typical_weights(graph: Graph) -> Graph:
    """A quantized graph with typical codes for the weights of products that are sketches."""
    found: dict[str, Array] = {}
    for node in graph.nodes:
        if not isinstance(node.op, QConv | QMatMul):
            continue
        weight = node.operands[1]
        array, quant = graph.constant(weight), weight.type.quant
        if array is not None and quant is not None and is_sketch(array):
            axis = 0 if isinstance(node.op, QConv) else 1
            found[weight.name] = _codes(weight.type.shape, axis, quant.bits)
    return replace(graph, constants={**graph.constants, **found}) if found else graph


def _codes(shape: tuple[int, ...], axis: int, bits: int) -> Array:
    """Codes of this shape, equal along `axis`, which counts outputs."""
    column = tuple(1 if a == axis else extent for a, extent in enumerate(shape))
    values = np.random.default_rng(0).standard_normal(column, np.float32)
    largest = (1 << (bits - 1)) - 1
    codes = np.rint(values * (largest / np.abs(values).max(initial=1e-9)))
    return sketch(codes.astype(np.int8), shape)
