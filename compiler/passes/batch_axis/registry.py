"""The tables of the pass `add-batch-axis`: what an operator is under a new leading axis.

Most operators need one function, registered with `shifts`: it gives the operator that does the
same behind a new axis 0. Operators whose operands have to be aligned or turned have a rule of
their own, registered with `batches`. An operator of one operand in neither table can keep its
own axis 0 of extent 1; everything else is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from ...ir import Node, Op, TensorType, Value

if TYPE_CHECKING:
    from .carrier import Carrier

# Gives the operator for operands of these types (without the new axis) once they have it.
Shift = Callable[[Op, Sequence[TensorType]], Op]
# Builds the results in either form; None where the node cannot get a batch axis.
BatchRule = Callable[["Carrier", Node], "tuple[Value, ...] | None"]

_S = TypeVar("_S", bound=Shift)
_B = TypeVar("_B", bound=BatchRule)

SHIFTS: dict[type[Op], Shift] = {}
BATCH_RULES: dict[type[Op], BatchRule] = {}


def shifts(*ops: type[Op]) -> Callable[[_S], _S]:
    """Register a shift for operators of these classes with one computed operand."""

    def register(shift: _S) -> _S:
        for op in ops:
            _expect_new(op)
            SHIFTS[op] = shift
        return shift

    return register


def batches(*ops: type[Op]) -> Callable[[_B], _B]:
    """Register a rule for operators of these classes."""

    def register(rule: _B) -> _B:
        for op in ops:
            _expect_new(op)
            BATCH_RULES[op] = rule
        return rule

    return register


def _expect_new(op: type[Op]) -> None:
    if op in SHIFTS or op in BATCH_RULES:
        raise TypeError(f"two ways to give {op.__name__} a batch axis")
