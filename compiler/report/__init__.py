"""Figures of a compilation, for tables, JSON and the generated reference pages."""

from __future__ import annotations

from .host import HostRow, HostShare
from .layers import LayerRow, Report, report

__all__ = ["HostRow", "HostShare", "LayerRow", "Report", "report"]
