"""Parts put together: a run of rows of a tensor, from what its producers have made of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import TensorType

Span = tuple[int, int]  # first index, behind the last
Box = tuple[Span, ...]  # a span along each of some axes


@op("rows", Stage.TILED)
class Rows(Op):
    """The part `boxes[i]` of each operand i, at the place that begins at `places[i]`.

    Boxes and places have an entry for each of `axes`; along the others all is taken. It only
    moves codes: to where the rows are read, into one run of memory.
    """

    axes: tuple[int, ...]
    boxes: tuple[Box, ...]
    places: tuple[tuple[int, ...], ...]

    @classmethod
    def along(cls, axis: int, spans: Sequence[Span]) -> Rows:
        """Rows of each operand along one axis, one behind the other."""
        lengths = [stop - start for start, stop in spans]
        places = tuple((sum(lengths[:index]),) for index in range(len(lengths)))
        return cls((axis,), tuple((span,) for span in spans), places)

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The type of the operands, with the extents that all boxes have together."""
        counts = {len(operands), len(self.boxes), len(self.places)}
        if len(counts) > 1 or not operands:
            raise OpError(f"{len(operands)} operands for {len(self.boxes)} boxes")
        first = operands[0]
        if not all(0 < axis < first.rank for axis in self.axes):
            raise OpError(f"axes are {self.axes}; they must be in 1..{first.rank - 1}")
        for x, box in zip(operands, self.boxes, strict=True):
            for axis, (start, stop) in zip(self.axes, box, strict=True):
                if not 0 <= start < stop <= x.shape[axis]:
                    raise OpError(f"{start}..{stop} of {x.shape[axis]} along axis {axis}")
            ones = (1,) * len(self.axes)
            if self._with_extents(x, ones) != self._with_extents(first, ones):
                raise OpError(f"operands {first} and {x} differ along other axes")
        return (self._with_extents(first, self.extents),)

    @property
    def extents(self) -> tuple[int, ...]:
        """Extents of the result along the axes, which the boxes must fill."""
        ends = [
            tuple(at + stop - start for at, (start, stop) in zip(place, box, strict=True))
            for place, box in zip(self.places, self.boxes, strict=True)
        ]
        extents = tuple(max(axis) for axis in zip(*ends, strict=True))
        if sum(map(_volume, self.boxes)) != prod(extents):
            raise OpError(f"the boxes do not fill {extents}")
        return extents

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """The boxes at their places."""
        shape = (len(inputs[0]), *self.infer(types)[0].shape[1:])
        result = np.empty(shape, inputs[0].dtype)
        for index, x in enumerate(inputs):
            result[self._index(x.ndim, self.targets(index))] = x[
                self._index(x.ndim, self.boxes[index])
            ]
        return (result,)

    def targets(self, index: int) -> Box:
        """Where in the result operand `index` goes."""
        sizes = (stop - start for start, stop in self.boxes[index])
        return tuple((at, at + size) for at, size in zip(self.places[index], sizes, strict=True))

    def narrowed(self, index: int) -> Iterator[tuple[int, Span, Span]]:
        """For operand `index` each axis, what is taken along it, and where that goes."""
        yield from zip(self.axes, self.boxes[index], self.targets(index), strict=True)

    def _index(self, rank: int, box: Box) -> tuple[slice, ...]:
        taken = dict(zip(self.axes, box, strict=True))
        return tuple(slice(*taken[axis]) if axis in taken else slice(None) for axis in range(rank))

    def _with_extents(self, type_: TensorType, extents: Sequence[int]) -> TensorType:
        shape = list(type_.shape)
        for axis, extent in zip(self.axes, extents, strict=True):
            shape[axis] = extent
        return replace(type_, shape=tuple(shape))


def _volume(box: Box) -> int:
    return prod(stop - start for start, stop in box)
