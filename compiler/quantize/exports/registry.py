"""The table of export rules: one function an operator on codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ...ir import Node, Op
from ...ir.ops.quantized import QConcat, QSoftmax, QUnary
from ...ir.requant import full_range
from ..onnx_writer import OnnxWriter

# Writes a node and gives the names of its results: codes, or real values behind a Dequantize.
Export = Callable[[OnnxWriter, Node], str | tuple[str, ...]]
_E = TypeVar("_E", bound=Export)

EXPORTS: dict[type[Op], Export] = {}
_TABLES = (QUnary, QConcat, QSoftmax)


def exports(*ops: type[Op]) -> Callable[[_E], _E]:
    """Register an export rule for operators of these classes."""

    def register(rule: _E) -> _E:
        for op in ops:
            if op in EXPORTS:
                raise TypeError(f"two export rules for {op.__name__}")
            EXPORTS[op] = rule
        return rule

    return register


def finish(writer: OnnxWriter, node: Node, real: str) -> str:
    """Codes of the result from its real values."""
    op = node.op
    requant = full_range(op.output) if isinstance(op, _TABLES) else op.requant  # type: ignore[attr-defined]
    return writer.codes(real, requant.output, node.result.name, requant.low, requant.high)


def node_name(node: Node) -> str:
    """The name of the float operator of a node."""
    return f"{node.result.name}/{node.op.name}"
