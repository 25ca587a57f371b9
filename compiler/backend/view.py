"""Views: where the elements of a tensor are, axis by axis, and the streams that walk them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from imcc.isa import ElementType, Space, StreamState, Walk
from imcc.isa.instructions import STREAM_AXES

Axis = tuple[int, int]  # count, stride in bytes
_LONGEST = 1 << 20  # field `count` of instruction `dim` has 20 bits


class View(NamedTuple):
    """A strided tensor in one memory. Axis 0 is the batch axis: count 1, not stored."""

    space: Space
    element: ElementType
    base: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def narrow(self, axis: int, start: int, count: int, step: int = 1) -> View:
        """The part with `count` indices of `axis` from `start`, `step` apart."""
        shape, strides = list(self.shape), list(self.strides)
        base = self.base + start * strides[axis]
        shape[axis], strides[axis] = count, strides[axis] * step
        return View(self.space, self.element, base, tuple(shape), tuple(strides))

    def unfold(self, axis: int, outer: Axis, inner: Axis) -> View:
        """Two axes in the place of one, each a count and a step in indices of the old axis."""
        stride = self.strides[axis]
        counts, steps = zip(outer, inner, strict=True)
        return self._replace(
            shape=(*self.shape[:axis], *counts, *self.shape[axis + 1 :]),
            strides=(
                *self.strides[:axis],
                *(step * stride for step in steps),
                *self.strides[axis + 1 :],
            ),
        )

    def permute(self, order: Sequence[int]) -> View:
        """The axes in another order."""
        return self._replace(
            shape=tuple(self.shape[axis] for axis in order),
            strides=tuple(self.strides[axis] for axis in order),
        )

    def broadcast(self, shape: tuple[int, ...]) -> View:
        """The view repeated to a shape, as NumPy broadcasts."""
        missing = len(shape) - len(self.shape)
        own_shape = (1,) * missing + self.shape
        own_strides = (0,) * missing + self.strides
        strides = tuple(
            0 if extent == 1 and wanted != 1 else stride
            for extent, stride, wanted in zip(own_shape, own_strides, shape, strict=True)
        )
        return self._replace(shape=shape, strides=strides)

    def axes(self, order: Iterable[int]) -> tuple[Axis, ...]:
        """(count, stride) of the given axes."""
        return tuple([(self.shape[axis], self.strides[axis]) for axis in order])

    def stream(self, order: Iterable[int]) -> StreamState:
        """The stream over all elements, in this order of axes."""
        walk = _walk_of(self.space, self.element, self.shape, self.strides, tuple(order))
        return StreamState.begun(walk, self.base)


def walkable(order: Sequence[int], *views: View) -> Iterator[tuple[View, ...]]:
    """Parts of views of one shape, so small that streams can walk them in this order of axes.

    Axes of the least extents are taken apart, until six are left.
    """
    if all(_is_walkable(view.shape, view.strides, tuple(order)) for view in views):
        yield views
        return
    shape = views[0].shape
    shortest = min((axis for axis in order if shape[axis] > 1), key=lambda axis: shape[axis])
    for index in range(shape[shortest]):
        yield from walkable(order, *(view.narrow(shortest, index, 1) for view in views))


@lru_cache(1 << 16)
def _is_walkable(shape: tuple[int, ...], strides: tuple[int, ...], order: tuple[int, ...]) -> bool:
    axes = compact((shape[axis], strides[axis]) for axis in order)
    return len(axes) <= STREAM_AXES


def memory_order(rank: int) -> tuple[int, ...]:
    """Axes from slowest to fastest as tensors lie in local memory: channels last."""
    return (*range(2, rank), 1) if rank > 1 else ()


def logical_order(rank: int) -> tuple[int, ...]:
    """Axes in the order of the ONNX tensor, without the batch axis."""
    return tuple(range(1, rank))


def compact(axes: Iterable[Axis]) -> tuple[Axis, ...]:
    """The same walk in as few axes as possible: no axis of count 1, none that continues another."""
    kept: list[Axis] = []
    for count, stride in axes:
        if count == 1:
            continue
        if kept and kept[-1][1] == count * stride:
            kept[-1] = (kept[-1][0] * count, stride)
        else:
            kept.append((count, stride))
    return tuple(part for axis in kept for part in _countable(*axis))


def is_countable(count: int) -> bool:
    """Whether instructions can walk so many elements that follow each other."""
    return all(part < _LONGEST for part, _ in _countable(count, 1))


def _countable(count: int, stride: int) -> tuple[Axis, ...]:
    """An axis that an instruction can count along, as two axes where it is too long for one."""
    if count < _LONGEST:
        return ((count, stride),)
    least = -(-count // (_LONGEST - 1))
    outer = next((n for n in range(least, _LONGEST) if count % n == 0), count)
    inner = count // outer
    return ((outer, inner * stride), (inner, stride))


def stream(
    space: Space,
    element: ElementType,
    base: int,
    outer: Iterable[Axis],
    inner: Iterable[Axis] = (),
) -> StreamState:
    """A stream over `outer` then `inner` axes; the inner ones are kept apart and come last."""
    return StreamState.begun(_walk(space, element, tuple(outer), tuple(inner)), base)


@lru_cache(1 << 16)
def _walk(
    space: Space, element: ElementType, outer: tuple[Axis, ...], inner: tuple[Axis, ...]
) -> Walk:
    """The walk of a stream; the parts of tensors are walked in few ways."""
    axes = compact(outer) + compact(inner)
    if len(axes) > STREAM_AXES:
        raise ValueError(f"a walk over {len(axes)} axes does not fit a stream of {STREAM_AXES}")
    free = STREAM_AXES - len(axes)
    counts = (1,) * free + tuple(count for count, _ in axes)
    return Walk.of(space, element, counts, (0,) * free + tuple(stride for _, stride in axes))


@lru_cache(1 << 16)
def _walk_of(
    space: Space,
    element: ElementType,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    order: tuple[int, ...],
) -> Walk:
    """The walk of a stream over a view, in an order of its axes."""
    return _walk(space, element, tuple((shape[axis], strides[axis]) for axis in order), ())


def alike(a: View, b: View, inner: int) -> tuple[StreamState, StreamState, int]:
    """Streams over two views of one shape with the same counts on every axis.

    The last `inner` axes of the views are kept apart; the third result says how many axes of the
    streams they become. Raises `ValueError` where six axes do not do.
    """
    split = len(a.shape) - inner
    walk = list(zip(a.shape, a.strides, b.strides, strict=True))
    outer, last = _compact_pair(walk[:split]), _compact_pair(walk[split:])
    axes = (*outer, *last)
    if len(axes) > STREAM_AXES:
        raise ValueError(f"a walk over {len(axes)} axes does not fit a stream of {STREAM_AXES}")
    free = STREAM_AXES - len(axes)
    counts = (1,) * free + tuple(count for count, _, _ in axes)
    first, second = ((0,) * free + tuple(axis[side] for axis in axes) for side in (1, 2))
    return (
        StreamState(a.space, a.element, a.base, counts, first),
        StreamState(b.space, b.element, b.base, counts, second),
        len(last),
    )


def _compact_pair(axes: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """`compact` for two walks at once: (count, stride of one, stride of the other)."""
    kept: list[tuple[int, int, int]] = []
    for count, one, other in axes:
        if count == 1:
            continue
        joins = kept and kept[-1][1:] == (count * one, count * other)
        if joins and kept[-1][0] * count < _LONGEST:
            kept[-1] = (kept[-1][0] * count, one, other)
        else:
            kept.append((count, one, other))
    return kept
