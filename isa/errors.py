"""Errors of the instruction set: one tree, so that callers can catch any of them as `IsaError`."""

from __future__ import annotations


class IsaError(Exception):
    """Anything wrong with an instruction, a program, a target or their text and binary forms."""


class EncodingError(IsaError):
    """A field value that does not fit, or a word that is no instruction."""


class AssemblyError(IsaError):
    """Text that is not a program; `line` and `column` are those of the first problem, from 1."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class ContainerError(IsaError):
    """A file that is not a well-formed `.imc` container."""


class TargetError(IsaError):
    """A target description that is not valid; the message lists every problem."""


class ValidationError(IsaError):
    """A program that could do something undefined; the message lists every problem."""
