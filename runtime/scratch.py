"""Work buffers of one worker, used again by every operation so that they stay in cache."""

from __future__ import annotations

from enum import IntEnum
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Slot(IntEnum):
    """What a buffer is for; two arrays of one slot are never in use at once."""

    INPUT = 0
    PRODUCT = 1
    TOTAL = 2
    RESULT = 3
    BYTES = 4
    DIGITS = 5
    DRIVEN = 6
    ANALOG = 7
    CUT = 8
    SCALED = 9
    INDEX = 10
    CODES = 11
    TRIMMED = 12
    ORDERED = 13


class Scratch:
    """One growing buffer a slot."""

    def __init__(self) -> None:
        self._buffers = [np.empty(0, np.uint8) for _ in Slot]

    def array(self, slot: Slot, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """Return an array with undefined content in the buffer of `slot`."""
        size = prod(shape) * dtype.itemsize
        if len(self._buffers[slot]) < size:
            self._buffers[slot] = np.empty(size, np.uint8)
        return np.ndarray(shape, dtype, buffer=self._buffers[slot].data)
