"""Errors of the machine."""

from __future__ import annotations


class MachineError(Exception):
    """A run that the instruction set does not define, or inputs that do not fit the program."""
