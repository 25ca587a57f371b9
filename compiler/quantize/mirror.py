"""Negatives of codes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ir import GraphBuilder, Value
from ..ir.ops.math import Function, Math
from ..ir.ops.quantized import QUnary


def mirrored(builder: GraphBuilder, x: Value) -> Value:
    """The negative of a tensor, exactly: codes and zero point are mirrored."""
    quant = x.type.quant
    assert quant is not None
    ends = quant.low + quant.high
    params = replace(quant, zero_point=(ends - quant.zero_point[0],))
    if builder.is_constant(x):
        codes = (ends - builder.array(x).astype(np.int16)).astype(x.type.dtype.numpy)
        return builder.constant(codes, x.name, params)
    return builder.add(QUnary(Math(Function.NEG), params), [x], f"{x.name}.negative")
