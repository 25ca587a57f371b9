"""Shape and order of whole tensors: like ``shape.py`` and ``slicing.py``, with axis 0 as any."""

from __future__ import annotations

from math import prod

import numpy as np

from ...ir.graph import Value
from ...ir.ops.shape import Concat, Expand, Pad, PadCopies, PadKind, Reshape, Tile, Transpose
from ..conversion import Conversion, Rejection, normal_axes, normal_axis
from ..registry import Form, Result, converts
from .constants import broadcast_extents, given_extents
from .shape import given_axes, reshaped, whole_target
from .slicing import given_pads, given_parts, given_slices, sliced


@converts("Reshape", form=Form.WHOLE, constants=(1,))
def reshape(conversion: Conversion) -> Result:
    """The target must be constant."""
    x = conversion.value(0)
    return reshaped(conversion, x, whole_target(conversion, x.type.shape))


@converts("Flatten", form=Form.WHOLE)
def flatten(conversion: Conversion) -> Result:
    """Two axes."""
    x = conversion.value(0)
    shape = x.type.shape
    axis = conversion.integer("axis", 1)
    axis = axis if axis == len(shape) else normal_axis(conversion, axis, len(shape))
    return reshaped(conversion, x, (prod(shape[:axis]), prod(shape[axis:])))


@converts("Transpose", form=Form.WHOLE)
def transpose(conversion: Conversion) -> Value:
    """Any permutation, by default the reverse."""
    perm = conversion.ints("perm")
    default = tuple(reversed(range(conversion.type(0).rank)))
    return conversion.emit(Transpose(default if perm is None else perm), conversion.value(0))


@converts("Squeeze", form=Form.WHOLE, constants=(1,))
def squeeze(conversion: Conversion) -> Result:
    """Axes of extent 1 vanish."""
    x = conversion.value(0)
    axes = given_axes(conversion)
    if axes is None:
        axes = [axis for axis, extent in enumerate(x.type.shape) if extent == 1]
    gone = normal_axes(conversion, axes, x.type.rank)
    if any(x.type.shape[axis] != 1 for axis in gone):
        raise Rejection("IMC0209", f"Squeeze of axes {list(gone)} of {list(x.type.shape)}")
    kept = tuple(extent for axis, extent in enumerate(x.type.shape) if axis not in gone)
    return reshaped(conversion, x, kept)


@converts("Unsqueeze", form=Form.WHOLE, constants=(1,))
def unsqueeze(conversion: Conversion) -> Result:
    """New axes of extent 1."""
    x, axes = conversion.value(0), given_axes(conversion) or []
    rank = x.type.rank + len(axes)
    new, rest = normal_axes(conversion, axes, rank), iter(x.type.shape)
    shape = tuple(1 if axis in new else next(rest) for axis in range(rank))
    return reshaped(conversion, x, shape)


@converts("Concat", form=Form.WHOLE)
def concat(conversion: Conversion) -> Value:
    """Along any axis."""
    values = [conversion.value(index) for index in range(len(conversion.operands))]
    axis = normal_axis(conversion, conversion.integer("axis", 0), values[0].type.rank)
    return conversion.emit(Concat(axis), *values)


@converts("Expand", form=Form.WHOLE, constants=(1,))
def expand(conversion: Conversion) -> Value:
    """The shape must be constant."""
    x = conversion.value(0)
    shape = broadcast_extents(conversion, x.type.shape, given_extents(conversion, 1))
    return conversion.emit(Expand(shape), x)


@converts("Tile", form=Form.WHOLE, constants=(1,))
def tile(conversion: Conversion) -> Value:
    """Repeats must be constant."""
    return conversion.emit(Tile(given_extents(conversion, 1)), conversion.value(0))


@converts("Slice", form=Form.WHOLE, constants=(1, 2, 3, 4))
def slice_(conversion: Conversion) -> Result:
    """Bounds must be constant."""
    x = conversion.value(0)
    return sliced(conversion, x, given_slices(conversion, x.type.shape))


@converts("Split", form=Form.WHOLE, constants=(1,))
def split(conversion: Conversion) -> list[Result]:
    """One slice an output; extents must be constant."""
    x = conversion.value(0)
    axis = normal_axis(conversion, conversion.integer("axis", 0), x.type.rank)
    results: list[Result] = []
    start = 0
    for index, extent in enumerate(given_parts(conversion, x.type.shape[axis])):
        slices = [slice(0, e, 1) for e in x.type.shape]
        slices[axis] = slice(start, start + extent, 1)
        start += extent
        results.append(sliced(conversion, x, slices, conversion.node.proto.output[index]))
    return results


@converts("Pad", form=Form.WHOLE, constants=(1, 2, 3))
def pad(conversion: Conversion) -> Result:
    """Constant padding, or copies of elements; negative amounts cut off."""
    x, mode = conversion.value(0), conversion.text("mode", "constant")
    begin, end, value = given_pads(conversion, x.type.rank)
    grown_begin, grown_end = (tuple(max(p, 0) for p in side) for side in (begin, end))
    slices = [
        slice(max(-b, 0), extent - max(-e, 0), 1)
        for b, e, extent in zip(begin, end, x.type.shape, strict=True)
    ]
    grows = any(grown_begin) or any(grown_end)
    x = sliced(conversion, x, slices, conversion.name("cut" if grows else ""))
    if not grows:
        return x
    if mode == "constant":
        return conversion.emit(Pad(grown_begin, grown_end, value), x)
    if mode not in set(PadKind):
        raise Rejection("IMC0210", f"attribute 'mode' of Pad is '{mode}'")
    return conversion.emit(PadCopies(PadKind(mode), grown_begin, grown_end), x)


@converts("DepthToSpace", form=Form.WHOLE)
def depth_to_space(conversion: Conversion) -> Value:
    """Channels become blocks of pixels."""
    x, block = conversion.value(0), conversion.integer("blocksize", 0)
    n, c, h, w = _image(conversion, x, block)
    if c % (block * block):
        raise Rejection("IMC0209", f"DepthToSpace of {c} channels into blocks of {block}")
    mode, deep = conversion.text("mode", "DCR"), c // (block * block)
    if mode not in ("DCR", "CRD"):
        raise Rejection("IMC0210", f"attribute 'mode' of DepthToSpace is '{mode}'")
    first = mode == "DCR"
    shape = (n, block, block, deep, h, w) if first else (n, deep, block, block, h, w)
    perm = (0, 3, 4, 1, 5, 2) if first else (0, 1, 4, 2, 5, 3)
    blocks = conversion.emit(Reshape(shape), x, step="blocks")
    turned = conversion.emit(Transpose(perm), blocks, step="turned")
    return conversion.emit(Reshape((n, deep, h * block, w * block)), turned)


@converts("SpaceToDepth", form=Form.WHOLE)
def space_to_depth(conversion: Conversion) -> Value:
    """Blocks of pixels become channels."""
    x, block = conversion.value(0), conversion.integer("blocksize", 0)
    mode = conversion.text("mode", "DCR")
    n, c, h, w = _image(conversion, x, block)
    if h % block or w % block or mode not in ("DCR", "CRD"):
        raise Rejection("IMC0209", f"SpaceToDepth of {h} x {w} into blocks of {block}")
    split_ = conversion.emit(
        Reshape((n, c, h // block, block, w // block, block)), x, step="blocks"
    )
    perm = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    turned = conversion.emit(Transpose(perm), split_, step="turned")
    return conversion.emit(Reshape((n, c * block * block, h // block, w // block)), turned)


def _image(conversion: Conversion, x: Value, block: int) -> tuple[int, int, int, int]:
    if x.type.rank != 4 or block < 1:
        text = f"{conversion.node.op_type} of {list(x.type.shape)} in blocks of {block}"
        raise Rejection("IMC0209", text, "it needs four axes and blocks of at least 1")
    n, c, h, w = x.type.shape
    return n, c, h, w


@converts("Identity", form=Form.WHOLE)
def identity(conversion: Conversion) -> Result:
    """The operand itself: no node."""
    return conversion.operand(0)


@converts("Dropout", form=Form.WHOLE, constants=(1, 2))
def dropout(conversion: Conversion) -> list[Result]:
    """Nothing happens in inference; the mask holds everywhere."""
    conversion.ignore("seed")
    ratio = conversion.real("ratio", 0.5)
    if conversion.has(1):
        ratio = float(conversion.array(1, "ratio").reshape(-1)[0])
    training = conversion.has(2) and np.any(conversion.array(2, "training_mode"))
    if training and ratio:
        raise conversion.reject("in training mode", "only inference is evaluated")
    return [conversion.operand(0), np.ones(conversion.type(0).shape, bool)]
