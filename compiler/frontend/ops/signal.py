"""DFT and STFT."""

from __future__ import annotations

from ...ir.graph import Value
from ...ir.ops.signal import DFT, STFT
from ..conversion import Conversion, normal_axis
from ..registry import Form, converts
from .rules import scalar


@converts("DFT", constants=(1, 2), form=Form.WHOLE)
def dft(conversion: Conversion) -> Value:
    """Transform along one axis, which became an operand with operator set 20."""
    x = conversion.value(0)
    old = conversion.node.opset < 20
    axis = conversion.integer("axis", 1) if old else -2
    if conversion.has(2):
        axis = scalar(conversion, 2, "axis")
    axis = normal_axis(conversion, axis, x.type.rank)
    inverse = bool(conversion.integer("inverse", 0))
    one_sided = bool(conversion.integer("onesided", 0))
    extent = x.type.shape[axis]
    length = 2 * (extent - 1) if inverse and one_sided else extent
    if conversion.has(1):
        length = scalar(conversion, 1, "length")
    return conversion.emit(DFT(axis, length, inverse, one_sided), x)


@converts("STFT", constants=(1, 3), form=Form.WHOLE)
def stft(conversion: Conversion) -> Value:
    """Transforms of overlapping frames; step and length are constant."""
    x = conversion.value(0)
    step = scalar(conversion, 1, "step")
    operands = [x, *([conversion.value(2)] if conversion.has(2) else [])]
    if conversion.has(3):
        length = scalar(conversion, 3, "length")
    elif conversion.has(2):
        length = conversion.type(2).size
    else:
        length = x.type.shape[1]
    op = STFT(step, length, bool(conversion.integer("onesided", 1)))
    return conversion.emit(op, *operands)
