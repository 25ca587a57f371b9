"""Weights of which only the shape is known: arrays whose elements are all in one place.

`imcc check` asks for shapes, and weights are most of a model. A sketch is a read-only array with
strides of zero: it takes no memory, and work that is the same for all elements can be done once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Sketch(np.ndarray[Any, Any]):
    """An array that stands for another one of its shape; `freeze` does not copy it."""


def sketch(value: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    """A sketch of this shape that repeats `value`."""
    return np.broadcast_to(value, tuple(shape)).view(Sketch)


def is_sketch(array: NDArray[Any]) -> bool:
    """Whether an array is a sketch, or a view of one."""
    return isinstance(array, Sketch) and 0 in array.strides


def thinned(array: NDArray[Any], kept: int | None = None) -> NDArray[Any]:
    """The array with extent 1 along axes of stride 0, `kept` excepted."""
    thin = tuple(
        slice(None) if stride or axis == kept else slice(0, 1)
        for axis, stride in enumerate(array.strides)
    )
    return np.asarray(array[thin])


def repeated(function: Callable[[NDArray[Any]], NDArray[Any]], array: NDArray[Any]) -> NDArray[Any]:
    """What a function makes of each element of an array; of a sketch it sees each only once."""
    if not is_sketch(array):
        return function(array)
    return sketch(function(thinned(array)), array.shape)
