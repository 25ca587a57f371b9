"""Quantization rules, one module a family; importing this package registers them."""

from __future__ import annotations

from . import arithmetic, moving, normalization, pooling, product, unary

__all__ = ["arithmetic", "moving", "normalization", "pooling", "product", "unary"]
