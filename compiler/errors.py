"""Errors of the compiler: one tree, one exit code a kind.

Exit codes follow the command line's contract: 3 bad input, 4 valid but unsupported, 5 does not
fit, 6 a resource limit was hit, 70 an error of the compiler itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from .diagnostics import Diagnostic, in_graph_order, render


class CompileError(Exception):
    """Anything that ends a compilation: a text, or all problems found in a file.

    `diagnostics` are the problems in graph order; empty where the error is one text.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, problem: str | Iterable[Diagnostic], file: str = "the model") -> None:
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


class CapacityError(CompileError):
    """A network that does not fit the target; says by how much."""

    exit_code = 5


class LimitError(CompileError):
    """A policy limit against hostile or accidental size."""

    exit_code = 6


class VerificationError(CompileError):
    """An IR that breaks its own rules: a defect of a pass, never of the user's model."""
