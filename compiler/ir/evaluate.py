"""Reference evaluation of a graph in NumPy, float or integer, on a batch of samples.

An array holds the samples of a value one after the other along axis 0: a value of type
``[1, ...]`` has an array ``[B, ...]``, one of type ``[k, ...]`` has ``[B * k, ...]``, and a
scalar has ``[B]``. Values that depend on no input have the array of their type, without B. In a
graph without batch axis all arrays have the shapes of their types.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

import numpy as np

from ..errors import InputError, VerificationError
from .batch import keeps_batch
from .graph import Graph, Node, Value
from .op import Array
from .types import TensorType


def evaluate(
    graph: Graph, inputs: Mapping[str, Array], keep: Collection[str] = ()
) -> dict[str, Array]:
    """Outputs by their names, and the values named in `keep`, for a batch of samples.

    `inputs` has one array ``[B, ...]`` for each graph input, or one of exactly the shape of its
    type if the graph is not batched. An output that depends on no input
    is repeated for each sample. Raises `InputError` where names, shapes or dtypes do not fit.
    """
    run = _Run(graph, inputs)
    wanted = {value.name for value in graph.outputs} | set(keep)
    found = {name: array for name, array in run.values.items() if name in wanted}
    for node, results in run:
        for value, array in zip(node.results, results, strict=True):
            if value.name in wanted:
                found[value.name] = array
    _check_kept(graph, keep, found)
    outputs = {
        name: run.repeated(value, found[value.name])
        for name, value in zip(graph.output_names, graph.outputs, strict=True)
    }
    return {name: found[name] for name in keep} | outputs


def evaluate_all(
    graph: Graph, inputs: Mapping[str, Array]
) -> Iterator[tuple[Node, tuple[Array, ...]]]:
    """Each node with its results, in order; an array is freed after its last use.

    Raises `InputError` where names, shapes or dtypes of `inputs` do not fit.
    """
    yield from _Run(graph, inputs)


class _Run:
    """The values of one evaluation that are still needed."""

    def __init__(self, graph: Graph, inputs: Mapping[str, Array]) -> None:
        self._graph = graph
        self._batch = _batch_size(graph, inputs)
        self._fixed = set(graph.constants)
        self._uses = Counter(operand.name for node in graph.nodes for operand in node.operands)
        self.values: dict[str, Array] = {**graph.constants, **inputs}

    def __iter__(self) -> Iterator[tuple[Node, tuple[Array, ...]]]:
        for node in self._graph.nodes:
            results = self._evaluate(node)
            self.values.update(
                (value.name, array) for value, array in zip(node.results, results, strict=True)
            )
            self._free(node)
            yield node, results

    def repeated(self, value: Value, array: Array) -> Array:
        """The array with an entry a sample, also if the value depends on no input."""
        if value.name not in self._fixed or not self._graph.batched:
            return array
        return _joined([array] * self._batch)

    def _evaluate(self, node: Node) -> tuple[Array, ...]:
        arrays = [self.values[operand.name] for operand in node.operands]
        if not self._graph.batched:
            return _apply(node, arrays, 1)
        fixed = [operand.name in self._fixed for operand in node.operands]
        if all(fixed):
            self._fixed.update(result.name for result in node.results)
            return _apply(node, arrays, 1)
        if keeps_batch(node, self._fixed):
            return _apply(node, arrays, self._batch)
        return self._each_sample(node, arrays, fixed)

    def _each_sample(self, node: Node, arrays: list[Array], fixed: list[bool]) -> tuple[Array, ...]:
        samples = [
            [array] * self._batch if same else _split(array, operand.type)
            for array, operand, same in zip(arrays, node.operands, fixed, strict=True)
        ]
        results = [_apply(node, list(sample), 1) for sample in zip(*samples, strict=True)]
        return tuple(_joined(list(parts)) for parts in zip(*results, strict=True))

    def _free(self, node: Node) -> None:
        for operand in node.operands:
            self._uses[operand.name] -= 1
        for value in (*node.operands, *node.results):
            if self._uses[value.name] <= 0:
                self.values.pop(value.name, None)


def _split(array: Array, type_: TensorType) -> list[Array]:
    """The samples of an array, each in the shape of its type."""
    return list(array.reshape(-1, *type_.shape))


def _joined(samples: list[Array]) -> Array:
    """One array of several samples; the inverse of `_split`."""
    return np.concatenate([np.atleast_1d(sample) for sample in samples])


def _apply(node: Node, arrays: list[Array], batch: int) -> tuple[Array, ...]:
    results = node.op.evaluate(arrays, [operand.type for operand in node.operands])
    for value, array in zip(node.results, results, strict=True):
        shape = value.type.shape
        expected = (shape[0] * batch, *shape[1:]) if shape else ()
        if array.shape != expected or array.dtype != value.type.dtype.numpy:
            raise VerificationError(
                f"{node.label} (imcc.{node.op.name}): evaluation gave "
                f"{array.dtype}{list(array.shape)}, its type says "
                f"{value.type.dtype.numpy}{list(expected)}"
            )
    return tuple(results)


def _batch_size(graph: Graph, inputs: Mapping[str, Array]) -> int:
    _check_names(graph, inputs)
    if not graph.batched:
        for value in graph.inputs:
            _expect_shape(value, inputs[value.name])
        return 1
    sizes = {value.name: _samples(value, inputs[value.name]) for value in graph.inputs}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name!r}: {size}" for name, size in sizes.items())
        raise InputError(f"inputs must have the same number of samples, found {listed}")
    return next(iter(sizes.values()), 1)


def _check_names(graph: Graph, inputs: Mapping[str, Array]) -> None:
    expected = {value.name for value in graph.inputs}
    if expected == set(inputs):
        return
    raise InputError(
        f"graph {graph.name!r} has the inputs {sorted(expected)}, "
        f"missing: {sorted(expected - set(inputs))}, unknown: {sorted(set(inputs) - expected)}"
    )


def _expect_shape(value: Value, array: Array) -> None:
    _expect_dtype(value, array)
    if array.shape != value.type.shape:
        raise InputError(
            f"input {value.name!r} must have shape {list(value.type.shape)}, "
            f"found {list(array.shape)}"
        )


def _expect_dtype(value: Value, array: Array) -> None:
    dtype = value.type.dtype.numpy
    if array.dtype != dtype:
        raise InputError(f"input {value.name!r} must be {dtype}, found {array.dtype}")


def _samples(value: Value, array: Array) -> int:
    _expect_dtype(value, array)
    shape = value.type.shape
    if array.ndim != len(shape) or array.shape[1:] != shape[1:] or not len(array):
        expected = ", ".join(("B", *(str(extent) for extent in shape[1:])))
        raise InputError(
            f"input {value.name!r} must have shape [{expected}] with B >= 1 samples, "
            f"found {list(array.shape)}"
        )
    return len(array)


def _check_kept(graph: Graph, keep: Collection[str], found: Mapping[str, Array]) -> None:
    unknown = sorted(set(keep) - set(found))
    if unknown:
        raise InputError(f"graph {graph.name!r} has no values named {unknown}")
