"""Export rules, one module a family; importing this package registers them."""

from __future__ import annotations

from . import boundary, elementwise, movement, normalization, pooling, products

__all__ = ["boundary", "elementwise", "movement", "normalization", "pooling", "products"]
