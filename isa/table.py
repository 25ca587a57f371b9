"""Tables of one function an instruction, complete or refused at import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from .instruction import TABLE, Instruction
from .instructions import Dim, Halt, Lag, Loop, Nop, Setq, Step, Stream

F = TypeVar("F", bound=Callable[..., object])

CONTROL: frozenset[type[Instruction]] = frozenset({Nop, Halt, Loop, Lag, Stream, Dim, Step, Setq})
"""Instructions that the control-flow walk resolves; all others reach the machine."""


class InstructionTable(Generic[F]):
    """Functions by instruction class; use an instance as the decorator that registers one."""

    def __init__(self, purpose: str) -> None:
        self.purpose = purpose
        self._functions: dict[type[Instruction], F] = {}

    def __call__(self, *classes: type[Instruction]) -> Callable[[F], F]:
        """Register the decorated function for these instructions."""

        def register(function: F) -> F:
            for cls in classes:
                if cls in self._functions:
                    raise TypeError(f"{cls.mnemonic} has two functions for {self.purpose}")
                self._functions[cls] = function
            return function

        return register

    def __getitem__(self, cls: type[Instruction]) -> F:
        """Return the function of an instruction class."""
        return self._functions[cls]

    def require_complete(self) -> None:
        """Raise `TypeError` naming each instruction that has no function."""
        missing = [c.mnemonic for c in TABLE.values() if c not in CONTROL | set(self._functions)]
        if missing:
            raise TypeError(f"no function for {self.purpose} of: {', '.join(missing)}")
