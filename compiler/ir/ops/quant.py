"""The borders between real values and codes."""

from __future__ import annotations

from collections.abc import Sequence

from ..op import Array, Op, OpError, Stage, op
from ..requant import code_type, dequantize, quantize
from ..types import DType, QuantParams, TensorType
from .codes import byte_codes


@op("quantize", Stage.ANY)
class Quantize(Op):
    """Codes of a float32 tensor: ``clip(rint(x / scale) + zero_point)``."""

    output: QuantParams

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Codes in the shape of the operand."""
        (x,) = operands
        if x.dtype is not DType.F32:
            raise OpError(f"the operand is {x.dtype}; quantize takes f32")
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


@op("enter", Stage.ANY)
class Enter(Op):
    """Codes of a graph input, as the host gives them: nothing is computed."""

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of the operand."""
        byte_codes(operands[0])
        return (operands[0],)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """The codes."""
        return (inputs[0],)


@op("leave", Stage.ANY)
class Leave(Op):
    """Codes of a graph output, as plain integers for the host: nothing is computed."""

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Integers in the shape of the operand."""
        byte_codes(operands[0])
        return (TensorType(operands[0].dtype, operands[0].shape),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """The codes."""
        return (inputs[0],)
