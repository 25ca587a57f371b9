"""Emission rules, one file a family of operators; importing this package registers them."""

from __future__ import annotations

from . import boundary, elementwise, movement, pooling, product

__all__ = ["boundary", "elementwise", "movement", "pooling", "product"]
