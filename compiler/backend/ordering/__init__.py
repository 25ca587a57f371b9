"""The order of instructions on each core, from a play of the whole chip, and how long that is."""

from __future__ import annotations

from .overlap import overlap_inputs
from .reorder import order_instructions, played_cycles
from .rounds import InRounds, Unshared
from .single import order_single
from .steady import Aim

__all__ = [
    "Aim",
    "InRounds",
    "Unshared",
    "order_instructions",
    "order_single",
    "overlap_inputs",
    "played_cycles",
]
