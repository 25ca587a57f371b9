"""Calibration data in the forms that users have it, as mini-batches for a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Protocol, runtime_checkable

import numpy as np

from ..data import fit, random_samples
from ..errors import InputError
from ..ir import Array, Graph, Value

BATCH = 32


@runtime_checkable
class Reader(Protocol):
    """A data reader such as onnxruntime's CalibrationDataReader: None ends the data."""

    def get_next(self) -> Mapping[str, Array] | None:
        """The next sample or mini-batch by input name."""


Data = Array | Mapping[str, Array] | Iterable[Mapping[str, Array]] | Reader


def sample_batches(
    data: Data, inputs: Sequence[Value], size: int = BATCH
) -> Iterator[dict[str, Array]]:
    """Mini-batches ``{input name: array [b, ...]}`` with ``b <= size``, in order.

    `data` is one array (for the only input), arrays by input name, an iterable of such
    mappings, or a reader. Raises `InputError` where shapes or names do not fit the inputs.
    """
    for arrays in _mappings(data, inputs):
        fitted = _fitted(arrays, inputs)
        count = min(len(array) for array in fitted.values())
        for start in range(0, count, size):
            yield {name: array[start : start + size] for name, array in fitted.items()}


def random_batches(graph: Graph, seed: int, count: int) -> Callable[[], Iterator[dict[str, Array]]]:
    """Seeded normal samples for a graph: right for cost, not for accuracy."""
    samples = random_samples(graph.inputs, seed, count)
    return lambda: sample_batches(samples.inputs, graph.inputs)


def _mappings(data: Data, inputs: Sequence[Value]) -> Iterator[Mapping[str, Array]]:
    if isinstance(data, np.ndarray):
        if len(inputs) != 1:
            raise InputError(f"the network has {len(inputs)} inputs; give an array for each name")
        return iter([{inputs[0].name: data}])
    if isinstance(data, Mapping):
        return iter([data])
    if isinstance(data, Reader):
        return iter(data.get_next, None)
    return islice(data, None)


def _fitted(arrays: Mapping[str, Array], inputs: Sequence[Value]) -> dict[str, Array]:
    missing = [value.name for value in inputs if value.name not in arrays]
    if missing:
        raise InputError(
            f"the calibration data has no array for input {', '.join(missing)}; "
            f"it has {', '.join(arrays) or 'nothing'}"
        )
    return {v.name: fit(np.asarray(arrays[v.name]), v, "calibration") for v in inputs}
