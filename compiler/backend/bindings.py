"""Tensors that the host and the machine share, before they have a place in global memory."""

from __future__ import annotations

from imcc.isa import Binding, HostType, Space

from ..errors import UnsupportedError
from ..ir.graph import Value
from ..ir.types import DType
from ..schedule.layout import ELEMENTS
from .view import View


def codes_binding(name: str, host: DType, codes: Value, real: bool = True) -> Binding:
    """A tensor of codes; with `real` the host has the real values as `host`, else the codes."""
    quant = codes.type.quant
    element = ELEMENTS[codes.type.dtype]
    if quant is None or not real:
        bits = 8 * element.size if quant is None else quant.bits
        return Binding(name, element, codes.type.shape, 0, 0.0, 0, host_type(name, host), bits)
    scale, zero = quant.scale[0], quant.zero_point[0]
    return Binding(
        name, element, codes.type.shape, 0, scale, zero, host_type(name, host), quant.bits
    )


def raw_binding(name: str, value: Value) -> Binding:
    """A tensor that only the host has."""
    return Binding.plain(name, host_type(name, value.type.dtype), value.type.shape, 0)


def host_type(name: str, dtype: DType) -> HostType:
    """The type in which the host has values; raises `UnsupportedError` for float64."""
    if dtype is DType.F64:
        raise UnsupportedError(
            f"tensor '{name}' is float64, and nothing on the chip holds 64 bits; cast it to float32"
        )
    return HostType[dtype.name]


def host_view(binding: Binding) -> View:
    """A tensor in global memory, row-major as the host has it."""
    strides = [binding.element.size] * len(binding.shape)
    for axis in reversed(range(len(strides) - 1)):
        strides[axis] = strides[axis + 1] * binding.shape[axis + 1]
    return View(Space.GLOBAL, binding.element, binding.address, binding.shape, tuple(strides))
