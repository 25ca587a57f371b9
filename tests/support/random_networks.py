"""Random quantized networks: every operator of the quantized stage, odd shapes and parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from imcc.compiler.ir import Graph, GraphBuilder, QuantParams, TensorType, Value
from imcc.compiler.ir.op import Op
from imcc.compiler.ir.ops.codes import TRUTH
from imcc.compiler.ir.ops.compare import Compare, Relation
from imcc.compiler.ir.ops.constant_operand import WithConstant
from imcc.compiler.ir.ops.dilate import Dilate
from imcc.compiler.ir.ops.indexing import Gather
from imcc.compiler.ir.ops.pooling import MaxPool
from imcc.compiler.ir.ops.quant import Dequantize, Quantize
from imcc.compiler.ir.ops.quantized import (
    QAdd,
    QConcat,
    QConv,
    QMatMul,
    QMul,
    QSoftmax,
    QUnary,
)
from imcc.compiler.ir.ops.quantized_pooling import QAveragePool, QGlobalAveragePool
from imcc.compiler.ir.ops.quantized_reduce import QReduceMax, QReduceSum
from imcc.compiler.ir.ops.quantized_select import QMaximum, QMinimum, QSelect
from imcc.compiler.ir.ops.shape import Pad, Reshape, Slice, Transpose
from imcc.compiler.ir.ops.unary import HardSwish, LeakyRelu, Sigmoid
from imcc.compiler.ir.requant import Requant
from imcc.compiler.ir.types import DType
from imcc.isa.target import RequantMode


class NetworkMaker:
    """Adds random nodes to a graph; all choices come from one seed."""

    def __init__(self, seed: int, mode: RequantMode, weight_bits: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._mode = mode
        self._weight_bits = weight_bits
        self._builder = GraphBuilder("main")
        self._count = 0

    def make(self, length: int) -> Graph:
        """A network of about `length` operators on a small signal, image or volume."""
        rng = self._rng
        spatial = [int(e) for e in rng.integers(4, 9, int(rng.choice([1, 2, 2, 2, 3])))]
        shape = (1, int(rng.integers(1, 6)), *spatial)
        x = self._builder.input("input", TensorType(DType.F32, shape))
        value = self._add(Quantize(self._codes()), [x])
        for _ in range(length):
            step = self._choose()
            value = step(value)
        value = self._head(value)
        return self._builder.finish([self._add(Dequantize(), [value])], ["output"])

    def _choose(self) -> Callable[[Value], Value]:
        steps = (
            self._conv,
            self._conv,
            self._depthwise,
            self._max_pool,
            self._average_pool,
            self._residual,
            self._gate,
            self._unary,
            self._concat,
            self._pad,
            self._slice,
            self._transpose,
            self._gather,
            self._dilate,
            self._extreme,
            self._choice,
            self._reduced,
        )
        return steps[int(self._rng.integers(len(steps)))]

    def _add(self, op: Op, operands: list[Value]) -> Value:
        self._count += 1
        return self._builder.add(op, operands, f"v{self._count}", [f"/{op.name}_{self._count}"])

    def _codes(self) -> QuantParams:
        scale = float(np.float32(2.0 ** self._rng.uniform(-7, 1)))
        if self._rng.random() < 0.3:  # powers of two make ties
            scale = float(2.0 ** self._rng.integers(-6, 1))
        return QuantParams((scale,), (int(self._rng.choice([0, 0, 7, 128, 255])),))

    def _requant(self) -> Requant:
        output = self._codes()
        low, high = sorted(int(v) for v in self._rng.choice([0, 0, 20, 230, 255, 255], 2))
        return Requant(output, low, high, self._mode, 16)

    def _weights(self, shape: tuple[int, ...], axis: int, x: Value) -> tuple[Value, Value]:
        """Weights and a bias whose products stay near the range of codes."""
        top = (1 << (self._weight_bits - 1)) - 1
        array = self._rng.integers(-top, top + 1, shape).astype(np.int8)
        assert x.type.quant is not None
        scales = (2.0 ** self._rng.uniform(-9, -5, shape[axis])).astype(np.float32)
        weight_quant = QuantParams(
            tuple(float(s) for s in scales), (0,) * len(scales), axis, self._weight_bits, True
        )
        bias_scale = np.float32(x.type.quant.scale[0]) * scales
        bias = self._rng.integers(-500, 500, shape[axis]).astype(np.int32)
        bias_quant = QuantParams(
            tuple(float(s) for s in bias_scale), (0,) * len(scales), 0, 32, True
        )
        name = f"w{self._count}"
        return (
            self._builder.constant(array, name, weight_quant),
            self._builder.constant(bias, f"{name}_bias", bias_quant),
        )

    def _convolution(self, x: Value, outputs: int, group: int) -> Value:
        rng = self._rng
        kernel = tuple(int(rng.integers(1, min(4, extent + 1))) for extent in x.type.shape[2:])
        pads = tuple(int(rng.integers(0, k)) for k in kernel * 2)
        strides = tuple(int(s) for s in rng.integers(1, 3, len(kernel)))
        room = all(
            extent >= 2 * (k - 1) + 1 for extent, k in zip(x.type.shape[2:], kernel, strict=True)
        )
        dilations = (2 if room and rng.random() < 0.3 else 1,) * len(kernel)
        shape = (outputs, x.type.shape[1] // group, *kernel)
        w, b = self._weights(shape, 0, x)
        return self._add(QConv(strides, pads, dilations, group, self._requant()), [x, w, b])

    def _conv(self, x: Value) -> Value:
        return self._convolution(x, int(self._rng.integers(1, 9)), 1)

    def _depthwise(self, x: Value) -> Value:
        channels = x.type.shape[1]
        return self._convolution(x, channels * int(self._rng.integers(1, 3)), channels)

    def _pool_window(self, x: Value) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        kernel = tuple(int(self._rng.integers(1, min(4, e + 1))) for e in x.type.shape[2:])
        pads = tuple(int(self._rng.integers(0, (k + 1) // 2)) for k in kernel) * 2
        return kernel, tuple(int(s) for s in self._rng.integers(1, 3, len(kernel))), pads

    def _max_pool(self, x: Value) -> Value:
        kernel, strides, pads = self._pool_window(x)
        ceil = bool(self._rng.random() < 0.5)
        return self._add(MaxPool(kernel, strides, pads, (1,) * len(kernel), ceil), [x])

    def _average_pool(self, x: Value) -> Value:
        kernel, strides, pads = self._pool_window(x)
        include = bool(self._rng.random() < 0.5)
        op = QAveragePool(kernel, strides, pads, False, include, self._requant())
        return self._add(op, [x])

    def _residual(self, x: Value) -> Value:
        return self._add(QAdd(self._requant()), [x, self._unary(x)])

    def _gate(self, x: Value) -> Value:
        pooled = self._add(QGlobalAveragePool(self._requant()), [x])
        return self._add(QMul(self._requant()), [x, self._unary(pooled)])

    def _unary(self, x: Value) -> Value:
        functions: tuple[Op, ...] = (Sigmoid(), LeakyRelu(0.1), HardSwish())
        function = functions[int(self._rng.integers(len(functions)))]
        return self._add(QUnary(function, self._codes()), [x])

    def _concat(self, x: Value) -> Value:
        axis = int(self._rng.integers(1, x.type.rank))
        output = x.type.quant if self._rng.random() < 0.5 else self._codes()
        assert output is not None
        return self._add(QConcat(axis, output), [x, self._unary(x), x])

    def _pad(self, x: Value) -> Value:
        axes = x.type.rank - 1
        begin, end = ((0, *(int(p) for p in self._rng.integers(0, 2, axes))) for _ in range(2))
        return self._add(Pad(begin, end, float(self._rng.choice([0.0, 0.5]))), [x])

    def _slice(self, x: Value) -> Value:
        ends = x.type.shape
        starts = (0, *(int(self._rng.integers(0, (e + 1) // 2)) for e in ends[1:]))
        steps = (*(1 for _ in ends[1:]), int(self._rng.integers(1, 3)))
        return self._add(Slice(starts, ends, steps), [x])

    def _transpose(self, x: Value) -> Value:
        perm = (0, *(int(axis) for axis in self._rng.permutation(x.type.rank - 1) + 1))
        return self._add(Transpose(perm), [x])

    def _gather(self, x: Value) -> Value:
        axis = int(self._rng.integers(1, x.type.rank))
        extent = x.type.shape[axis]
        indices = self._rng.integers(0, extent, int(self._rng.integers(1, extent + 3)))
        chosen = self._builder.constant(indices.astype(np.int64), f"indices{self._count}")
        return self._add(Gather(axis), [x, chosen])

    def _dilate(self, x: Value) -> Value:
        if x.type.size > 2000:
            return x
        return self._add(
            Dilate(tuple(int(s) for s in self._rng.integers(1, 3, x.type.rank - 2))), [x]
        )

    def _reduced_axes(self, x: Value) -> tuple[int, ...]:
        axes = np.arange(1, x.type.rank)
        kept = self._rng.random(len(axes)) < 0.5
        return tuple(int(axis) for axis in axes[kept])

    def _extreme(self, x: Value) -> Value:
        assert x.type.quant is not None
        other = self._add(QUnary(Sigmoid(), x.type.quant), [x])
        if self._rng.random() < 0.5:  # broadcast
            other = self._add(QReduceMax(self._reduced_axes(x)), [other])
        return self._add(QMaximum() if self._rng.random() < 0.5 else QMinimum(), [x, other])

    def _choice(self, x: Value) -> Value:
        assert x.type.quant is not None
        other = self._add(QUnary(LeakyRelu(-0.5), x.type.quant), [x])
        if self._rng.random() < 0.3:
            number = np.full((1,) * x.type.rank, self._rng.integers(256), np.uint8)
            other = self._builder.constant(number, f"number{self._count}", x.type.quant)
        above = WithConstant(Compare(Relation.GREATER), float(self._rng.normal()))
        mask = self._add(QUnary(above, TRUTH), [self._add(QReduceMax(self._reduced_axes(x)), [x])])
        pair = [x, other] if self._rng.random() < 0.5 else [other, x]
        return self._add(QSelect(), [mask, *pair])

    def _reduced(self, x: Value) -> Value:
        mean = bool(self._rng.random() < 0.7)
        op = QReduceSum(self._reduced_axes(x), True, mean, self._requant())
        return self._add(QAdd(self._requant()), [x, self._add(op, [x])])

    def _head(self, x: Value) -> Value:
        """Flatten, a matrix product, sometimes a softmax."""
        flat = self._add(Reshape((1, x.type.size)), [x])
        w, b = self._weights((x.type.size, int(self._rng.integers(1, 12))), 1, flat)
        scores = self._add(QMatMul(self._requant()), [flat, w, b])
        if self._rng.random() < 0.5:
            return scores
        return self._add(QSoftmax(1, QuantParams((1 / 256,), (0,))), [scores])


def random_inputs(graph: Graph, samples: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """Inputs that cover and overstep the range of the input's codes."""
    rng = np.random.default_rng(seed)
    (value,) = graph.inputs
    quant = graph.nodes[0].result.type.quant
    assert quant is not None
    codes = rng.integers(-20, 276, (samples, *value.type.shape[1:]))
    reals = (codes - quant.zero_point[0]) * np.float32(quant.scale[0])
    return {value.name: reals.astype(np.float32)}
