"""Collects what is wrong with a program, with the place and the ONNX nodes it comes from."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import ValidationError
from ..program import Program
from ..walk import Operation

MAX_PROBLEMS = 50


class Findings:
    """Problems in the order found; an instruction in a loop reports only once."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._messages: list[str] = []
        self._reported: set[tuple[int, int]] = set()

    def add(self, messages: Iterable[str]) -> None:
        """Add problems of the program as a whole."""
        self._messages += messages

    def at(self, core: int, pc: int, messages: Iterable[str]) -> None:
        """Add problems of the instruction `pc` of `core`."""
        if (core, pc) in self._reported:
            return
        for message in messages:
            self._reported.add((core, pc))
            self._messages.append(f"{self._place(core, pc)}: {message}")

    def at_operation(self, operation: Operation, messages: Iterable[str]) -> None:
        """Add problems of an executed operation."""
        self.at(operation.core, operation.pc, messages)

    def raise_if_any(self) -> None:
        """Raise `ValidationError` listing the problems, at most fifty of them."""
        if not self._messages:
            return
        count = len(self._messages)
        lines = self._messages[:MAX_PROBLEMS]
        if count > MAX_PROBLEMS:
            lines.append(f"... and {count - MAX_PROBLEMS} more")
        head = "1 problem" if count == 1 else f"{count} problems"
        raise ValidationError("\n".join([f"the program is not valid: {head}", *lines]))

    def _place(self, core: int, pc: int) -> str:
        text = f"core {core} at {pc}: {self._program.cores[core][pc]}"
        nodes = dict.fromkeys(
            node
            for origin in self._program.origins
            if origin.core == core and origin.start <= pc < origin.stop
            for node in origin.nodes
        )
        names = ", ".join(ascii(node) for node in nodes)
        return f"{text} (node {names})" if names else text
