"""Packed cell levels, as `write` reads them from constant memory.

A row of `columns` levels of `cell_bits` bits is packed into whole bytes, the first level in the
lowest bits; the bits left over in the last byte are zero.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from .errors import EncodingError


def packed_bytes(columns: int, cell_bits: int) -> int:
    """Bytes of one packed row."""
    return -(-columns * cell_bits // 8)


def pack_levels(levels: NDArray[np.uint8], cell_bits: int) -> NDArray[np.uint8]:
    """Pack levels (..., columns) into bytes (..., `packed_bytes(columns, cell_bits)`).

    Raises `EncodingError` where a level needs more than `cell_bits` bits.
    """
    levels = np.ascontiguousarray(levels)
    if levels.size and (levels.max() >= 1 << cell_bits or levels.min() < 0):
        raise EncodingError(
            f"cell levels are in {levels.min()}..{levels.max()}; "
            f"cells of {cell_bits} bits hold 0..{(1 << cell_bits) - 1}"
        )
    each, columns = 8 // cell_bits, levels.shape[-1]
    whole = levels.astype(np.uint8, copy=False)
    if columns % each:
        whole = np.zeros((*levels.shape[:-1], each * packed_bytes(columns, cell_bits)), np.uint8)
        whole[..., :columns] = levels
    together = whole.view(f"<u{each}")  # the levels of a byte as one number, the first lowest
    packed = together.astype(np.uint8)
    for place in range(1, each):
        packed |= (together >> (8 - cell_bits) * place).astype(np.uint8)
    return packed


def unpack_levels(data: NDArray[np.uint8], columns: int, cell_bits: int) -> NDArray[np.uint8]:
    """Unpack bytes (..., `packed_bytes(columns, cell_bits)`) into levels (..., columns)."""
    if cell_bits == 8:
        return data[..., :columns]
    levels = _unpacked_bytes(cell_bits).take(data).view(np.uint8)
    return levels.reshape(*data.shape[:-1], -1)[..., :columns]


@cache
def _unpacked_bytes(cell_bits: int) -> NDArray[np.unsignedinteger]:
    """The levels in each byte, a byte each, as one number: a table of numbers is quick to read."""
    shifts = np.arange(0, 8, cell_bits, dtype=np.uint8)
    levels = np.arange(256, dtype=np.uint8)[:, np.newaxis] >> shifts
    levels &= np.uint8((1 << cell_bits) - 1)
    return levels.view(f"u{8 // cell_bits}").ravel()
