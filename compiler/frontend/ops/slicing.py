"""Slice, Split and Pad."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Value
from ...ir.op import Array
from ...ir.ops.shape import Pad, Slice
from ..conversion import Conversion, Rejection, normal_axis
from ..folding import expect_fold_size
from ..registry import Result, converts, folds


def constant_mode(conversion: Conversion) -> str | None:
    """Padding is constant: attribute mode is 'constant'."""
    mode = conversion.text("mode", "constant")
    return None if mode == "constant" else f"in mode '{mode}'"


@converts("Slice")
def slice_(conversion: Conversion) -> Result:
    """Bounds must be constant."""
    x = conversion.value(0)
    slices = given_slices(conversion, x.type.shape)
    if slices[0] not in (slice(0, 1, 1), slice(None)):
        raise conversion.reject_batch("of axis 0")
    return sliced(conversion, x, slices)


@converts("Split")
def split(conversion: Conversion) -> list[Result]:
    """One slice an output."""
    x = conversion.value(0)
    axis = normal_axis(conversion, conversion.integer("axis", 0), x.type.rank)
    if axis == 0:
        raise conversion.reject_batch("along axis 0")
    results: list[Result] = []
    start = 0
    for index, extent in enumerate(given_parts(conversion, x.type.shape[axis])):
        slices = [slice(0, e, 1) for e in x.type.shape]
        slices[axis] = slice(start, start + extent, 1)
        start += extent
        if conversion.wants(index):
            results.append(sliced(conversion, x, slices, conversion.node.proto.output[index]))
        else:
            results.append(x)
    return results


def sliced(
    conversion: Conversion, x: Value, slices: Sequence[slice], name: str | None = None
) -> Value:
    """The value, or a slice of it if anything is cut off."""
    bounds = [s.indices(extent) for s, extent in zip(slices, x.type.shape, strict=True)]
    if all(b == (0, extent, 1) for b, extent in zip(bounds, x.type.shape, strict=True)):
        return x
    starts, ends, steps = zip(*bounds, strict=True)
    op = Slice(starts, ends, steps)
    origin = (conversion.node.label,)
    return conversion.builder.add(op, [x], name or conversion.name(), origin)


def given_slices(conversion: Conversion, shape: tuple[int, ...]) -> list[slice]:
    """A slice for each axis; operands since operator set 10, attributes before."""
    if conversion.has(1):
        starts, ends = conversion.integers(1, "starts"), conversion.integers(2, "ends")
        axes = conversion.integers(3, "axes") if conversion.has(3) else None
        steps = conversion.integers(4, "steps") if conversion.has(4) else None
    else:
        starts, ends = conversion.ints("starts") or (), conversion.ints("ends") or ()
        axes, steps = conversion.ints("axes"), None
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise Rejection("IMC0209", "Slice has bounds of different lengths, or a step of 0")
    slices = [slice(None)] * len(shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        slices[normal_axis(conversion, axis, len(shape))] = slice(start, end, step)
    return [slice(*_bounds(s, extent)) for s, extent in zip(slices, shape, strict=True)]


def _bounds(bounds: slice, extent: int) -> tuple[int, int | None, int]:
    start, end, step = bounds.indices(extent)
    return start, (None if end < 0 else end), step


def given_parts(conversion: Conversion, extent: int) -> tuple[int, ...]:
    """Extents of the parts; an operand since operator set 13, an attribute before."""
    given = conversion.ints("split")
    if conversion.has(1):
        given = conversion.integers(1, "split")
    number = conversion.integer("num_outputs", len(conversion.node.proto.output))
    if given is None:
        whole = -(-extent // max(number, 1))
        given = tuple(min(whole, extent - start) for start in range(0, extent, whole))
    if sum(given) != extent or len(given) != len(conversion.node.proto.output) or min(given) < 0:
        text = f"Split of extent {extent} into {list(given)}"
        raise Rejection("IMC0209", text, f"it has {len(conversion.node.proto.output)} outputs")
    return given


@converts("Pad", constraints=(constant_mode,))
def pad(conversion: Conversion) -> Result:
    """Constant padding; negative amounts cut off."""
    x = conversion.value(0)
    begin, end, value = given_pads(conversion, x.type.rank)
    if begin[0] or end[0]:
        raise conversion.reject_batch("of axis 0")
    extents = x.type.shape
    slices = [
        slice(max(-b, 0), extent - max(-e, 0), 1)
        for b, e, extent in zip(begin, end, extents, strict=True)
    ]
    if any(s.stop <= s.start for s in slices):
        raise Rejection("IMC0209", f"Pad by {[*begin, *end]} leaves nothing of {list(extents)}")
    grown_begin, grown_end = (tuple(max(p, 0) for p in side) for side in (begin, end))
    grows = any(grown_begin) or any(grown_end)
    x = sliced(conversion, x, slices, conversion.name("cut" if grows else ""))
    return conversion.emit(Pad(grown_begin, grown_end, value), x) if grows else x


def given_pads(conversion: Conversion, rank: int) -> tuple[tuple[int, ...], tuple[int, ...], float]:
    """Amounts before and after every axis and the constant; operands since operator set 11."""
    value = conversion.real("value", 0.0)
    pads = conversion.ints("pads")
    axes = tuple(range(rank))
    if conversion.has(1):
        pads = conversion.integers(1, "pads")
        if conversion.has(2):
            value = _pad_value(conversion)
        if conversion.has(3):
            given = conversion.integers(3, "axes")
            axes = tuple(normal_axis(conversion, axis, rank) for axis in given)
    if pads is None or len(pads) != 2 * len(axes):
        raise Rejection("IMC0209", f"Pad needs {2 * len(axes)} amounts")
    begin, end = [0] * rank, [0] * rank
    for index, axis in enumerate(axes):
        begin[axis], end[axis] = pads[index], pads[index + len(axes)]
    return tuple(begin), tuple(end), value


def _pad_value(conversion: Conversion) -> float:
    array = conversion.array(2, "the constant value")
    if array.size == 0:
        return 0.0
    if array.size != 1:
        raise Rejection("IMC0210", f"Pad has {array.size} constant values")
    return float(array.reshape(-1)[0])


# -- the same on constants ---------------------------------------------------------------------


@folds("Slice")
def fold_slice(conversion: Conversion) -> Array:
    """Any axis."""
    array = conversion.array(0, "data")
    return array[tuple(given_slices(conversion, array.shape))]


@folds("Split")
def fold_split(conversion: Conversion) -> list[Array]:
    """Any axis."""
    array = conversion.array(0, "data")
    axis = normal_axis(conversion, conversion.integer("axis", 0), array.ndim)
    parts = given_parts(conversion, array.shape[axis])
    return np.split(array, np.cumsum(parts[:-1]), axis)


@folds("Pad")
def fold_pad(conversion: Conversion) -> Array:
    """Amounts that are not negative."""
    array = conversion.array(0, "data")
    if conversion.text("mode", "constant") != "constant":
        raise conversion.reject("in another mode than constant", "padding is constant")
    begin, end, value = given_pads(conversion, array.ndim)
    if min([0, *begin, *end]) < 0:
        raise conversion.reject("of a constant by negative amounts", "amounts are not negative")
    sizes = zip(array.shape, begin, end, strict=True)
    expect_fold_size(conversion, [e + b + a for e, b, a in sizes], array.itemsize)
    return np.pad(array, list(zip(begin, end, strict=True)), constant_values=value)
