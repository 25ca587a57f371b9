"""Scale words: the multipliers of the output stage as instructions read them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from imcc.isa.scale import encode_scales
from imcc.isa.target import RequantMode

from ..ir.graph import Node
from ..ir.ops.quantized import QAdd, QMul
from ..ir.requant import Requant, fixed_multiplier

_SHIFT_BITS = 24
_SIGN_BIT = 31


def scale_words(scales: NDArray[np.float32], requant: Requant) -> NDArray[np.uint32]:
    """One word for each scale: its float32 value, or a mantissa of `multiplier_bits`."""
    if requant.mode is RequantMode.FLOAT24:
        return encode_scales(scales.ravel())
    multipliers = (
        fixed_multiplier(float(scale), requant.multiplier_bits) for scale in scales.ravel()
    )
    return _words(_pack(mantissa, shift) for mantissa, shift in multipliers)


def add_words(op: QAdd, node: Node) -> NDArray[np.uint32]:
    """The three words of `add`."""
    types = [operand.type for operand in node.operands]
    if op.requant.mode is RequantMode.FLOAT24:
        return encode_scales(op.parameters(types))
    *mantissas, shift = op.fixed_parameters(types)
    return _words(_pack(mantissa, shift) for mantissa in mantissas)


def mul_words(op: QMul, node: Node) -> NDArray[np.uint32]:
    """The three words of `mul`: the scale word and both zero points."""
    scale, *zero_points = op.parameters([operand.type for operand in node.operands])
    word = scale_words(np.asarray([scale], np.float32), op.requant)
    return np.concatenate([word, np.asarray(zero_points, np.int32).view(np.uint32)])


def _pack(mantissa: int, shift: int) -> int:
    sign = int(mantissa < 0)
    return abs(mantissa) | shift << _SHIFT_BITS | sign << _SIGN_BIT


def _words(words: Iterable[int]) -> NDArray[np.uint32]:
    return np.fromiter(words, np.uint32)
