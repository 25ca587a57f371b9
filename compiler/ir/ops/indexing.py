"""Elements by index: gathering, scattering, sorting.

Indices may be negative, counted from the end; such out of range raise `InputError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from ...errors import InputError
from ..op import Array, Op, OpError, Stage, WholeOp, op
from ..types import DType, TensorType
from .checks import expect_axis, expect_count, expect_integer, expect_number, expect_same
from .shape import expect_tensor_quantization


def _positions(indices: Array, extent: int, what: str) -> Array:
    """Indices counted from the front."""
    found = indices.astype(np.int64)
    if found.size and (found.min() < -extent or found.max() >= extent):
        raise InputError(f"{what} reaches outside of {extent} elements")
    return np.asarray(np.where(found < 0, found + extent, found))


def _along(indices: Array, axis: int) -> tuple[Array, ...]:
    """Coordinates of all elements of `indices`, those along `axis` replaced by their values."""
    places: list[Array] = list(np.indices(indices.shape, sparse=True))
    places[axis] = indices
    return tuple(places)


@op("gather", Stage.ANY)
class Gather(Op):
    """Slices of x along an axis, by indices of any shape, which takes the place of the axis.

    Samples stay apart where x has them and the axis is another, or where the indices have them
    and x is a table whose axis 0 they count along. Codes are gathered like other elements.
    """

    axis: int

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The shape with the axis replaced."""
        expect_count(operands, 2)
        x, indices = operands
        expect_integer(indices, "indices")
        expect_axis(self.axis, x.rank)
        expect_tensor_quantization(x)
        shape = (*x.shape[: self.axis], *indices.shape, *x.shape[self.axis + 1 :])
        return (x.with_shape(shape),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Samples are not chosen by index."""
        apart = self.axis > 0 or operands[1].shape[:1] == (1,)
        return "" if apart else "elements are gathered along axis 0, which would be the batch"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """As NumPy takes."""
        x, indices = inputs
        positions = _positions(indices, x.shape[self.axis], "gather")
        return (np.take(x, positions, axis=self.axis),)


@op("gather_elements", Stage.FLOAT)
class GatherElements(WholeOp):
    """For each index the element of x at its place, with the index in place of one coordinate."""

    axis: int

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The shape of the indices."""
        expect_count(operands, 2)
        x, indices = operands
        expect_integer(indices, "indices")
        expect_axis(self.axis, x.rank)
        _expect_within(indices, x, self.axis)
        return (x.with_shape(indices.shape),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Samples are not chosen among."""
        return "" if self.axis else "axis 0 is the batch, it is indexed here"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """By coordinates."""
        x, indices = inputs
        positions = _positions(indices, x.shape[self.axis], "gather_elements")
        return (x[_along(positions, self.axis)],)


@op("gather_nd", Stage.FLOAT)
class GatherNd(WholeOp):
    """Slices of x by coordinates, the last axis of the indices, within `shared` leading axes."""

    shared: int = 0

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape of the indices without their last axis, then what coordinates leave of x."""
        expect_count(operands, 2)
        x, indices = operands
        expect_integer(indices, "indices")
        known = self.shared + (indices.shape[-1] if indices.rank else 0)
        leading = (x.shape[: self.shared], indices.shape[: self.shared])
        if not indices.rank > self.shared or known > x.rank or leading[0] != leading[1]:
            raise OpError(f"indices {list(indices.shape)} do not fit {list(x.shape)}")
        return (x.with_shape((*indices.shape[:-1], *x.shape[known:])),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Axis 0 must be shared."""
        return "" if self.shared else "axis 0 is the batch, it is indexed here"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """By coordinates, after those of the shared axes."""
        x, indices = inputs
        places = list(np.indices(indices.shape[:-1], sparse=True))[: self.shared]
        for offset in range(indices.shape[-1]):
            extent = x.shape[self.shared + offset]
            places.append(_positions(indices[..., offset], extent, "gather_nd"))
        return (x[tuple(places)].copy(),)


class Merge(StrEnum):
    """What happens to the element that is there."""

    NONE = "none"
    ADD = "add"
    MUL = "mul"
    MIN = "min"
    MAX = "max"


_MERGES = {
    Merge.ADD: np.add,
    Merge.MUL: np.multiply,
    Merge.MIN: np.minimum,
    Merge.MAX: np.maximum,
}


def _merged(x: Array, places: tuple[Array, ...], updates: Array, merge: Merge) -> Array:
    result = x.copy()
    if merge is Merge.NONE:
        result[places] = updates
    else:
        _MERGES[merge].at(result, places, updates)
    return result


@op("scatter_elements", Stage.FLOAT)
class ScatterElements(WholeOp):
    """x with updates at their places, with an index in place of one coordinate."""

    axis: int
    merge: Merge = Merge.NONE

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of x."""
        expect_count(operands, 3)
        x, indices, updates = operands
        expect_same((x, updates))
        expect_integer(indices, "indices")
        expect_axis(self.axis, x.rank)
        _expect_within(indices, x, self.axis)
        if indices.shape != updates.shape:
            raise OpError(f"{list(indices.shape)} indices for {list(updates.shape)} updates")
        return (x,)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Samples are not chosen among."""
        return "" if self.axis else "axis 0 is the batch, it is indexed here"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """By coordinates."""
        x, indices, updates = inputs
        positions = _positions(indices, x.shape[self.axis], "scatter_elements")
        return (_merged(x, _along(positions, self.axis), updates, self.merge),)


@op("scatter_nd", Stage.FLOAT)
class ScatterNd(WholeOp):
    """x with slices updated at coordinates, the last axis of the indices."""

    merge: Merge = Merge.NONE

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of x."""
        expect_count(operands, 3)
        x, indices, updates = operands
        expect_same((x, updates))
        expect_integer(indices, "indices")
        known = indices.shape[-1] if indices.rank else x.rank + 1
        if known > x.rank or updates.shape != (*indices.shape[:-1], *x.shape[known:]):
            raise OpError(f"indices {list(indices.shape)} do not fit {list(x.shape)}")
        return (x,)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """By coordinates."""
        x, indices, updates = inputs
        extents = enumerate(x.shape[: indices.shape[-1]])
        places = tuple(_positions(indices[..., i], extent, "scatter_nd") for i, extent in extents)
        return (_merged(x, places, updates, self.merge),)


def _expect_within(indices: TensorType, x: TensorType, axis: int) -> None:
    rest = [a for a in range(x.rank) if a != axis]
    if indices.rank != x.rank or any(indices.shape[a] > x.shape[a] for a in rest):
        raise OpError(f"indices {list(indices.shape)} do not fit {list(x.shape)}")


@op("one_hot", Stage.FLOAT)
class OneHot(WholeOp):
    """A new axis of `depth` elements: the second value at the index, the first elsewhere.

    Operands: indices of any numeric type, values ``[2]``. Indices out of range have no place.
    """

    axis: int
    depth: int

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The shape with the new axis."""
        expect_count(operands, 2)
        indices, values = operands
        expect_number(operands[:1])
        expect_axis(self.axis, indices.rank + 1)
        if values.shape != (2,) or self.depth < 0:
            raise OpError(f"values have shape {list(values.shape)}, needed is [2]")
        shape = list(indices.shape)
        shape.insert(self.axis, self.depth)
        return (values.with_shape(tuple(shape)),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Samples are not chosen among."""
        return "" if self.axis else "axis 0 is the batch, it is indexed here"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Compare indices with all positions."""
        indices, values = np.expand_dims(inputs[0].astype(np.int64), self.axis), inputs[1]
        positions = np.arange(self.depth).reshape(-1, *([1] * (indices.ndim - 1 - self.axis)))
        found = np.where(indices < 0, indices + self.depth, indices) == positions
        return (np.where(found, values[1], values[0]),)


@op("top_k", Stage.FLOAT)
class TopK(WholeOp):
    """The k largest or smallest elements along an axis in order, and their indices.

    Of equal elements the first comes first.
    """

    k: int
    axis: int
    largest: bool = True

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """K elements along the axis, and indices in i64."""
        expect_count(operands, 1)
        expect_number(operands)
        x = operands[0]
        expect_axis(self.axis, x.rank)
        if not 0 <= self.k <= x.shape[self.axis]:
            raise OpError(f"k is {self.k}, axis {self.axis} has {x.shape[self.axis]} elements")
        shape = (*x.shape[: self.axis], self.k, *x.shape[self.axis + 1 :])
        return (x.with_shape(shape), TensorType(DType.I64, shape))

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Samples are not chosen among."""
        return "" if self.axis else "axis 0 is the batch, it is indexed here"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A stable sort; for the largest of the flipped axis, read from its end."""
        x = inputs[0]
        if self.largest:
            order = np.flip(np.flip(x, self.axis).argsort(self.axis, kind="stable"), self.axis)
            order = x.shape[self.axis] - 1 - order
        else:
            order = x.argsort(self.axis, kind="stable")
        first = np.take(order, np.arange(self.k), self.axis).astype(np.int64)
        return (np.take_along_axis(x, first, self.axis), first)


@op("triangle", Stage.FLOAT)
class Triangle(WholeOp):
    """The last two axes on and above diagonal `diagonal`, or on and below it; zero elsewhere."""

    diagonal: int
    upper: bool

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of x."""
        expect_count(operands, 1)
        expect_same(operands)
        if operands[0].rank < 2:
            raise OpError("operand 0 is no matrix")
        return (operands[0],)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Axis 0 is none of the last two."""
        return "" if operands[0].rank > 2 else "axis 0 is the batch, it counts rows here"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """A mask over the last two axes."""
        x = inputs[0]
        rows, columns = (np.arange(extent) for extent in x.shape[-2:])
        distance = columns - rows[:, None]
        kept = distance >= self.diagonal if self.upper else distance <= self.diagonal
        return (np.where(kept, x, x.dtype.type(0)),)


@op("reverse_sequence", Stage.FLOAT)
class ReverseSequence(WholeOp):
    """The first elements along `time_axis` in reverse; how many, operand 1 says by sequence."""

    time_axis: int
    sequence_axis: int

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of x."""
        expect_count(operands, 2)
        x, lengths = operands
        expect_integer(lengths, "lengths")
        if {self.time_axis, self.sequence_axis} != {0, 1} or x.rank < 2:
            raise OpError("time and sequences are axes 0 and 1")
        if lengths.shape != x.shape[self.sequence_axis :][:1]:
            raise OpError(f"lengths have shape {list(lengths.shape)}")
        return (x,)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """By coordinates along the time axis."""
        x, lengths = inputs
        time = np.arange(x.shape[self.time_axis])[:, None]
        order = np.where(time < lengths, lengths - 1 - time, time)
        if self.time_axis:
            order = order.T
        shaped = order.reshape(*order.shape, *([1] * (x.ndim - 2)))
        return (np.take_along_axis(x, np.broadcast_to(shaped, x.shape), self.time_axis),)
