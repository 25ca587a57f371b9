"""The table of converters: one function an ONNX operator, and one to fold it on constants.

A converter is registered for the operator set from which it holds on; the newest that is not
newer than the model's is used. Differences that are small (an attribute that became an operand)
are handled inside one converter. What a converter cannot take is said by constraint functions:
their docstrings are both the message and the documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from typing import TYPE_CHECKING, TypeVar

from ..ir.graph import Value
from ..ir.op import Array

if TYPE_CHECKING:
    from .conversion import Conversion

OLDEST_OPSET = 7
NEWEST_OPSET = 28

Result = Value | Array
Convert = Callable[["Conversion"], Result | Sequence[Result]]
Fold = Callable[["Conversion"], Array | Sequence[Array]]
# Says what is wrong ("with computed weights") or returns None.
Constraint = Callable[["Conversion"], str | None]

_C = TypeVar("_C", bound=Convert)
_F = TypeVar("_F", bound=Fold)


class Form(Flag):
    """Graphs that a converter is for: with axis 0 as the batch, or with whole tensors.

    WHOLE converters take what can be evaluated. Those for COMPILED take less and yield what the
    compiler knows best; they come first where a whole graph is to be compiled.
    """

    BATCHED = auto()
    WHOLE = auto()
    COMPILED = auto()
    BOTH = BATCHED | WHOLE
    SHARED = BATCHED | COMPILED


@dataclass(frozen=True)
class Converter:
    """A converter function with its conditions.

    `constants` are the operands that must be constant. With `floats_only` what is built of
    constants is evaluated at import, since no product reads it as codes.
    """

    op_type: str
    since: int
    function: Convert
    constraints: tuple[Constraint, ...] = ()
    form: Form = Form.BATCHED
    constants: tuple[int, ...] = ()
    floats_only: bool = False


@dataclass(frozen=True)
class SupportedOperator:
    """What the importer takes: `since` is an operator set; constraints are sentences.

    `constants_only` marks operators that must vanish by folding.
    """

    op_type: str
    since: int
    constraints: tuple[str, ...]
    constants_only: bool


CONVERTERS: dict[str, list[Converter]] = {}
FOLDS: dict[str, Fold] = {}


def converts(
    *op_types: str,
    since: int = 1,
    constraints: Sequence[Constraint] = (),
    form: Form = Form.BATCHED,
    constants: Sequence[int] = (),
    floats_only: bool = False,
) -> Callable[[_C], _C]:
    """Register a converter for these operators from operator set `since` on.

    A converter of form `Form.WHOLE` treats axis 0 like every other axis. It serves graphs that
    are imported without a batch, and operators on constants.
    """

    def register(function: _C) -> _C:
        for op_type in op_types:
            versions = CONVERTERS.setdefault(op_type, [])
            made = Converter(
                op_type, since, function, tuple(constraints), form, tuple(constants), floats_only
            )
            versions.append(made)
            versions.sort(key=lambda converter: converter.since)
        return function

    return register


def folds(*op_types: str) -> Callable[[_F], _F]:
    """Register a function that computes these operators where all operands are constant."""

    def register(function: _F) -> _F:
        for op_type in op_types:
            FOLDS[op_type] = function
        return function

    return register


def find_converter(op_type: str, opset: int, form: Form = Form.BATCHED) -> Converter | None:
    """The newest converter that is not newer than the operator set; None if there is none."""
    fitting = [c for c in CONVERTERS.get(op_type, ()) if c.since <= opset and form & c.form]
    return fitting[-1] if fitting else None


def supported_operators() -> list[SupportedOperator]:
    """All operators that can be imported, by name; conditions are those of the widest form."""
    found = [
        SupportedOperator(name, converter.since, tuple(map(sentence, converter.constraints)), False)
        for name, converters in CONVERTERS.items()
        for converter in [c for c in converters if Form.WHOLE & c.form] or converters
    ]
    named = {operator.op_type for operator in found}
    found.extend(SupportedOperator(name, 1, (), True) for name in FOLDS if name not in named)
    return sorted(found, key=lambda operator: (operator.op_type, operator.since))


def sentence(constraint: Constraint) -> str:
    """The condition in words: the first paragraph of the function's docstring."""
    return " ".join((constraint.__doc__ or "").split("\n\n")[0].split())
