"""The table of quantization rules: what each float operator becomes on codes.

A rule says how its operator takes part in planning (`Kind`), and may refuse nodes that it cannot
take. Planning, rewriting, `imcc check` and the generated documentation all read this table, so
that an operator is known to all of them or to none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, TypeVar

from ..ir import Graph, Node, Op, Value

if TYPE_CHECKING:
    from .quantizer import Quantizer

# Builds the value on codes, or all of them where a node has several results.
Rule = Callable[["Quantizer", Node], Value | tuple[Value, ...]]
# Why a node cannot be quantized, to be read behind the operator's name; empty if it can be.
Refusal = Callable[[Graph, Node], str]

_R = TypeVar("_R", bound=Rule)


class Kind(Enum):
    """How parameters of the result come about.

    FUSING results have an output stage, which takes up a Relu or Clip behind it. MOVING results
    are codes of the first operand, with its parameters. JOINING results have parameters of their
    own, to which the operands are brought. COMPUTED results have parameters of their own.
    """

    FUSING = auto()
    MOVING = auto()
    JOINING = auto()
    COMPUTED = auto()


# The kind of an operator, where its attributes decide.
KindOf = Callable[[Op], Kind]


@dataclass(frozen=True)
class QuantizationRule:
    """What an operator becomes."""

    kind: Kind | KindOf
    rule: Rule
    refuses: Refusal

    def kind_of(self, op: Op) -> Kind:
        """The kind of this operator."""
        return self.kind if isinstance(self.kind, Kind) else self.kind(op)


RULES: dict[type[Op], QuantizationRule] = {}


def accepts_all(graph: Graph, node: Node) -> str:
    """Refuse nothing."""
    return ""


def quantizes(
    *ops: type[Op], kind: Kind | KindOf = Kind.COMPUTED, refuses: Refusal = accepts_all
) -> Callable[[_R], _R]:
    """Register a rule for operators of these classes."""

    def register(rule: _R) -> _R:
        for op in ops:
            if op in RULES:
                raise TypeError(f"two quantization rules for {op.__name__}")
            RULES[op] = QuantizationRule(kind, rule, refuses)
        return rule

    return register


def is_kind(op: Op, kind: Kind) -> bool:
    """Whether an operator has a rule of this kind."""
    found = RULES.get(type(op))
    return found is not None and found.kind_of(op) is kind
