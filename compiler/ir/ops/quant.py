"""The borders between real values and codes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import InputError
from ..op import Array, Op, OpError, Stage, op
from ..requant import code_type, dequantize, quantize
from ..types import DType, QuantParams, TensorType
from .checks import expect_integer
from .codes import TRUTH, byte_codes


@op("quantize", Stage.ANY)
class Quantize(Op):
    """Codes of numbers: ``clip(rint(x / scale) + zero_point)``; integers become float32 first."""

    output: QuantParams

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes in the shape of the operand."""
        (x,) = operands
        if x.quant is not None or (x.dtype.is_float and x.dtype is not DType.F32):
            raise OpError(f"the operand is {x.dtype}; quantize takes f32 or whole numbers")
        return (TensorType(code_type(self.output), x.shape, self.output),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """One float32 division and one rounding an element."""
        return (quantize(inputs[0], self.output),)


@op("dequantize", Stage.ANY)
class Dequantize(Op):
    """Real values of codes: ``(x - zero_point) * scale`` in float32."""

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Floats in the shape of the operand."""
        (x,) = operands
        if x.quant is None:
            raise OpError(f"the operand is {x.dtype} without quantization; dequantize takes codes")
        return (TensorType(DType.F32, x.shape),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """One float32 product an element."""
        assert types[0].quant is not None
        return (dequantize(inputs[0], types[0].quant),)


@op("dequantize_whole", Stage.ANY)
class DequantizeWhole(Dequantize):
    """Whole numbers of codes, in an integer type: those nearest to the real values."""

    to: DType

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Integers in the shape of the operand."""
        (real,) = super().infer(operands)
        result = TensorType(self.to, real.shape)
        expect_integer(result, "results")
        return (result,)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Real values in float32, rounded half to even."""
        (real,) = super().evaluate(inputs, types)
        return (np.rint(real).astype(self.to.numpy),)


@op("enter", Stage.ANY)
class Enter(Op):
    """Codes or indices of a graph input, as the host gives them: nothing is computed.

    Truth values become the codes 0 and 1. Indices, which are integers without quantization, become
    int32.
    """

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes of the type of the operand, or int32."""
        (x,) = operands
        if x.dtype is DType.BOOL:
            return (TensorType(DType.U8, x.shape, TRUTH),)
        if x.quant is None:
            expect_integer(x, "indices")
            return (TensorType(DType.I32, x.shape),)
        byte_codes(x)
        return (x,)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """The codes; raises `InputError` for indices beyond 31 bits."""
        (x,) = inputs
        if types[0].quant is not None:
            return (x,)
        if types[0].dtype is DType.BOOL:
            return (x.astype(np.uint8),)
        limits = np.iinfo(np.int32)
        if x.size and (x.min() < limits.min or x.max() > limits.max):
            raise InputError(f"indices are {x.min()} to {x.max()}; they must fit int32")
        return (x.astype(np.int32),)


@op("leave", Stage.ANY)
class Leave(Op):
    """Codes of a graph output, as plain integers or truth values for the host.

    Nothing is computed.
    """

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Truth values if the codes stand for them, else integers, in the shape of the operand."""
        (x,) = operands
        dtype = DType.BOOL if byte_codes(x) == TRUTH else x.dtype
        return (TensorType(dtype, x.shape),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """The codes, in the type of the result."""
        (result,) = self.infer(types)
        return (inputs[0].astype(result.dtype.numpy, copy=False),)
