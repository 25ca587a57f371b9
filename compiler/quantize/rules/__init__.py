"""Quantization rules, one module a family; importing this package registers them."""

from __future__ import annotations

from . import (
    arithmetic,
    borders,
    dot,
    embedding,
    host,
    logic,
    moving,
    normalization,
    normalize,
    pooling,
    product,
    reduce,
    select,
    unary,
)

__all__ = [
    "arithmetic",
    "borders",
    "dot",
    "embedding",
    "host",
    "logic",
    "moving",
    "normalization",
    "normalize",
    "pooling",
    "product",
    "reduce",
    "select",
    "unary",
]
