"""From a schedule to instructions."""

from __future__ import annotations

from .emit import emit, emit_with_probes
from .ordering import (
    Aim,
    InRounds,
    Unshared,
    order_instructions,
    order_single,
    overlap_inputs,
    played_cycles,
)
from .probe import ValueProbe

__all__ = [
    "Aim",
    "InRounds",
    "Unshared",
    "ValueProbe",
    "emit",
    "emit_with_probes",
    "order_instructions",
    "order_single",
    "overlap_inputs",
    "played_cycles",
]
