"""Types of values: element type, shape and quantization."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import numpy as np
from numpy.typing import DTypeLike, NDArray


class DType(StrEnum):
    """Element types, spelled as MLIR spells them."""

    F16 = "f16"
    F32 = "f32"
    F64 = "f64"
    I8 = "i8"
    I16 = "i16"
    I32 = "i32"
    I64 = "i64"
    U8 = "ui8"
    U16 = "ui16"
    U32 = "ui32"
    U64 = "ui64"
    BOOL = "i1"

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """The NumPy type of the same layout."""
        return np.dtype(_NUMPY[self])

    @property
    def is_float(self) -> bool:
        """Whether values are floating point."""
        return self in (DType.F16, DType.F32, DType.F64)

    @classmethod
    def of(cls, dtype: DTypeLike) -> DType:
        """The element type of a NumPy type; raises KeyError for types the IR does not have."""
        return _of(np.dtype(dtype))


_NUMPY = {
    DType.F16: "float16",
    DType.F32: "float32",
    DType.F64: "float64",
    DType.I8: "int8",
    DType.I16: "int16",
    DType.I32: "int32",
    DType.I64: "int64",
    DType.U8: "uint8",
    DType.U16: "uint16",
    DType.U32: "uint32",
    DType.U64: "uint64",
    DType.BOOL: "bool",
}
_BY_NUMPY = {name: dtype for dtype, name in _NUMPY.items()}


@cache
def _of(dtype: np.dtype[np.generic]) -> DType:
    return _BY_NUMPY[dtype.name]  # NumPy makes up names anew


@dataclass(frozen=True)
class QuantParams:
    """Affine quantization: a real value is ``(code - zero_point) * scale``.

    Scales are float32 values held exactly in Python floats. With `axis` None there is one scale
    and zero point for the tensor, otherwise one for each index along `axis`. Codes have `bits`
    bits, two's complement if `signed`.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None = None
    bits: int = 8
    signed: bool = False

    @property
    def low(self) -> int:
        """Smallest code."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest code."""
        return (1 << (self.bits - self.signed)) - 1

    def scales(self, rank: int) -> NDArray[np.float32]:
        """Scales shaped to broadcast against a tensor of this rank."""
        return np.asarray(self.scale, np.float32).reshape(self._shape(rank))

    def zero_points(self, rank: int) -> NDArray[np.int32]:
        """Zero points shaped to broadcast against a tensor of this rank."""
        return np.asarray(self.zero_point, np.int32).reshape(self._shape(rank))

    def _shape(self, rank: int) -> tuple[int, ...]:
        if self.axis is None:
            return ()
        return tuple(-1 if axis == self.axis else 1 for axis in range(rank))


@dataclass(frozen=True)
class TensorType:
    """A ranked tensor with static shape; `quant` makes its elements codes of real values."""

    dtype: DType
    shape: tuple[int, ...]
    quant: QuantParams | None = None

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        total = 1
        for extent in self.shape:
            total *= extent
        return total

    def with_shape(self, shape: tuple[int, ...]) -> TensorType:
        """The same elements in another shape; drops nothing else."""
        return TensorType(self.dtype, shape, self.quant)
