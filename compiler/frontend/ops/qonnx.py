"""QONNX: Quant, BipolarQuant and Trunc, as Brevitas, FINN and hls4ml write them.

All three yield real values that lie on a grid. On constants the codes of the grid are kept beside
the values. On activations the value passes through its codes, Quantize and Dequantize, where the
grid is one that codes of 8 bits have; other grids stay functions on floats.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...ir.graph import Value
from ...ir.op import Array
from ...ir.ops.grid import Bipolar, Grid, Rounding, ToGrid, rounded
from ...ir.ops.quant import Dequantize, Quantize
from ...ir.ops.unary import Clip
from ...ir.types import QuantParams
from ..conversion import Conversion, Rejection
from ..dequantized import constant_codes
from ..registry import Form, converts, folds
from .rules import chosen

DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
_BITS = 8
_WIDEST = 32
_ROUNDING = {
    "ROUND": Rounding.HALF_EVEN,
    "HALF_EVEN": Rounding.HALF_EVEN,
    "CEIL": Rounding.CEIL,
    "FLOOR": Rounding.FLOOR,
    "UP": Rounding.UP,
    "DOWN": Rounding.DOWN,
    "HALF_UP": Rounding.HALF_UP,
    "HALF_DOWN": Rounding.HALF_DOWN,
}


@dataclass(frozen=True, eq=False)
class _Quantizer:
    """The operands and attributes of a Quant or a BipolarQuant; `low` and `high` are codes."""

    scale: Array
    zero: Array
    low: float
    high: float
    rounding: Rounding

    @property
    def bits(self) -> int:
        """Bits of the codes, sign included."""
        if self.low < 0:
            return max(int(-self.low - 1).bit_length(), int(self.high).bit_length()) + 1
        return max(int(self.high).bit_length(), 1)


def names(op_type: str) -> tuple[str, ...]:
    """The operator in all domains that it is written in."""
    return tuple(f"{domain}::{op_type}" for domain in DOMAINS)


def constant_quantizer(conversion: Conversion) -> str | None:
    """Scale, zero point and bit widths are constant."""
    given = range(1, len(conversion.operands))
    return None if all(map(conversion.is_constant, given)) else "with a computed scale"


def one_grid(conversion: Conversion) -> str | None:
    """Activations have one scale and zero point for the whole tensor."""
    parameters = range(1, min(3, len(conversion.operands)))
    single = all(conversion.type(index).size == 1 for index in parameters)
    return None if single else "with a scale for each channel of an activation"


@folds(*names("Quant"), *names("IntQuant"))
def fold_quant(conversion: Conversion) -> Array:
    """Weights on their grid."""
    x, quantizer = conversion.floats(0, "operand"), _quantizer(conversion)
    if _is_bipolar(conversion):
        codes = np.where(x / quantizer.scale + quantizer.zero >= 0, 1, -1).astype(np.float32)
    else:
        scaled = x / quantizer.scale + quantizer.zero
        clipped = np.clip(scaled, quantizer.low, quantizer.high)
        codes = rounded(np.asarray(clipped, np.float32), quantizer.rounding)
    _remember(conversion, codes, quantizer)
    return np.asarray((codes - quantizer.zero) * quantizer.scale, np.float32)


@folds(*names("BipolarQuant"))
def fold_bipolar(conversion: Conversion) -> Array:
    """Weights of one bit."""
    x, scale = conversion.floats(0, "operand"), _scale(conversion, 1)
    codes = np.where(x >= 0, np.float32(1), np.float32(-1))
    zero = np.zeros((), np.float32)
    _remember(conversion, codes, _Quantizer(scale, zero, -1, 1, Rounding.HALF_EVEN))
    return np.asarray(codes * scale, np.float32)


@converts(
    *names("Quant"),
    *names("IntQuant"),
    form=Form.SHARED,
    constraints=(constant_quantizer, one_grid),
)
def quant(conversion: Conversion) -> Value:
    """An activation on its grid."""
    x, quantizer = conversion.value(0), _quantizer(conversion)
    scale, zero = _number(quantizer.scale), _number(quantizer.zero)
    if _is_bipolar(conversion):
        if zero:
            raise conversion.reject("of one bit with a sign", "its zero point is 0")
        return _sign(conversion, x, scale)
    if not zero.is_integer() or quantizer.bits > _BITS:
        grid = Grid(scale, zero)
        op = ToGrid(grid, grid, quantizer.low, quantizer.high, quantizer.rounding)
        return conversion.emit(op, x)
    params = QuantParams((scale,), (int(zero),), None, quantizer.bits, quantizer.low < 0)
    if quantizer.rounding is not Rounding.HALF_EVEN:
        grid = Grid(scale, zero)
        op = ToGrid(grid, grid, quantizer.low, quantizer.high, quantizer.rounding)
        x = conversion.emit(op, x, step="rounded")
    elif (quantizer.low, quantizer.high) != (params.low, params.high):
        low, high = ((bound - zero) * scale for bound in (quantizer.low, quantizer.high))
        x = conversion.emit(Clip(low, high), x, step="clipped")
    return _through_codes(conversion, x, params)


@converts(*names("BipolarQuant"), form=Form.SHARED, constraints=(constant_quantizer, one_grid))
def bipolar_quant(conversion: Conversion) -> Value:
    """The sign of an activation, as codes 0 and 2 around the zero point 1."""
    return _sign(conversion, conversion.value(0), _number(_scale(conversion, 1)))


def _sign(conversion: Conversion, x: Value, scale: float) -> Value:
    sign = conversion.emit(Bipolar(scale), x, step="sign")
    return _through_codes(conversion, sign, QuantParams((scale,), (1,), None, 2, False))


@converts(*names("Trunc"), form=Form.SHARED, constraints=(constant_quantizer, one_grid))
def trunc(conversion: Conversion) -> Value:
    """The upper bits of a code: its version follows from the number of operands."""
    x, scale = conversion.value(0), _number(_scale(conversion, 1))
    zero, given = _number(conversion.floats(2, "zero point")), _bits(conversion, 3)
    newer = len(conversion.operands) > 5
    output = _bits(conversion, 5 if newer else 4)
    rounding = chosen(conversion, "rounding_mode", "FLOOR", _ROUNDING)
    if newer:
        target = _number(_scale(conversion, 4))
        divisor = 2.0 ** round(math.log2(target / scale))
        low, high = _limits(conversion, output, signed=1)
    else:
        # The first version has no sign and no limits, and keeps the scale of its operand.
        divisor, target, low, high = 2.0 ** (given - output), scale, -math.inf, math.inf
    known = zero.is_integer() and given <= _BITS and (newer or conversion.integer("signed", 1))
    if known:
        signed = low < 0 if newer else True
        bits = given if signed else min(given, _BITS)
        params = QuantParams((scale,), (int(zero),), None, bits, signed)
        x = _through_codes(conversion, x, params, "code")
    grid = Grid(target, zero / divisor if newer else zero)
    op = ToGrid(Grid(scale, zero), grid, low, high, rounding, divisor)
    return conversion.emit(op, x)


def _quantizer(conversion: Conversion) -> _Quantizer:
    bits = _bits(conversion, 3)
    low, high = _limits(conversion, bits, signed=1)
    rounding = chosen(conversion, "rounding_mode", "ROUND", _ROUNDING)
    zero = conversion.floats(2, "zero point")
    return _Quantizer(_scale(conversion, 1), zero, low, high, rounding)


def _is_bipolar(conversion: Conversion) -> bool:
    """One bit with a sign means -1 and 1, as the reference has it."""
    return _bits(conversion, 3) == 1 and bool(conversion.integer("signed", 1))


def _limits(conversion: Conversion, bits: int, signed: int) -> tuple[float, float]:
    """The smallest and the largest code."""
    narrow = conversion.integer("narrow", 0)
    if conversion.integer("signed", signed):
        return -float(1 << (bits - 1)) + narrow, float(1 << (bits - 1)) - 1
    return 0.0, float(1 << bits) - 1 - narrow


def _bits(conversion: Conversion, index: int) -> int:
    found = conversion.array(index, "bit width")
    bits = float(found.reshape(-1)[0]) if found.size == 1 else math.nan
    if not bits.is_integer() or not 1 <= bits <= _WIDEST:
        raise conversion.reject(f"with a bit width of {found.tolist()}", "it is one of 1 to 32")
    return int(bits)


def _scale(conversion: Conversion, index: int) -> Array:
    scale = conversion.floats(index, "scale")
    if not np.all(scale > 0) or not np.all(np.isfinite(scale)):
        text = f"{conversion.node.op_type} has a scale that is not positive"
        raise Rejection("IMC0209", text, "scales are finite numbers above 0")
    return scale


def _number(array: Array) -> float:
    return float(array.reshape(-1)[0])


def _through_codes(conversion: Conversion, x: Value, params: QuantParams, step: str = "") -> Value:
    codes = conversion.emit(Quantize(params), x, step=f"{step or 'output'}/codes")
    return conversion.emit(Dequantize(), codes, step=step)


def _remember(conversion: Conversion, codes: Array, quantizer: _Quantizer) -> None:
    """Keep the codes of weights, where they fit a byte and scales lie along one axis."""
    rank, zero = codes.ndim, quantizer.zero
    axis = _axis(quantizer.scale.shape, rank)
    whole = np.array_equal(zero, np.rint(zero)) and zero.size in (1, quantizer.scale.size)
    limit = np.iinfo(np.int8 if quantizer.low < 0 else np.uint8)
    if axis is None or not whole or quantizer.low < limit.min or quantizer.high > limit.max:
        return
    zeros = np.broadcast_to(zero, quantizer.scale.shape)
    found = constant_codes(codes.astype(limit.dtype), quantizer.scale, zeros, axis)
    if found is not None:
        conversion.codes[conversion.node.proto.output[0]] = found


def _axis(shape: tuple[int, ...], rank: int) -> int | None:
    """The only axis that scales of this shape vary along; 0 if none; None if several do."""
    aligned = (1,) * (rank - len(shape)) + shape
    varying = [axis for axis, extent in enumerate(aligned) if extent != 1]
    return None if len(varying) > 1 else (varying or [0])[0]
