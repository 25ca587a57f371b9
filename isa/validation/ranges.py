"""What the element types hold."""

from __future__ import annotations

from ..fields import ElementType

RANGES = {
    ElementType.U8: (0, 255),
    ElementType.I8: (-128, 127),
    ElementType.U16: (0, 65535),
    ElementType.I16: (-32768, 32767),
    ElementType.I32: (-(1 << 31), (1 << 31) - 1),
    ElementType.U32: (0, (1 << 32) - 1),
}
