"""Figures of a compilation, for tables, JSON and the generated reference pages."""

from __future__ import annotations

from .layers import LayerRow, Report, report

__all__ = ["LayerRow", "Report", "report"]
