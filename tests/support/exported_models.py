"""Small models with quantization at the places where exporters and converters put it."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto

from .exported import MICROSOFT, Exported, Params

_SAME = [1, 1, 1, 1]


def _int64(net: Exported, *values: int) -> str:
    return net.constant(np.asarray(values, np.int64))


def _real(net: Exported, value: float) -> str:
    return net.constant(np.float32(value))


def tensorrt_residual() -> ModelProto:
    """Inputs of operators are quantized, no results; one branch of the sum is in floats."""
    net = Exported(1)
    x = net.both("x", net.params(0.0317))
    y = net.add("Conv", x, net.kernel(8, 3, 3, 3), net.floats(8, scale=0.1), pads=_SAME)
    y = net.both(net.add("Relu", y), net.params(0.0213))
    pooled = net.add("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    y = net.both(pooled, net.params(0.0213))
    y = net.both(
        net.add("Relu", net.add("Conv", y, net.kernel(8, 8, 3, 3), pads=_SAME)), net.params(0.0199)
    )
    y = net.add("Conv", y, net.kernel(8, 8, 3, 3), pads=_SAME)
    y = net.add("Relu", net.add("Add", y, net.both(pooled, net.params(0.0217))))
    y = net.add("Flatten", net.add("GlobalAveragePool", net.both(y, net.params(0.0289))))
    y = net.both(y, net.params(0.0113))
    y = net.add("Gemm", y, net.kernel(10, 8), net.floats(10, scale=0.1), transB=1)
    return net.model(y, (3, 8, 8), 13)


def tensorrt_products() -> ModelProto:
    """Weights of MatMul and Gemm have scales along axis 1."""
    net = Exported(2)
    x = net.both("x", net.params(0.0317))
    y = net.add("Add", net.add("MatMul", x, net.kernel(16, 12, axis=1)), net.floats(12))
    y = net.both(net.add("Relu", y), net.params(0.0291))
    y = net.add("Gemm", y, net.kernel(12, 10, axis=1), net.floats(10))
    return net.model(net.both(y, net.params(0.0523)), (16,), 13)


def before_activations() -> ModelProto:
    """Quantized before and behind Relu, Sigmoid and HardSwish."""
    net = Exported(3)
    x = net.both("x", net.params(0.0317))
    y = net.both(net.add("Conv", x, net.kernel(8, 3, 3, 3), pads=_SAME), net.params(0.0293))
    y = net.both(net.add("Relu", y), net.params(0.0157))
    y = net.add("Conv", y, net.kernel(8, 8, 3, 3), net.floats(8), pads=_SAME)
    y = net.both(y, net.params(0.0311))
    gate = net.both(net.add("Sigmoid", y), net.params(1 / 127))
    y = net.both(net.add("Mul", y, gate), net.params(0.0273))
    y = net.both(net.add("HardSwish", y), net.params(0.0251))
    return net.model(y, (3, 6, 6), 14)


def tflite_int8() -> ModelProto:
    """Channels last but for convolutions, relu6, a depthwise layer, mean and softmax."""
    net = Exported(5)
    x = net.add("Transpose", net.both("x", net.params(0.0203, -3)), perm=[0, 3, 1, 2])
    w, scales = net.coded(8, 3, 3, 3)
    bias = net.bias(8, scales * np.float32(0.0203))
    y = net.add("Conv", x, w, bias, pads=[0, 0, 1, 1], strides=[2, 2])
    y = net.add("Clip", y, _real(net, 0), _real(net, 6))
    relu6 = net.params(6 / 255, -128)
    y = net.both(net.add("Transpose", y, perm=[0, 2, 3, 1]), relu6)
    y = net.add("Transpose", y, perm=[0, 3, 1, 2])
    w, scales = net.coded(8, 1, 3, 3)
    bias = net.bias(8, scales * np.float32(6 / 255))
    y = net.add("Conv", y, w, bias, group=8, pads=_SAME)
    y = net.add("Min", net.add("Max", y, _real(net, 0)), _real(net, 6))
    y = net.both(net.add("Transpose", y, perm=[0, 2, 3, 1]), relu6)
    mean = net.params(0.01937, -128)
    y = net.both(net.add("ReduceMean", y, axes=[1, 2], keepdims=1), mean)
    y = net.both(net.add("Reshape", y, _int64(net, -1, 8)), mean)
    w, scales = net.coded(10, 8)
    y = net.add("MatMul", y, net.add("Transpose", w, perm=[1, 0]))
    y = net.add("Add", y, net.bias(10, scales * np.float32(0.01937)))
    y = net.add("Softmax", net.both(y, net.params(0.0521, 7)), axis=-1)
    return net.model(net.both(y, net.params(1 / 256, -128)), (8, 8, 3), 13)


def tflite_uint8() -> ModelProto:
    """Weights of uint8 with zero points, one scale a tensor; padding by itself, Squeeze."""
    net = Exported(6)
    x = net.both("x", net.params(0.0203, 128, "u1"))
    w, scale = net.coded(8, 3, 3, 3, axis=None, dtype="u1", zero=121)
    y = net.add("Conv", x, w, net.bias(8, np.asarray(scale * np.float32(0.0203))), pads=_SAME)
    y = net.add("Clip", y, _real(net, 0), _real(net, 6))
    y = net.both(y, net.params(6 / 255, 0, "u1"))
    y = net.add("Pad", y, _int64(net, 0, 0, 0, 0, 0, 0, 1, 1))
    w, scale = net.coded(8, 1, 3, 3, axis=None, dtype="u1", zero=100)
    bias = net.bias(8, np.asarray(scale * np.float32(6 / 255)))
    y = net.both(
        net.add("Conv", y, w, bias, group=8, strides=[2, 2]), net.params(0.0517, 110, "u1")
    )
    y = net.both(net.add("AveragePool", y, kernel_shape=[4, 4]), net.params(0.0391, 110, "u1"))
    y = net.add("Squeeze", y, _int64(net, 2, 3))
    w, scale = net.coded(8, 10, axis=None, dtype="u1", zero=130)
    y = net.add("Gemm", y, w, net.bias(10, np.asarray(scale * np.float32(0.0391))))
    return net.model(net.both(y, net.params(0.0523, 128, "u1")), (3, 8, 8), 13)


def tflite_upsampled() -> ModelProto:
    """Concatenation of two scales, nearest resizing, a slice and a table."""
    net = Exported(7)
    x = net.both("x", net.params(0.0203, 1))
    a = net.both(net.add("Conv", x, net.coded(8, 3, 1, 1)[0]), net.params(0.0313, 5))
    b = net.add("Relu", net.add("Conv", x, net.coded(8, 3, 3, 3)[0], pads=_SAME))
    joined = net.params(0.0319, -10)
    y = net.both(
        net.add("Concat", a, net.both(b, net.params(0.0219, -128)), axis=1), net.params(0.0319, -10)
    )
    scales = net.constant(np.array([1, 1, 2, 2], np.float32))
    nearest = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    y = net.both(net.add("Resize", y, "", scales, mode="nearest", **nearest), joined)
    y = net.add("Slice", y, _int64(net, 0), _int64(net, 8), _int64(net, 1))
    y = net.both(net.add("LeakyRelu", y, alpha=0.1), net.params(0.0211, -100))
    return net.model(net.both(net.add("Tanh", y), net.params(1 / 127)), (3, 5, 5), 13)


def _clipped(net: Exported, x: str, params: Params, low: int, high: int, dtype: str) -> str:
    """Codes of fewer bits, as Brevitas writes them."""
    ends = [net.constant(np.asarray(end, dtype)) for end in (low, high)]
    return net.dequantize(net.add("Clip", net.quantize(x, params), *ends), params)


def _narrow(net: Exported, bits: int, *shape: int) -> str:
    """Weights of a narrow range of few bits with a scale for each channel."""
    fan_in, most = float(np.sqrt(np.prod(shape[1:]))), (1 << (bits - 1)) - 1
    params = net.params(np.full(shape[0], 2 / most / fan_in), axis=0)
    return _clipped(net, net.floats(*shape, scale=1 / fan_in), params, -most, most, "i1")


def brevitas() -> ModelProto:
    """QCDQ: weights of 4 and 3 bits, activations of 4, float biases."""
    net = Exported(8)
    x = _clipped(net, "x", net.params(0.25), -7, 7, "i1")
    y = net.add("Relu", net.add("Conv", x, _narrow(net, 4, 8, 3, 3, 3), pads=_SAME))
    y = _clipped(net, y, net.params(0.15, 0, "u1"), 0, 15, "u1")
    y = net.add("Conv", y, _narrow(net, 3, 8, 8, 3, 3), net.floats(8, scale=0.2), pads=_SAME)
    y = _clipped(net, net.add("Relu", y), net.params(0.15, 0, "u1"), 0, 15, "u1")
    y = net.add("Flatten", net.add("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2]))
    y = net.add("Gemm", y, _narrow(net, 4, 10, 72), net.floats(10), transB=1)
    return net.model(_clipped(net, y, net.params(0.05), -128, 127, "i1"), (3, 6, 6), 13)


def pytorch(opset: int) -> ModelProto:
    """A DequantizeLinear with several readers, quantized constants, moves between codes."""
    net = Exported(9)
    x = net.both("x", net.params(0.0203, 3, "u1"))
    y = net.add("Conv", x, net.coded(8, 3, 3, 3)[0], net.floats(8, scale=0.1), pads=_SAME)
    shared = net.params(0.0211, 120, "u1")
    y = net.both(y, shared)
    a = net.both(net.add("Relu", y), net.params(0.0107, 0, "u1"))
    b = net.both(net.add("Transpose", y, perm=[0, 1, 3, 2]), shared)
    y = net.both(net.add("Concat", a, b, y, axis=1), net.params(0.0253, 100, "u1"))
    factor = net.both(net.floats(1, 24, 1, 1), net.params(0.0209, 128, "u1"))
    y = net.both(net.add("Mul", y, factor), net.params(0.0307, 128, "u1"))
    offset = net.both(net.floats(24, 1, 1), net.params(0.0209, 128, "u1"))
    last = net.params(0.0311, 128, "u1")
    y = net.both(net.add("Add", offset, y), last)
    y = net.both(net.add("Reshape", y, _int64(net, -1, 384)), last)
    y = net.add("Gemm", y, net.coded(10, 384)[0], net.floats(10, scale=0.1), transB=1)
    return net.model(net.both(y, net.params(0.0293, 128, "u1")), (3, 4, 4), opset)


def zero_points_left_out() -> ModelProto:
    """No zero points, and scales that are vectors of one element."""
    net = Exported(10)
    x = net.both("x", net.params(0.0203, None))
    codes = net.random.integers(-128, 128, (8, 3, 3, 3)).astype(np.int8)
    w = net.dequantize(net.constant(codes), net.params(np.full(8, 0.003), None, axis=0))
    y = net.both(net.add("Relu", net.add("Conv", x, w)), net.params([0.0213], None))
    codes = net.random.integers(-128, 128, (32, 8)).astype(np.int8)
    w = net.dequantize(net.constant(codes), net.params([0.0041], [0]))
    bias = net.constant(np.arange(8, dtype=np.int32) * 50)
    bias = net.dequantize(bias, net.params(np.float32(0.0213) * np.float32(0.0041), None))
    y = net.add("Gemm", net.add("Flatten", y), w, bias)
    return net.model(net.both(y, net.params([0.0217], [100], "u1")), (3, 4, 4), 13)


def type_by_attribute() -> ModelProto:
    """The type of codes is attribute output_dtype: int8 without a zero point."""
    net = Exported(11)
    for_input, for_output = net.params(0.0203, None), net.params(0.0317, None)
    x = net.quantize("x", for_input, output_dtype=TensorProto.INT8)
    y = net.add("Conv", net.dequantize(x, for_input), net.coded(8, 3, 3, 3)[0])
    y = net.quantize(y, for_output, output_dtype=TensorProto.INT8)
    return net.model(net.dequantize(y, for_output), (3, 4, 4), 21)


def nibbles(dtype: str, zero: int, axis: int | None, domain: str = "") -> ModelProto:
    """Weights stored in int4 or uint4, with one scale or one for each channel."""
    net = Exported(12, domain)
    input_, middle = net.params(0.0203, 128, "u1"), net.params(0.0213, 0, "u1")
    along = None if axis is None else 0
    w, scales = net.coded(8, 3, 3, 3, dtype=dtype, zero=zero, bits=4, axis=along)
    bias = net.bias(8, np.asarray(scales * np.float32(0.0203)))
    y = net.add("Relu", net.add("Conv", net.both("x", input_), w, bias, pads=_SAME))
    w, scales = net.coded(128, 10, dtype=dtype, zero=zero, bits=4, axis=axis)
    bias = net.bias(10, np.asarray(scales * np.float32(0.0213)))
    y = net.add("Gemm", net.add("Flatten", net.both(y, middle)), w, bias)
    return net.model(net.both(y, net.params(0.0523, 100, "u1")), (3, 4, 4), 17 if domain else 21)


def nibble_quantizers() -> ModelProto:
    """Activations and weights that the model itself quantizes to 4 bits."""
    net = Exported(43)
    x = net.both("x", net.params(0.43, element=TensorProto.INT4))
    kernel = net.params(np.full(8, 0.0531), axis=0, element=TensorProto.INT4)
    w = net.both(net.floats(8, 3, 3, 3, scale=0.3), kernel)
    y = net.add("Relu", net.add("Conv", x, w, net.floats(8), pads=_SAME))
    y = net.both(y, net.params(0.31, 0, "u1", element=TensorProto.UINT4))
    kernel = net.params(np.full(10, 0.0229), None, axis=1)
    w = net.quantize(net.floats(128, 10, scale=0.1), kernel, output_dtype=TensorProto.INT4)
    y = net.add("Gemm", net.add("Flatten", y), net.dequantize(w, kernel), net.floats(10))
    return net.model(net.both(y, net.params(0.0713)), (3, 4, 4), 21)


def blocks() -> ModelProto:
    """Weights of int4 with scales for blocks of 16 rows."""
    net = Exported(13)
    codes = net.constant(net.random.integers(-8, 8, (32, 10)), TensorProto.INT4)
    scales = net.constant(net.random.uniform(0.02, 0.04, (2, 10)).astype(np.float32))
    w = net.add("DequantizeLinear", codes, scales, axis=0, block_size=16)
    y = net.add("MatMul", net.both("x", net.params(0.0203, 128, "u1")), w)
    return net.model(net.both(y, net.params(0.0523, 100, "u1")), (32,), 21)


def sixteen_bits() -> ModelProto:
    """Activations of int16 around an operator."""
    net = Exported(14)
    y = net.add("Conv", net.both("x", net.params(0.0203)), net.coded(8, 3, 3, 3)[0])
    y = net.add("Sigmoid", net.both(y, net.params(0.0003, 0, "i2")))
    return net.model(net.both(y, net.params(1 / 256, -128)), (3, 4, 4), 21)


def scales_of_rows() -> ModelProto:
    """Weights with a scale for each row, which no product of codes has."""
    net = Exported(17)
    y = net.add("MatMul", net.both("x", net.params(0.0203)), net.coded(16, 8, axis=0)[0])
    return net.model(net.both(y, net.params(0.0317)), (16,), 17)


def quantized_twice() -> ModelProto:
    """Codes that are quantized again with other parameters."""
    net = Exported(28)
    x = net.both(net.both("x", net.params(0.0203)), net.params(0.0257, 3))
    y = net.both(net.add("Conv", x, net.coded(8, 3, 3, 3)[0]), net.params(0.0317))
    return net.model(net.both(y, net.params(0.0207, 10)), (3, 6, 6), 17)


def both_signs() -> ModelProto:
    """Activations of uint8 and int8 side by side."""
    net = Exported(29)
    x = net.both("x", net.params(0.0203))
    a = net.add("Relu", net.add("Conv", x, net.coded(8, 3, 3, 3)[0]))
    a = net.both(a, net.params(0.0213, 0, "u1"))
    b = net.both(net.add("Conv", a, net.coded(8, 8, 3, 3)[0], pads=_SAME), net.params(0.0217))
    return net.model(net.both(net.add("Add", b, a), net.params(0.0229, 10)), (3, 6, 6), 17)


def normalization(rank: int) -> ModelProto:
    """BatchNormalization between codes, with factors of both signs."""
    net = Exported(45 + rank)
    window = (3,) * (rank - 2)
    x = net.both("x", net.params(0.0203))
    w = net.coded(8, 3, *window, axis=None)[0]
    y = net.add("Conv", x, w) if window else net.add("Gemm", x, w, transB=1)
    y = net.both(y, net.params(0.0317, 4))
    vectors = [net.random.standard_normal(8) for _ in range(3)]
    vectors.append(net.random.uniform(0.5, 2, 8))
    operands = [net.constant(vector.astype(np.float32)) for vector in vectors]
    y = net.add("BatchNormalization", y, *operands)
    y = net.add("Clip", y, _real(net, -1), _real(net, 2))
    return net.model(net.both(y, net.params(0.0171, -30)), (3, *(7,) * len(window)), 17)


def product_to_float() -> ModelProto:
    """MatMulIntegerToFloat of codes with a constant scale."""
    net = Exported(40)
    given = net.params(0.0203, 3, "u1")
    codes = net.constant(net.random.integers(-128, 128, (16, 8)).astype(np.int8))
    scales = net.constant(net.random.uniform(0.002, 0.004, 8).astype(np.float32))
    zeros = net.constant(np.zeros(8, np.int8))
    operands = (net.quantize("x", given), codes, given.scale, scales, given.zero, zeros)
    y = net.add("MatMulIntegerToFloat", *operands, net.floats(8), domain=MICROSOFT)
    return net.model(net.both(net.add("Relu", y), net.params(0.0217, 0, "u1")), (16,), 17)


def channels_last() -> ModelProto:
    """Operators of onnxruntime that have channels as the last axis."""
    net = Exported(42)
    first, second = net.params(0.0203), net.params(0.0313, -128)
    third, fourth = net.params(0.0207, -100), net.params(0.0109, -110)
    x = net.add("Transpose", net.quantize("x", first), perm=[0, 2, 3, 1])
    codes = net.random.integers(-128, 128, (8, 3, 3, 3)).astype(np.int8)
    scales = net.random.uniform(0.002, 0.004, 8).astype(np.float32)
    weights = [net.constant(array) for array in (codes, scales, np.zeros(8, np.int8))]
    bias = net.constant(net.random.integers(-300, 300, 8).astype(np.int32))
    last: dict[str, Any] = {"domain": MICROSOFT, "channels_last": 1}
    y = net.add("QLinearConv", x, *first.names, *weights, *second.names, bias, pads=_SAME, **last)
    window: dict[str, Any] = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": _SAME}
    y = net.add("NhwcMaxPool", y, domain=MICROSOFT, **window)
    y = net.add("QLinearAveragePool", y, *second.names, *third.names, kernel_shape=[3, 3], **last)
    y = net.add("QLinearGlobalAveragePool", y, *third.names, *fourth.names, **last)
    return net.model(net.dequantize(y, fourth), (3, 9, 9), 17)


def choice() -> ModelProto:
    """QLinearWhere with a constant condition."""
    net = Exported(41)
    first, second = net.params(0.0203, 100, "u1"), net.params(0.0307, 120, "u1")
    output = net.params(0.0251, 110, "u1")
    a = net.quantize("x", first)
    b = net.quantize(net.add("Relu", net.dequantize(a, first)), second)
    mask = net.constant(net.random.integers(0, 2, (3, 4)).astype(bool))
    operands = (mask, a, *first.names, b, *second.names, *output.names)
    y = net.add("QLinearWhere", *operands, domain=MICROSOFT)
    return net.model(net.dequantize(y, output), (3, 4), 17)


def attention() -> ModelProto:
    """A product of two computed matrices, and softmax."""
    net = Exported(20)
    x = net.both("x", net.params(0.0203))
    a, b = (
        net.both(net.add("MatMul", x, net.coded(8, 8, axis=1)[0]), net.params(0.0307))
        for _ in range(2)
    )
    y = net.add("MatMul", a, net.add("Transpose", b, perm=[0, 2, 1]))
    y = net.add("Softmax", net.both(y, net.params(0.107)), axis=-1)
    return net.model(net.both(y, net.params(1 / 256, -128)), (6, 8), 17)


def eight_bit_floats() -> ModelProto:
    """Activations of float8."""
    net = Exported(24)
    params = Params(_real(net, 0.02), net.constant(np.zeros(()), TensorProto.FLOAT8E4M3FN))
    y = net.add("MatMul", net.both("x", params), net.floats(16, 8))
    return net.model(y, (16,), 19)
