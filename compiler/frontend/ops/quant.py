"""QuantizeLinear and DequantizeLinear: folded on constants, kept on activations.

``x = (code - zero_point) * scale``; ``code = saturate(rint(x / scale) + zero_point)``.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
from onnx import TensorProto

from ...ir.graph import Value
from ...ir.op import Array
from ...ir.ops.quant import Dequantize, Quantize
from ...ir.ops.unary import Clip
from ..conversion import Conversion, Rejection, normal_axis
from ..dequantized import constant_codes
from ..inputs import tensor_quantization
from ..registry import Form, converts, folds
from ..tensors import numpy_type
from .rules import scalar

# onnxruntime's own, from before ONNX had 4 and 16 bits.
_MICROSOFT = "com.microsoft::"
_CODES: dict[np.dtype[np.generic], bool] = {np.dtype("u1"): False, np.dtype("i1"): True}


def one_scale(conversion: Conversion) -> str | None:
    """An activation has one constant float32 scale and zero point for the whole tensor."""
    if not conversion.is_constant(1) or (conversion.has(2) and not conversion.is_constant(2)):
        return "with a computed scale"
    scale = conversion.array(1, "scale")
    single = scale.size == 1 and (not conversion.has(2) or conversion.type(2).size == 1)
    if not single or scale.dtype != np.float32:
        return f"with a {scale.dtype} scale of shape {list(scale.shape)}"
    return None


def byte_codes(conversion: Conversion) -> str | None:
    """Codes of activations are 8-bit integers."""
    dtype = _code_dtype(conversion)
    return None if dtype in _CODES else f"to {dtype or 'codes of another kind'}"


def codes_with_scale(conversion: Conversion) -> str | None:
    """The operand is a quantized value with the same scale and zero point."""
    quant = conversion.value(0).type.quant
    if quant is None:
        return "of a tensor that is not quantized"
    zero = conversion.array(2, "zero point") if conversion.has(2) else None
    here = tensor_quantization(conversion.array(1, "scale"), zero, quant.signed)
    same = here is not None and replace(here, bits=quant.bits) == quant
    return None if same else "with another scale than the codes have"


@converts(
    "QuantizeLinear",
    f"{_MICROSOFT}QuantizeLinear",
    form=Form.SHARED,
    constraints=(one_scale, byte_codes),
)
def quantize_linear(conversion: Conversion) -> Value:
    """Codes of an activation."""
    conversion.ignore("axis", "saturate")
    _expect_plain(conversion)
    _expect_whole(conversion)
    zero = conversion.array(2, "zero point") if conversion.has(2) else None
    dtype = _code_dtype(conversion)
    assert dtype is not None  # the constraints hold
    quant = tensor_quantization(conversion.array(1, "scale"), zero, _CODES[dtype])
    assert quant is not None
    return conversion.emit(Quantize(quant), conversion.value(0))


@converts(
    "DequantizeLinear",
    f"{_MICROSOFT}DequantizeLinear",
    form=Form.SHARED,
    constraints=(one_scale, codes_with_scale),
)
def dequantize_linear(conversion: Conversion) -> Value:
    """Real values of an activation's codes."""
    conversion.ignore("axis")
    _expect_plain(conversion)
    _expect_whole(conversion)
    return conversion.emit(Dequantize(), conversion.value(0))


def clipped_codes(conversion: Conversion) -> Value:
    """Clip of codes, as Brevitas writes narrower ones: what is quantized is clipped before."""
    codes = conversion.value(0)
    quantize, quant = conversion.builder.producer(codes), codes.type.quant
    if quantize is None or not isinstance(quantize.op, Quantize) or quant is None:
        raise conversion.reject("of codes", "a QuantizeLinear stands before it")
    low, high = (_code_bound(conversion, index) for index in (1, 2))
    low = quant.low if low is None else max(low, quant.low)
    high = quant.high if high is None else min(high, quant.high)
    if low > high:
        raise conversion.reject(f"of codes to {low}..{high}", "bounds leave no code")
    magnitude = max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0, 1)
    narrow = replace(quant, bits=magnitude + quant.signed)
    bounds = ((bound - quant.zero_point[0]) * quant.scale[0] for bound in (low, high))
    real = conversion.emit(Clip(*bounds), quantize.operands[0], step="clipped")
    return conversion.emit(Quantize(narrow), real)


@folds("Clip")
def fold_clip(conversion: Conversion) -> Array:
    """Constants between two numbers, integers among them: codes of weights."""
    x = conversion.array(0, "operand")
    low, high = (
        conversion.array(index, "bounds").reshape(-1)[0] if conversion.has(index) else default
        for index, default in ((1, conversion.real("min", -inf)), (2, conversion.real("max", inf)))
    )
    return np.asarray(np.minimum(np.maximum(x, low), high), x.dtype)


def _code_bound(conversion: Conversion, index: int) -> int | None:
    return scalar(conversion, index, "bounds") if conversion.has(index) else None


@folds("DequantizeLinear", f"{_MICROSOFT}DequantizeLinear")
def fold_dequantize(conversion: Conversion) -> Array:
    """One scale, or one for each index or block of an axis."""
    _expect_plain(conversion)
    codes = conversion.array(0, "codes")
    scale, zero = _parameters(conversion, codes.shape)
    _remember(conversion, codes)
    return np.asarray((codes.astype(np.int64) - zero).astype(np.float32) * scale)


def _remember(conversion: Conversion, codes: Array) -> None:
    """Keep the codes behind the result: weights stay what they are in the model.

    Codes with scales of blocks are not kept: no accumulator counts in steps of several scales.
    """
    if conversion.integer("block_size", 0):
        return
    zero = conversion.array(2, "zero point") if conversion.has(2) else None
    axis = conversion.integer("axis", 1) % max(codes.ndim, 1)
    found = constant_codes(codes, conversion.array(1, "scale"), zero, axis)
    if found is not None:
        conversion.codes[conversion.node.proto.output[0]] = found


@folds("QuantizeLinear", f"{_MICROSOFT}QuantizeLinear")
def fold_quantize(conversion: Conversion) -> Array:
    """One scale, or one for each index or block of an axis."""
    conversion.ignore("saturate")
    _expect_plain(conversion)
    x = conversion.floats(0, "operand")
    dtype = _code_dtype(conversion)
    if dtype is None or dtype.kind not in "iu":
        raise conversion.reject(f"to {dtype}", "codes are integers")
    scale, zero = _parameters(conversion, x.shape)
    limits = np.iinfo(str(dtype))
    codes = np.clip(np.rint(x / scale) + zero, limits.min, limits.max)
    return np.asarray(codes, dtype)


def _parameters(conversion: Conversion, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Scale and zero point, shaped to broadcast."""
    scale = conversion.floats(1, "scale")
    given = conversion.array(2, "zero point") if conversion.has(2) else None
    zero: Array = np.zeros(scale.shape, np.int64) if given is None else given.astype(np.int64)
    axis, block = conversion.integer("axis", 1), conversion.integer("block_size", 0)
    if scale.size == zero.size == 1 and not block:
        return scale.reshape(()), zero.reshape(())
    if scale.shape != zero.shape or (scale.ndim > 1 and not block):
        text = f"scale {list(scale.shape)} and zero point {list(zero.shape)} do not fit"
        raise Rejection("IMC0209", text, "both are numbers, or both vectors along one axis")
    axis = normal_axis(conversion, axis, len(shape))
    if block:
        return _of_blocks(scale, shape, axis, block), _of_blocks(zero, shape, axis, block)
    if scale.size != shape[axis]:
        raise Rejection("IMC0209", f"{scale.size} scales do not fit axis {axis}")
    along = tuple(-1 if index == axis else 1 for index in range(len(shape)))
    return scale.reshape(along), zero.reshape(along)


def _of_blocks(parameters: Array, shape: tuple[int, ...], axis: int, block: int) -> Array:
    """Parameters of blocks along an axis, one for each element."""
    wanted = list(shape)
    wanted[axis] = -(-shape[axis] // max(block, 1))
    if block < 0 or list(parameters.shape) != wanted:
        text = f"scales {list(parameters.shape)} do not fit blocks of {block} along axis {axis}"
        raise Rejection("IMC0209", text, f"there are {wanted} blocks of a tensor {list(shape)}")
    # Not repeat, which makes whole blocks however long they claim to be.
    return np.take(parameters, np.arange(shape[axis]) // block, axis)


def _code_dtype(conversion: Conversion) -> np.dtype[np.generic] | None:
    """The type of a QuantizeLinear's codes: its zero point's, or that of attribute output_dtype."""
    given = conversion.integer("output_dtype", 0)
    if conversion.has(2):
        return conversion.array(2, "zero point").dtype
    return numpy_type(given) if given else np.dtype("u1")


def _expect_plain(conversion: Conversion) -> None:
    """Other element types of results came with operator set 23."""
    dequantizes = conversion.node.proto.op_type == "DequantizeLinear"
    unusual = dequantizes and conversion.integer("output_dtype", 0) not in (0, TensorProto.FLOAT)
    if unusual or conversion.integer("precision", 0) not in (0, TensorProto.FLOAT):
        raise conversion.reject("to another type", "real values are float32")


def _expect_whole(conversion: Conversion) -> None:
    """Scales of blocks are for constants."""
    if conversion.integer("block_size", 0):
        raise conversion.reject("in blocks", "activations have one scale")
