"""ONNX tensors to NumPy arrays, with every claim checked before memory is touched."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from onnx import TensorProto

from ..ir.op import Array
from .external import ExternalData, TensorError

MAX_RANK = 8
_NUMPY: dict[int, np.dtype[np.generic]] = {
    TensorProto.FLOAT: np.dtype("<f4"),
    TensorProto.DOUBLE: np.dtype("<f8"),
    TensorProto.FLOAT16: np.dtype("<f2"),
    TensorProto.INT8: np.dtype("i1"),
    TensorProto.INT16: np.dtype("<i2"),
    TensorProto.INT32: np.dtype("<i4"),
    TensorProto.INT64: np.dtype("<i8"),
    TensorProto.UINT8: np.dtype("u1"),
    TensorProto.UINT16: np.dtype("<u2"),
    TensorProto.UINT32: np.dtype("<u4"),
    TensorProto.UINT64: np.dtype("<u8"),
    TensorProto.BOOL: np.dtype("bool"),
}
# Two codes of 4 bits lie in a byte, the first in its low half; they are read as bytes.
_NIBBLES: dict[int, np.dtype[np.generic]] = {
    TensorProto.INT4: np.dtype("i1"),
    TensorProto.UINT4: np.dtype("u1"),
}
# The field that holds elements of a type where `raw_data` is not used, and its own type.
_TYPED: dict[int, str] = {
    TensorProto.FLOAT: "float_data",
    TensorProto.DOUBLE: "double_data",
    TensorProto.INT64: "int64_data",
    TensorProto.UINT32: "uint64_data",
    TensorProto.UINT64: "uint64_data",
}


def numpy_type(data_type: int) -> np.dtype[np.generic] | None:
    """The NumPy type of an ONNX element type; None for types that are not read."""
    return _NUMPY.get(data_type)


def type_name(data_type: int) -> str:
    """The name of an ONNX element type in messages."""
    known = numpy_type(data_type)
    if known is not None:
        return known.name
    if data_type in TensorProto.DataType.values():
        return str(TensorProto.DataType.Name(data_type)).lower()
    return f"element type {data_type}"


@dataclass(frozen=True)
class TensorReader:
    """Reads the tensors of one model."""

    external: ExternalData

    def read(self, tensor: TensorProto) -> Array:
        """The tensor as a read-only array; raises `TensorError`."""
        nibbles = tensor.data_type in _NIBBLES
        dtype = _NIBBLES[tensor.data_type] if nibbles else numpy_type(tensor.data_type)
        if dtype is None:
            raise TensorError(f"{type_name(tensor.data_type)} is not supported", "IMC0405")
        shape = tuple(tensor.dims)
        if len(shape) > MAX_RANK or any(extent < 0 for extent in shape):
            raise TensorError(
                f"dimensions are {list(shape)}; allowed are up to {MAX_RANK}, none negative"
            )
        size = prod(shape) * dtype.itemsize
        if tensor.HasField("segment"):
            raise TensorError("tensors in segments are not supported", "IMC0408")
        if nibbles:
            packed = self._elements(tensor, np.dtype("u1"), -(-size // 2))
            return _unpacked(packed, size, dtype).reshape(shape)
        return self._elements(tensor, dtype, size).reshape(shape)

    def _elements(self, tensor: TensorProto, dtype: np.dtype[np.generic], size: int) -> Array:
        if tensor.data_location == TensorProto.EXTERNAL:
            return self.external.bytes_of(tensor, size).view(dtype)
        if tensor.HasField("raw_data"):
            _expect(len(tensor.raw_data), size, "bytes")
            return np.frombuffer(tensor.raw_data, dtype)
        stored = getattr(tensor, _TYPED.get(tensor.data_type, "int32_data"))
        _expect(len(stored), size // dtype.itemsize, "elements")
        if dtype.kind == "f" and dtype.itemsize == 2:
            return np.asarray(stored, np.int64).astype(np.uint16).view(dtype)
        return np.asarray(stored).astype(dtype)


def _unpacked(packed: Array, count: int, dtype: np.dtype[np.generic]) -> Array:
    """`count` codes of 4 bits as bytes of this type, which has a sign or not."""
    high = np.stack([packed << 4, packed & 0xF0], axis=-1).reshape(-1)[:count]
    return np.asarray(high.astype(np.uint8).view(dtype) >> 4)


def _expect(found: int, needed: int, what: str) -> None:
    if found != needed:
        raise TensorError(f"its dimensions need {needed} {what}, it has {found}")
