"""Tensor types in text: ``tensor<1x3xf32>``, ``tensor<1x3x!quant.uniform<u8:f32, 0.1:128>>``.

Quantized element types are those of MLIR's quant dialect: storage type, ``<min:max>`` where the
codes have fewer bits than the storage, expressed type, axis, then ``scale:zero_point`` or a
list of them in braces. Scales are the shortest digits that round to the float32.
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from .lexical import float_literal
from .types import DType, QuantParams, TensorType

_TENSOR = re.compile(r"tensor<\s*((?:\d+\s*x\s*)*)(\S.*?)\s*>", re.DOTALL)
_QUANT = re.compile(
    r"!quant\.uniform<\s*([iu])(8|16|32)\s*(?:<\s*(-?\d+)\s*:\s*(-?\d+)\s*>)?"
    r"\s*:\s*f32\s*(?::\s*(\d+))?\s*,\s*(.*?)\s*>",
    re.DOTALL,
)
_CACHED = 4096
_SHOWN = 120


@lru_cache(_CACHED)
def write_type(type_: TensorType) -> str:
    """The text of a tensor type."""
    dims = "".join(f"{extent}x" for extent in type_.shape)
    if type_.quant is None:
        return f"tensor<{dims}{type_.dtype}>"
    return f"tensor<{dims}{_quantized(type_.quant, type_.dtype.replace('ui', 'u'))}>"


def describe_type(type_: TensorType) -> str:
    """The text of a tensor type for messages, which never have hundreds of scales."""
    text = write_type(type_)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def write_quant(quant: QuantParams) -> str:
    """The text of quantization parameters, with the smallest storage that holds the codes."""
    width = next((width for width in (8, 16) if quant.bits <= width), 32)
    return _quantized(quant, f"{'i' if quant.signed else 'u'}{width}")


@lru_cache(_CACHED)
def read_type(text: str) -> TensorType:
    """Read a tensor type; raises ValueError with the reason."""
    match = _TENSOR.fullmatch(text)
    if match is None:
        raise ValueError(f"{_short(text)} is not a ranked tensor type such as tensor<1x3xf32>")
    shape = tuple(int(extent) for extent in match[1].split("x")[:-1])
    element = match[2]
    if element.startswith("!"):
        storage, quant = _read_quantized(element)
        return TensorType(storage, shape, quant)
    if element not in set(DType):
        raise ValueError(f"unknown element type {element!r}, allowed are {', '.join(DType)}")
    return TensorType(DType(element), shape)


@lru_cache(_CACHED)
def read_quant(text: str) -> QuantParams:
    """Read quantization parameters; raises ValueError with the reason."""
    return _read_quantized(text)[1]


def _quantized(quant: QuantParams, storage: str) -> str:
    full = _code_range(storage[0] == "i", int(storage[1:]))
    bounds = "" if (quant.low, quant.high) == full else f"<{quant.low}:{quant.high}>"
    digits = (float_literal(s, str(np.float32(s))) for s in quant.scale)
    pairs = [f"{scale}:{zero}" for scale, zero in zip(digits, quant.zero_point, strict=False)]
    axis = "" if quant.axis is None else f":{quant.axis}"
    listed = ", ".join(pairs) if quant.axis is None else "{" + ", ".join(pairs) + "}"
    return f"!quant.uniform<{storage}{bounds}:f32{axis}, {listed}>"


def _code_range(signed: bool, bits: int) -> tuple[int, int]:
    return (-(1 << (bits - 1)) if signed else 0, (1 << (bits - signed)) - 1)


def _read_quantized(text: str) -> tuple[DType, QuantParams]:
    match = _QUANT.fullmatch(text)
    if match is None:
        raise ValueError(
            f"cannot read {_short(text)}; the form is !quant.uniform<u8:f32, 0.1:128> or "
            "!quant.uniform<i8<-8:7>:f32:1, {0.1:0, 0.2:0}>"
        )
    letter, width, low, high, axis, listed = match.groups()
    signed, bits = _bits(letter == "i", int(width), low, high)
    scales, zeros = _read_pairs(listed)
    quant = QuantParams(scales, zeros, None if axis is None else int(axis), bits, signed)
    return DType(f"{'u' if letter == 'u' else ''}i{width}"), quant


def _bits(signed: bool, width: int, low: str | None, high: str | None) -> tuple[bool, int]:
    if low is None or high is None:
        return signed, width
    signed = int(low) < 0
    bits = int(high).bit_length() + signed
    if (int(low), int(high)) != _code_range(signed, bits):
        raise ValueError(f"<{low}:{high}> is not the range of a whole number of bits")
    return signed, bits


def _read_pairs(text: str) -> tuple[tuple[float, ...], tuple[int, ...]]:
    pairs = [pair.partition(":") for pair in text.strip("{}").split(",")]
    scales = np.array([float(scale) for scale, _, _ in pairs], np.float32)
    zeros = tuple(int(zero) if colon else 0 for _, colon, zero in pairs)
    return tuple(scales.tolist()), zeros


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
