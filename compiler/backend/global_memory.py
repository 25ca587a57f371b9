"""Places in global memory behind the constants: inputs, outputs, and what the host exchanges.

The size of the constants is known last; until then addresses count from `LINK_BASE`.
"""

from __future__ import annotations

from dataclasses import replace

from imcc.isa import Binding, HostPartition, Instruction, Space
from imcc.isa.instructions import Stream

LINK_BASE = 1 << 39
_ALIGNMENT = 64


class GlobalMemory:
    """Hands out places, one behind the other."""

    def __init__(self) -> None:
        self._end = LINK_BASE

    @property
    def size(self) -> int:
        """Bytes handed out."""
        return self._end - LINK_BASE

    def reserve(self, size: int) -> int:
        """The address of a new place of `size` bytes."""
        address = self._end
        self._end += -(-size // _ALIGNMENT) * _ALIGNMENT
        return address

    def place(self, binding: Binding) -> Binding:
        """The tensor at a new place."""
        return replace(binding, address=self.reserve(binding.size))


def linked_binding(binding: Binding, base: int) -> Binding:
    """The tensor where it lies behind `base` bytes of constants."""
    return replace(binding, address=binding.address - LINK_BASE + base)


def linked_host(host: HostPartition, base: int) -> HostPartition:
    """The partition with its tensors where they lie."""
    return replace(
        host,
        inputs=tuple(linked_binding(binding, base) for binding in host.inputs),
        outputs=tuple(linked_binding(binding, base) for binding in host.outputs),
    )


def linked_code(code: tuple[Instruction, ...], base: int) -> tuple[Instruction, ...]:
    """The code with addresses of places behind `base` bytes of constants."""
    return tuple(
        replace(i, base=i.base - LINK_BASE + base)
        if isinstance(i, Stream) and i.space == Space.GLOBAL and i.base >= LINK_BASE
        else i
        for i in code
    )
