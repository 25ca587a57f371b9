"""Einsum."""

from __future__ import annotations

from ...ir.graph import Value
from ...ir.ops.einsum import Einsum
from ..conversion import Conversion
from ..registry import Form, converts


@converts("Einsum", form=Form.WHOLE)
def einsum(conversion: Conversion) -> Value:
    """A sum of products over named axes."""
    operands = [conversion.value(index) for index in range(len(conversion.operands))]
    return conversion.emit(Einsum(conversion.text("equation", "")), *operands)
