"""The order of instructions on each core, from a play of the whole chip (`order_instructions`)."""

from __future__ import annotations

from .reorder import order_instructions

__all__ = ["order_instructions"]
