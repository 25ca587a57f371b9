"""The table of decompositions: what a composite float operator is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ...ir import Node, Op, Value
from .steps import Steps

# Builds the values that take the place of the results; None where the node stays as it is.
Decomposition = Callable[[Steps, Node], Value | tuple[Value, ...] | None]

_D = TypeVar("_D", bound=Decomposition)

DECOMPOSITIONS: dict[type[Op], list[Decomposition]] = {}


def decomposes(*ops: type[Op]) -> Callable[[_D], _D]:
    """Register a decomposition for operators of these classes; the first one that fits is used."""

    def register(decomposition: _D) -> _D:
        for op in ops:
            DECOMPOSITIONS.setdefault(op, []).append(decomposition)
        return decomposition

    return register
