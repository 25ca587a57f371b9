"""Window attributes that convolution and pooling share: padding rules, strides, dilations."""

from __future__ import annotations

from ...ir.types import TensorType
from ..conversion import Conversion, Rejection


def spatial_rank(conversion: Conversion) -> str | None:
    """The input has 1 to 3 spatial axes after batch and channels."""
    rank = conversion.type(0).rank - 2
    return None if 1 <= rank <= 3 else f"on an input with {rank + 2} axes"


def window_ints(conversion: Conversion, name: str, rank: int, default: int = 1) -> tuple[int, ...]:
    """An attribute with one integer for each spatial axis."""
    found = conversion.ints(name)
    if found is None:
        return (default,) * rank
    _expect_length(conversion, name, found, rank)
    return found


def kernel_shape(conversion: Conversion, rank: int) -> tuple[int, ...]:
    """The window of a pooling operator, which has no default."""
    kernel = conversion.ints("kernel_shape")
    if kernel is None:
        raise Rejection("IMC0210", f"{conversion.node.op_type} lacks attribute 'kernel_shape'")
    _expect_length(conversion, "kernel_shape", kernel, rank)
    return kernel


def explicit_pads(
    conversion: Conversion,
    x: TensorType,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
) -> tuple[int, ...]:
    """Padding before and after each spatial axis, with `auto_pad` resolved."""
    rank = len(kernel)
    mode = conversion.text("auto_pad", "NOTSET")
    pads = conversion.ints("pads")
    if mode == "NOTSET":
        pads = (0,) * 2 * rank if pads is None else pads
        _expect_length(conversion, "pads", pads, 2 * rank)
        return pads
    if mode == "VALID":
        return (0,) * 2 * rank
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise Rejection(
            "IMC0210",
            f"attribute 'auto_pad' of {conversion.node.op_type} is '{mode}'",
            "allowed are NOTSET, VALID, SAME_UPPER and SAME_LOWER",
        )
    if min(strides) < 1:
        raise Rejection("IMC0209", f"strides of {conversion.node.op_type} are {list(strides)}")
    totals = [
        max((-(-extent // stride) - 1) * stride + (k - 1) * dilation + 1 - extent, 0)
        for extent, k, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True)
    ]
    smaller = tuple(total // 2 for total in totals)
    larger = tuple(total - total // 2 for total in totals)
    return smaller + larger if mode == "SAME_UPPER" else larger + smaller


def _expect_length(conversion: Conversion, name: str, found: tuple[int, ...], length: int) -> None:
    if len(found) != length:
        text = f"attribute '{name}' of {conversion.node.op_type} has {len(found)} elements"
        raise Rejection("IMC0209", text, f"the input needs {length}")
