"""Operators that give elements another shape or order."""

from __future__ import annotations

from math import prod

import numpy as np

from ...ir.graph import Value
from ...ir.op import Array
from ...ir.ops.shape import Concat, Reshape, Transpose
from ..conversion import Conversion, Rejection, normal_axes, normal_axis
from ..folding import expect_fold_size
from ..registry import Result, converts, folds


def batch_stays_first(conversion: Conversion) -> str | None:
    """Axis 0 stays in place: attribute perm begins with 0."""
    perm = conversion.ints("perm")
    rank = conversion.type(0).rank
    first = perm[0] if perm else rank - 1
    return f"with perm {list(perm or reversed(range(rank)))}" if first != 0 else None


@converts("Reshape")
def reshape(conversion: Conversion) -> Result:
    """The target must be constant; it is read so that axis 0 stays the batch."""
    x = conversion.value(0)
    target = conversion.integers(1, "shape")
    literal_zero = bool(conversion.integer("allowzero", 0))
    return reshaped(conversion, x, _resolve(conversion, x, target, literal_zero))


def _resolve(
    conversion: Conversion, x: Value, target: tuple[int, ...], literal_zero: bool
) -> tuple[int, ...]:
    """The shape with batch 1 that the target means."""
    shape = x.type.shape
    if not target or (literal_zero and 0 in target):
        raise conversion.reject_batch(f"to shape {list(target)}")
    undefined = any(e < -1 or (e == 0 and i >= len(shape)) for i, e in enumerate(target))
    if undefined or target.count(-1) > 1:
        raise Rejection("IMC0209", f"Reshape to {list(target)} from {list(shape)} is not defined")
    copied = [shape[i] if extent == 0 else extent for i, extent in enumerate(target)]
    if target[0] == -1 or (target[0] != 0 and target[0] in conversion.batches):
        copied[0] = 1
    features = prod(extent for extent in copied if extent != -1)
    if copied.count(-1) > 1 or not features or copied[0] != 1:
        raise _not_batch(conversion, target, shape)
    if -1 in copied:
        copied[copied.index(-1)] = x.type.size // features
    if prod(copied) != x.type.size:
        raise _not_batch(conversion, target, shape)
    return tuple(copied)


def _not_batch(
    conversion: Conversion, target: tuple[int, ...], shape: tuple[int, ...]
) -> Rejection:
    samples = "N" if not conversion.single else "1"
    text = f"to {list(target)} from [{','.join([samples, *map(str, shape[1:])])}]"
    return conversion.reject_batch(text)


@converts("Flatten")
def flatten(conversion: Conversion) -> Result:
    """All axes from `axis` on become one."""
    x = conversion.value(0)
    shape = x.type.shape
    axis = conversion.integer("axis", 1)
    axis = len(shape) if axis == len(shape) else normal_axis(conversion, axis, len(shape))
    if prod(shape[:axis]) != 1 or (axis != 1 and not conversion.single):
        raise conversion.reject_batch(f"from axis {axis}")
    return reshaped(conversion, x, (1, prod(shape[axis:])))


@converts("Transpose", constraints=(batch_stays_first,))
def transpose(conversion: Conversion) -> Value:
    """Axes in another order."""
    perm = conversion.ints("perm") or tuple(reversed(range(conversion.type(0).rank)))
    return conversion.emit(Transpose(perm), conversion.value(0))


@converts("Squeeze")
def squeeze(conversion: Conversion) -> Result:
    """Axes of extent 1 vanish."""
    x = conversion.value(0)
    axes = given_axes(conversion)
    if axes is None:
        axes = [axis for axis, extent in enumerate(x.type.shape) if extent == 1]
        axes = axes if conversion.single else axes[1:]
    gone = normal_axes(conversion, axes, x.type.rank)
    if 0 in gone:
        raise conversion.reject_batch("of axis 0")
    if any(x.type.shape[axis] != 1 for axis in gone):
        raise Rejection("IMC0209", f"Squeeze of axes {list(gone)} of {list(x.type.shape)}")
    kept = tuple(extent for axis, extent in enumerate(x.type.shape) if axis not in gone)
    return reshaped(conversion, x, kept)


@converts("Unsqueeze")
def unsqueeze(conversion: Conversion) -> Result:
    """New axes of extent 1."""
    x = conversion.value(0)
    axes = given_axes(conversion) or []
    new = normal_axes(conversion, axes, x.type.rank + len(axes))
    if 0 in new and not conversion.single:
        raise conversion.reject_batch("at axis 0")
    rest = iter(x.type.shape)
    return reshaped(
        conversion,
        x,
        tuple(1 if axis in new else next(rest) for axis in range(x.type.rank + len(new))),
    )


@converts("Concat")
def concat(conversion: Conversion) -> Value:
    """Tensors one after the other."""
    values = [conversion.value(index) for index in range(len(conversion.operands))]
    rank = values[0].type.rank
    axis = normal_axis(conversion, conversion.integer("axis", 0), rank)
    if axis == 0:
        raise conversion.reject_batch("along axis 0")
    for value in values:
        if conversion.builder.is_constant(value) and value.type.shape[:1] != (1,):
            raise conversion.reject_batch("with a constant for each sample")
    return conversion.emit(Concat(axis), *values)


def given_axes(conversion: Conversion) -> list[int] | None:
    """Axes, which became an operand in operator set 13; None if they are not given."""
    by_attribute = conversion.ints("axes")
    if conversion.has(1):
        return list(conversion.integers(1, "axes"))
    return None if by_attribute is None else list(by_attribute)


def reshaped(conversion: Conversion, x: Value, shape: tuple[int, ...]) -> Value:
    """The value under another shape, if it differs."""
    return x if shape == x.type.shape else conversion.emit(Reshape(shape), x)


# -- the same on constants ---------------------------------------------------------------------


@folds("Reshape")
def fold_reshape(conversion: Conversion) -> Array:
    """Any target shape."""
    array = conversion.array(0, "data")
    return array.reshape(whole_target(conversion, array.shape))


def whole_target(conversion: Conversion, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that operand 1 means for a tensor of another shape."""
    target = conversion.integers(1, "shape")
    literal_zero = bool(conversion.integer("allowzero", 0))
    text = f"Reshape of {list(shape)} to {list(target)}"
    if not literal_zero and any(e == 0 for e in target[len(shape) :]):
        raise Rejection("IMC0209", text)
    copied = [shape[i] if e == 0 and not literal_zero else e for i, e in enumerate(target)]
    size, known = prod(shape), prod(extent for extent in copied if extent != -1)
    fits = copied.count(-1) < 2 and min([0, *copied]) >= -1
    if not fits or (size % known if -1 in copied and known else size != known):
        raise Rejection("IMC0209", text)
    rest = size // known if known else 0
    return tuple(rest if extent == -1 else extent for extent in copied)


@folds("Flatten")
def fold_flatten(conversion: Conversion) -> Array:
    """Two axes."""
    array = conversion.array(0, "data")
    axis = conversion.integer("axis", 1)
    axis = axis if axis == array.ndim else normal_axis(conversion, axis, array.ndim)
    return array.reshape(prod(array.shape[:axis]), prod(array.shape[axis:]))


@folds("Transpose")
def fold_transpose(conversion: Conversion) -> Array:
    """Any permutation."""
    array = conversion.array(0, "data")
    perm = conversion.ints("perm") or tuple(reversed(range(array.ndim)))
    if sorted(perm) != list(range(array.ndim)):
        raise Rejection("IMC0209", f"perm {list(perm)} does not order {array.ndim} axes")
    return array.transpose(perm)


@folds("Squeeze")
def fold_squeeze(conversion: Conversion) -> Array:
    """Any axes of extent 1."""
    array, axes = conversion.array(0, "data"), given_axes(conversion)
    if axes is None:
        return np.squeeze(array)
    gone = normal_axes(conversion, axes, array.ndim)
    if any(array.shape[axis] != 1 for axis in gone):
        raise Rejection("IMC0209", f"Squeeze of axes {list(gone)} of {list(array.shape)}")
    return np.squeeze(array, gone)


@folds("Unsqueeze")
def fold_unsqueeze(conversion: Conversion) -> Array:
    """Any new axes."""
    array, axes = conversion.array(0, "data"), given_axes(conversion) or []
    return np.expand_dims(array, normal_axes(conversion, axes, array.ndim + len(axes)))


@folds("Concat")
def fold_concat(conversion: Conversion) -> Array:
    """Along any axis."""
    arrays = conversion.arrays()
    axis = normal_axis(conversion, conversion.integer("axis", 0), arrays[0].ndim)
    rests = {(*array.shape[:axis], *array.shape[axis + 1 :]) for array in arrays}
    if len(rests) > 1 or len({(array.ndim, array.dtype) for array in arrays}) > 1:
        raise Rejection("IMC0209", "Concat of constants that do not fit together")
    whole = sum(array.size for array in arrays)
    expect_fold_size(conversion, (whole,), arrays[0].itemsize)
    return np.concatenate(arrays, axis)
