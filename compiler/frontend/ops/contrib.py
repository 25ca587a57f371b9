"""Operators of onnxruntime (domain com.microsoft) that are not made of others."""

from __future__ import annotations

import numpy as np

from ...ir.graph import Value
from ...ir.op import Array
from ...ir.ops.activation import Swish
from ...ir.ops.linear import MatMul
from ...ir.ops.math import Function, Math
from ..conversion import Conversion, Rejection
from ..fused import MICROSOFT
from ..registry import Form, converts

_GELU = {"Gelu": Function.GELU, "FastGelu": Function.GELU_TANH}
_SCALE_OF_QUICK_GELU = 1.702


@converts(*(f"{MICROSOFT}::{name}" for name in _GELU), form=Form.BOTH)
def gelu(conversion: Conversion) -> Value:
    """Gaussian error linear unit, exact or by way of tanh."""
    function = _GELU[conversion.node.proto.op_type]
    return conversion.emit(Math(function), conversion.value(0))


@converts(f"{MICROSOFT}::QuickGelu", form=Form.BOTH)
def quick_gelu(conversion: Conversion) -> Value:
    """``x * sigmoid(alpha * x)``."""
    alpha = conversion.real("alpha", _SCALE_OF_QUICK_GELU)
    return conversion.emit(Swish(alpha), conversion.value(0))


def packed_constants(conversion: Conversion) -> str | None:
    """Weights, scales, zero points and bias are constant, and columns are not reordered."""
    if conversion.has(4):
        return "with an index of groups"
    given = [index for index in (1, 2, 3, 5) if conversion.has(index)]
    return None if all(map(conversion.is_constant, given)) else "with computed weights"


@converts(f"{MICROSOFT}::MatMulNBits", form=Form.BOTH, constraints=(packed_constants,))
def matmul_nbits(conversion: Conversion) -> Value:
    """Product with weights of 2, 4 or 8 bits, quantized in blocks along the inner axis."""
    conversion.ignore("accuracy_level", "weight_prepacked")
    x = conversion.value(0)
    weights = conversion.constant(_weights(conversion), conversion.node.proto.input[1])
    operands = [x, weights]
    if conversion.has(5):
        operands.append(conversion.value(5))
    return conversion.emit(MatMul(), *operands)


def _weights(conversion: Conversion) -> Array:
    """The real weights ``[K, N]`` of packed blocks ``[N, blocks, bytes]``."""
    inner, columns = conversion.integer("K", 0), conversion.integer("N", 0)
    block, bits = conversion.integer("block_size", 0), conversion.integer("bits", 4)
    packed = conversion.array(1, "weights")
    blocks = -(-inner // max(block, 1))
    if bits not in (2, 4, 8) or packed.size * 8 != columns * blocks * block * bits:
        text = f"MatMulNBits has weights {list(packed.shape)} for K = {inner}, N = {columns}"
        raise Rejection("IMC0209", text, f"{blocks} blocks of {block} codes of {bits} bits")
    codes = _unpacked(packed.reshape(columns, blocks, -1), bits)
    scales = conversion.floats(2, "scales").reshape(columns, blocks, 1)
    real = (codes - _zeros(conversion, columns, blocks, bits)) * scales
    return np.ascontiguousarray(real.reshape(columns, -1)[:, :inner].T)


def _zeros(conversion: Conversion, columns: int, blocks: int, bits: int) -> Array:
    """Zero points of the blocks; in the middle of the codes where they are not given."""
    if not conversion.has(3):
        return np.float32(1 << (bits - 1)) * np.ones((1, 1, 1), np.float32)
    given = conversion.array(3, "zero points")
    if given.dtype != np.uint8:
        return given.astype(np.float32).reshape(columns, blocks, 1)
    return _unpacked(given.reshape(columns, 1, -1), bits)[:, 0, :blocks, np.newaxis]


def _unpacked(packed: Array, bits: int) -> Array:
    """Codes of `bits` bits out of bytes, the lowest bits first, as float32."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    codes = (packed[..., np.newaxis] >> shifts) & ((1 << bits) - 1)
    return np.asarray(codes.reshape(*packed.shape[:-1], -1), np.float32)
