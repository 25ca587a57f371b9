"""The constant region of global memory: weights' cell levels, biases, scales, tables."""

from __future__ import annotations

from ..ir.op import Array

_ALIGNMENT = 64


class ConstantPool:
    """Collects constant data; equal data is stored once."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._addresses: dict[bytes, int] = {}

    def add(self, array: Array) -> int:
        """Address of the array's bytes (row-major, little endian), aligned to 64 bytes."""
        data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        address = self._addresses.get(data)
        if address is None:
            address = self._addresses[data] = self._size
            self._parts += (data, bytes(-len(data) % _ALIGNMENT))
            self._size += len(data) + len(self._parts[-1])
        return address

    def finish(self) -> bytes:
        """The whole region, padded to the alignment."""
        return b"".join(self._parts)
