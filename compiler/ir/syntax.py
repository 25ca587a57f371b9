"""MLIR's generic syntax as a tree, before anything is known of graphs."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from .op import Array
from .source import Position
from .types import DType, QuantParams, TensorType

_FLOAT_FORMS = {DType.F16: "<e", DType.F32: "<f", DType.F64: "<d"}


@dataclass(frozen=True)
class Dense:
    """Elements written out, as nested lists of literals; a single one stands for all."""

    elements: Any
    type: TensorType

    def array(self) -> Array:
        """The elements; raises ValueError where they do not fit the type."""
        try:
            numbers = _numbers(self.elements, self.type.dtype)
            array = np.asarray(numbers, self.type.dtype.numpy)
        except OverflowError as error:
            raise ValueError(str(error)) from error
        if array.ndim == 0:
            return np.full(self.type.shape, array)
        if array.size == self.type.size == 0:
            return array.reshape(self.type.shape)
        if array.shape != self.type.shape:
            raise ValueError(f"elements have shape {array.shape}, the type {self.type.shape}")
        return array


@dataclass(frozen=True)
class Resource:
    """Elements kept elsewhere under a key."""

    key: str
    type: TensorType


@dataclass(frozen=True)
class Signature:
    """Types of operands and results."""

    operands: tuple[TensorType, ...]
    results: tuple[TensorType, ...]


Attribute: TypeAlias = (
    "bool | int | float | str | QuantParams | TensorType | Dense | Resource | Signature"
    " | tuple[Attribute, ...] | Mapping[str, Attribute] | None"
)


@dataclass(frozen=True)
class Region:
    """One block: its arguments with their types, and its operations."""

    arguments: tuple[tuple[str, TensorType], ...]
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Operation:
    """An operation as written; values are without the percent sign."""

    name: str
    position: Position
    results: tuple[str, ...]
    operands: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    regions: tuple[Region, ...]
    signature: Signature


@dataclass(frozen=True)
class Module:
    """The outermost operation, and the resources after it: hexadecimal text by key."""

    operation: Operation
    resources: Mapping[str, str]


def float_of_bits(digits: str, dtype: DType) -> float:
    """The number that has these bits, ``0x7F800000``; raises ValueError for another width."""
    form = _FLOAT_FORMS.get(dtype)
    if form is None or len(digits) != 2 + 2 * struct.calcsize(form):
        raise ValueError(f"{digits} does not have the bits of an {dtype}")
    return float(struct.unpack(form, bytes.fromhex(digits[2:])[::-1])[0])


def _numbers(elements: Any, dtype: DType) -> Any:
    if isinstance(elements, tuple):
        return [_numbers(element, dtype) for element in elements]
    if elements in ("true", "false"):
        return elements == "true"
    if elements.startswith("0x"):
        return float_of_bits(elements, dtype)
    return float(elements) if dtype.is_float else int(elements)
