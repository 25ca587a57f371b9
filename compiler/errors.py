"""Errors of the compiler: one tree, one exit code a kind.

Exit codes follow the command line's contract: 3 bad input, 4 valid but unsupported, 5 does not
fit, 6 a resource limit was hit, 70 an error of the compiler itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from .diagnostics import Diagnostic, in_graph_order, render
from .limits import limits, spelled

UNNAMED = "the model"  # where the file is not known


class CompileError(Exception):
    """Anything that ends a compilation: a text, or all problems found in a file.

    `diagnostics` are the problems in graph order; empty where the error is one text.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, problem: str | Iterable[Diagnostic], file: str = UNNAMED) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = ()
        self.file = file
        if isinstance(problem, str):
            super().__init__(problem)
            return
        self.diagnostics = tuple(in_graph_order(problem))
        super().__init__(render(self.diagnostics, file))


class InputError(CompileError):
    """A model, data file or option that is not what it claims to be."""

    exit_code = 3


class UnsupportedError(CompileError):
    """A valid model with something that the compiler or the target cannot do."""

    exit_code = 4


class HostNeededError(UnsupportedError):
    """Nodes that have no form on the machine; `reasons` has them by ONNX node."""

    def __init__(self, problem: str | Iterable[Diagnostic], reasons: Mapping[str, str]) -> None:
        super().__init__(problem)
        self.reasons = dict(reasons)


class CapacityError(CompileError):
    """A network that does not fit the target; says by how much."""

    exit_code = 5


class LimitError(CompileError):
    """A policy limit against hostile or accidental size."""

    exit_code = 6


class VerificationError(CompileError):
    """An IR that breaks its own rules: a defect of a pass, never of the user's model."""


def expect_within(found: int, name: str, text: str, file: str = UNNAMED) -> None:
    """Raise `LimitError` where `found` is more than the limit of this name allows.

    `text` says what was found, such as "the graph has 7 nodes".
    """
    if found > getattr(limits(), name):
        raise LimitError([beyond(name, text)], file)


def beyond(name: str, text: str) -> Diagnostic:
    """The diagnostic of a limit that is exceeded."""
    cure = f"if you trust the file, raise it: --limit {spelled(name)}=..."
    text = f"{text}, the limit is {getattr(limits(), name):,}"
    return Diagnostic("IMC0601", text, help=(cure,))
