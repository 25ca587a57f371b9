"""From a schedule to instructions."""

from __future__ import annotations

from .emit import ValueProbe, emit, emit_with_probes

__all__ = ["ValueProbe", "emit", "emit_with_probes"]
