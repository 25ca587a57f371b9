"""Floating-point types of operators that compute in several of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..op import OpError
from ..types import DType, TensorType


def expect_real(operands: Sequence[TensorType], first: int = 0) -> DType:
    """All operands have one floating-point type, which is returned.

    `first` is the number by which the first of them is known in the error.
    """
    dtype = operands[0].dtype
    for index, type_ in enumerate(operands, first):
        if not type_.dtype.is_float:
            raise OpError(f"operand {index} is {type_.dtype}, needed is f16, f32 or f64")
        if type_.dtype is not dtype:
            raise OpError(f"operand {index} is {type_.dtype}, but operand {first} is {dtype}")
    return dtype


def working_type(dtype: np.dtype[np.generic]) -> np.dtype[np.floating]:
    """The type in which sums are formed: float64 for float64, else float32."""
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)
