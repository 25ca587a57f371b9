"""Export rules, one module a family; importing this package registers them."""

from __future__ import annotations

from . import (
    boundary,
    computed,
    elementwise,
    host,
    movement,
    normalization,
    pooling,
    products,
    reduce,
    select,
)

__all__ = [
    "boundary",
    "computed",
    "elementwise",
    "host",
    "movement",
    "normalization",
    "pooling",
    "products",
    "reduce",
    "select",
]
