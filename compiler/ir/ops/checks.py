"""Checks that operators share: each raises `OpError` saying what was found and what is allowed."""

from __future__ import annotations

from collections.abc import Sequence

from ..op import OpError
from ..types import DType, TensorType


def expect_count(operands: Sequence[TensorType], least: int, most: int | None = None) -> None:
    """The number of operands lies between `least` and `most` (by default exactly `least`)."""
    most = least if most is None else most
    if not least <= len(operands) <= most:
        allowed = str(least) if least == most else f"{least} to {most}"
        raise OpError(f"takes {allowed} operands, got {len(operands)}")


def expect_float(operands: Sequence[TensorType]) -> None:
    """All operands are float32."""
    for index, type_ in enumerate(operands):
        if type_.dtype is not DType.F32:
            raise OpError(f"operand {index} is {type_.dtype}, only f32 is computed")


def expect_floating(operands: Sequence[TensorType]) -> None:
    """All operands are floats of one type."""
    expect_same(operands)
    if not operands[0].dtype.is_float:
        raise OpError(f"operand 0 is {operands[0].dtype}, needed is a float")


def expect_same(operands: Sequence[TensorType]) -> None:
    """All operands have one element type, and are numbers or truth values, not codes."""
    for index, type_ in enumerate(operands):
        if type_.dtype is not operands[0].dtype:
            raise OpError(f"operand {index} is {type_.dtype}, operand 0 is {operands[0].dtype}")
        if type_.quant is not None:
            raise OpError(f"operand {index} is codes; it must be dequantized first")


def expect_number(operands: Sequence[TensorType]) -> None:
    """All operands are numbers of one type."""
    expect_same(operands)
    if operands[0].dtype is DType.BOOL:
        raise OpError("operand 0 is truth values, needed are numbers")


def expect_integer(type_: TensorType, what: str) -> None:
    """The operand holds integers."""
    if type_.dtype.is_float or type_.dtype is DType.BOOL:
        raise OpError(f"{what} are {type_.dtype}, needed are integers")


def expect_axis(axis: int, rank: int) -> None:
    """The axis is counted from the front and exists."""
    if not 0 <= axis < rank:
        raise OpError(f"axis is {axis}, allowed are 0 to {rank - 1}")


def expect_spatial(type_: TensorType, rank: int | None = None) -> int:
    """The operand is ``[N, C, d1, ..., dn]`` with n from 1 to 3; returns n."""
    spatial = type_.rank - 2
    if not 1 <= spatial <= 3:
        raise OpError(
            f"operand 0 has shape {list(type_.shape)}, allowed are 1 to 3 spatial axes after "
            "batch and channels"
        )
    if rank is not None and rank != spatial:
        raise OpError(f"kernel has {rank} spatial axes, operand 0 has {spatial}")
    return spatial


def expect_vector(type_: TensorType, extent: int, what: str) -> None:
    """A constant such as a bias has shape ``[extent]``."""
    if type_.shape != (extent,):
        raise OpError(f"{what} has shape {list(type_.shape)}, needed is [{extent}]")


def broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether NumPy broadcasts a shape to the other without changing that one."""
    fits = zip(shape[::-1], to[::-1], strict=False)
    return len(shape) <= len(to) and all(own in (1, extent) for own, extent in fits)


def expect_lengths(attributes: dict[str, Sequence[object]], length: int) -> None:
    """Each of the named attributes has `length` elements."""
    for name, value in attributes.items():
        if len(value) != length:
            raise OpError(f"{name} has {len(value)} elements, needed are {length}")
