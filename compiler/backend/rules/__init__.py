"""Emission rules, one file a family of operators; importing this package registers them."""

from __future__ import annotations

from . import (
    boundary,
    divide,
    dot,
    elementwise,
    embedding,
    host,
    movement,
    normalize,
    partial_sums,
    pooling,
    product,
    reduce,
    rows,
    select,
)

__all__ = [
    "boundary",
    "divide",
    "dot",
    "elementwise",
    "embedding",
    "host",
    "movement",
    "normalize",
    "partial_sums",
    "pooling",
    "product",
    "reduce",
    "rows",
    "select",
]
