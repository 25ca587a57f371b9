"""The constant region of global memory: weights' cell levels, biases, scales, tables."""

from __future__ import annotations

from ..ir.op import Array

_ALIGNMENT = 64


class ConstantPool:
    """Collects constant data; equal data is stored once."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._addresses: dict[bytes, int] = {}

    def add(self, array: Array) -> int:
        """Address of the array's bytes (row-major, little endian), aligned to 64 bytes."""
        data = array.astype(array.dtype.newbyteorder("<")).tobytes()
        address = self._addresses.get(data)
        if address is None:
            self._data += bytes(-len(self._data) % _ALIGNMENT)
            address = self._addresses[data] = len(self._data)
            self._data += data
        return address

    def finish(self) -> bytes:
        """The whole region, padded to the alignment."""
        self._data += bytes(-len(self._data) % _ALIGNMENT)
        return bytes(self._data)
