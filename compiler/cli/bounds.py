"""Bounds of the times of a program, as text and as JSON."""

from __future__ import annotations

from ..mapping.bound_notes import ScheduleBounds
from ..mapping.bounds import TERMS, Bound
from .text import Json

_NS_PER_US = 1000.0


def bounds_json(bounds: ScheduleBounds | None) -> Json:
    """The bounds of latency and interval in us, each with its terms; null where there are none."""
    if bounds is None:
        return None
    return {"latency": _bound_json(bounds.latency), "interval": _bound_json(bounds.interval)}


def _bound_json(bound: Bound) -> Json:
    terms = {f"{term}_us": getattr(bound, term) / _NS_PER_US for term in TERMS}
    return {"bound_us": bound.value / _NS_PER_US, "term": bound.term, **terms}


def bound_text(bound: Bound) -> str:
    """The bound in us, and its terms that are not zero, the largest first."""
    terms = {term: getattr(bound, term) / _NS_PER_US for term in TERMS}
    ordered = sorted(terms, key=lambda term: -terms[term])
    parts = ", ".join(f"{term} {terms[term]:.4g}" for term in ordered if terms[term])
    return f"{bound.value / _NS_PER_US:.4g} us ({parts})"


def ratio_text(time_us: float, bound: Bound) -> str:
    """How many times its bound a time is."""
    ratio = time_us * _NS_PER_US / bound.value if bound.value else float("inf")
    return f"{ratio:.2f} times the bound, {bound_text(bound)}"
