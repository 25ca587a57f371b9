"""From a schedule to instructions."""

from __future__ import annotations

from .emit import emit, emit_with_probes
from .ordering import Aim, order_instructions, overlap_inputs, played_cycles
from .probe import ValueProbe

__all__ = [
    "Aim",
    "ValueProbe",
    "emit",
    "emit_with_probes",
    "order_instructions",
    "overlap_inputs",
    "played_cycles",
]
