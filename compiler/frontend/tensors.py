"""ONNX tensors to NumPy arrays, with every claim checked before memory is touched."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod

import numpy as np
from onnx import TensorProto

from ..budget import FoldingBudget
from ..ir.op import Array
from ..ir.sketch import sketch
from ..limits import limits
from .external import ExternalData, TensorError
from .skimming import LEAST

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
# Floats that become float32 where a model is compiled. NumPy has no bfloat16: it is the upper half
# of a float32.
OTHER_FLOATS = frozenset({TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE})
# Two codes of 4 bits lie in a byte, the first in its low half; they are read as bytes.
_NIBBLES: dict[int, np.dtype[np.generic]] = {
    TensorProto.INT4: np.dtype("i1"),
    TensorProto.UINT4: np.dtype("u1"),
}
# Integers of more bits are indices and extents, which are always read.
_SKETCHED = frozenset(
    {
        TensorProto.FLOAT,
        TensorProto.DOUBLE,
        TensorProto.FLOAT16,
        TensorProto.INT8,
        TensorProto.UINT8,
    }
)
_DATA = (
    "raw_data",
    "external_data",
    "float_data",
    "int32_data",
    "int64_data",
    "double_data",
    "uint64_data",
    "string_data",
)
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
    """Reads the tensors of one model, and counts what they allow folding to make.

    With `single` all floats are read as float32. With `sketched` long weights that lie in a file
    are not read: sketches of ones stand for them. `raws` are the data of weights by their number in
    the model, those that other readers of it have copied before.
    """

    external: ExternalData
    budget: FoldingBudget = field(default_factory=FoldingBudget)
    single: bool = False
    sketched: bool = False
    raws: dict[int, bytes] = field(default_factory=dict)

    def read(self, tensor: TensorProto, weight: int | None = None) -> Array:
        """The tensor, maybe weight number so many, as a read-only array; raises `TensorError`."""
        if self.single and tensor.data_type in OTHER_FLOATS:
            return self._as_single(tensor, weight)
        nibbles = tensor.data_type in _NIBBLES
        dtype = _NIBBLES[tensor.data_type] if nibbles else numpy_type(tensor.data_type)
        if dtype is None:
            raise TensorError(f"{type_name(tensor.data_type)} is not supported", "IMC0405")
        shape = tuple(tensor.dims)
        rank, most = limits().rank, limits().extent
        if len(shape) > rank or any(not 0 <= extent <= most for extent in shape):
            raise TensorError(
                f"dimensions are {list(shape)}; allowed are up to {rank}, of 0 to {most:,}"
            )
        size = prod(shape) * dtype.itemsize
        if self._stays_away(tensor, size):
            self.external.place_of(tensor, size)
            self.budget.given += size
            return sketch(np.ones((), dtype), shape)
        raw = self._raw(tensor, weight)
        self.budget.given += size if raw or tensor.external_data else 0
        fields = [name for name in _DATA if (raw if name == "raw_data" else getattr(tensor, name))]
        if len(fields) > 1:
            raise TensorError(f"its data is there twice, in {' and '.join(fields)}")
        if tensor.HasField("segment"):
            raise TensorError("tensors in segments are not supported", "IMC0408")
        if nibbles:
            packed = self._elements(tensor, raw, np.dtype("u1"), -(-size // 2))
            return _unpacked(packed, size, dtype).reshape(shape)
        return self._elements(tensor, raw, dtype, size).reshape(shape)

    def _stays_away(self, tensor: TensorProto, size: int) -> bool:
        away = tensor.data_location == TensorProto.EXTERNAL and size > LEAST
        return self.sketched and away and tensor.data_type in _SKETCHED

    def _raw(self, tensor: TensorProto, weight: int | None) -> bytes:
        """The raw data; the message makes a copy whenever they are asked for."""
        if weight is None:
            return tensor.raw_data
        if weight not in self.raws:
            self.raws[weight] = tensor.raw_data
        return self.raws[weight]

    def _as_single(self, tensor: TensorProto, weight: int | None) -> Array:
        wide = replace(self, single=False)
        if tensor.data_type != TensorProto.BFLOAT16:
            with np.errstate(over="ignore"):
                return wide.read(tensor, weight).astype(np.float32)
        words = TensorProto()
        words.CopyFrom(tensor)
        words.data_type = TensorProto.UINT16
        return (wide.read(words, weight).astype(np.uint32) << 16).view(np.float32)

    def _elements(
        self, tensor: TensorProto, raw: bytes, dtype: np.dtype[np.generic], size: int
    ) -> Array:
        if tensor.data_location == TensorProto.EXTERNAL:
            return self.external.bytes_of(tensor, size).view(dtype)
        if tensor.HasField("raw_data"):
            _expect(len(raw), size, "bytes")
            return np.frombuffer(raw, dtype)
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
