"""The bounds of a network in the notes of its program, so that a profile can be put beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import isfinite

from imcc.isa import Program

from ..errors import InputError
from .bounds import TERMS, Bound

_NOTE = "bounds"
_KINDS = ("latency", "interval")
_NEW = {"dependence": 0.0}  # what notes of programs made before there was a term say of it


@dataclass(frozen=True)
class ScheduleBounds:
    """The least latency and the least interval, in ns."""

    latency: Bound
    interval: Bound


def with_bounds(program: Program, bounds: ScheduleBounds | None) -> Program:
    """The program with a note of its bounds."""
    if bounds is None:
        return program
    found = {kind: _terms(getattr(bounds, kind)) for kind in _KINDS}
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    return replace(program, notes=(*program.notes, (_NOTE, text)))


def read_bounds(program: Program) -> ScheduleBounds | None:
    """The bounds noted in a program, without replicas; None where it has no such note.

    Raises `InputError` where the note is damaged.
    """
    text = dict(program.notes).get(_NOTE)
    if text is None:
        return None
    try:
        found = json.loads(text)
        return ScheduleBounds(*(_bound(found[kind]) for kind in _KINDS))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"the program's note '{_NOTE}' is damaged: {error}; "
            "compile the model again with imcc compile"
        ) from error


def _terms(bound: Bound) -> dict[str, float]:
    return {term: getattr(bound, term) for term in TERMS}


def _bound(terms: dict[str, object]) -> Bound:
    return Bound(**dict(zip(TERMS, _numbers(terms), strict=True)), replicas=())


def _numbers(terms: dict[str, object]) -> Iterator[float]:
    known = {**_NEW, **terms}
    for term in TERMS:
        value = known[term]
        if not isinstance(value, (int, float)) or not isfinite(value) or value < 0:
            raise ValueError(f"'{term}' is {value!r}; it must be a time in ns")
        yield float(value)
