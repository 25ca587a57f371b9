"""Every value of the network, layer by layer: machine, tiled graph, quantized graph, floats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from imcc.runtime import Machine, Probe

from ..backend import ValueProbe
from ..driver import Compilation
from ..ir import Array, Graph, Value, evaluate_all
from ..ir.requant import dequantize
from ..threads import one_blas_thread, thread_count
from .compare import Noise, Tally
from .floats import sample


@dataclass(frozen=True)
class LayerCheck:
    """One node of the tiled graph, with differences by value.

    `machine` counts those from the tiled graph, `tiled` those of the tiled from the quantized
    graph. `sqnr` is in dB against the float network, where it has the value.
    """

    layer: str
    op: str
    elements: int
    machine: int
    tiled: int
    sqnr: float | None


@dataclass
class LayerTallies:
    """What is counted for all values over all batches."""

    machine: Tally = field(default_factory=Tally)
    tiled: Tally = field(default_factory=Tally)
    noise: dict[str, Noise] = field(default_factory=dict)


def compare_layers(
    compilation: Compilation,
    machine: Mapping[str, Array],
    tiled: Mapping[str, Array],
    quantized: Mapping[str, Array],
    tallies: LayerTallies,
) -> None:
    """Add one batch: every value on codes is compared with its equals.

    The quantized graph has no parts of products that were cut, but their join.
    """
    for value in _codes(compilation.tiled.graph):
        name = value.name
        if name in quantized:
            tallies.tiled.add(name, tiled[name], quantized[name])
        if name in machine:
            tallies.machine.add(name, machine[name], tiled[name])


def add_noise(
    compilation: Compilation,
    exact: Mapping[str, Array],
    tiled: Mapping[str, Array],
    tallies: LayerTallies,
) -> None:
    """Add one batch: values on codes against the same values of the float network."""
    for value in _codes(compilation.tiled.graph):
        name, quant = value.name, value.type.quant
        if quant is not None and name in exact:
            noise = tallies.noise.setdefault(name, Noise())
            noise.add(exact[name].reshape(tiled[name].shape), dequantize(tiled[name], quant))


def _codes(graph: Graph) -> Iterator[Value]:
    """The computed values on codes, in order."""
    for node in graph.nodes:
        yield from (value for value in node.results if value.type.quant is not None)


def values(graph: Graph, batch: Mapping[str, Array]) -> dict[str, Array]:
    """Every computed value by its name in the graph; a share of the batch on each thread."""
    count = len(next(iter(batch.values())))
    size = -(-count // min(thread_count(), count))
    parts = [
        {name: array[start : start + size] for name, array in batch.items()}
        for start in range(0, count, size)
    ]
    with one_blas_thread(), ThreadPoolExecutor(len(parts)) as pool:
        found = list(pool.map(lambda part: _values(graph, part), parts))
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def _values(graph: Graph, batch: Mapping[str, Array]) -> dict[str, Array]:
    """Values [b, ...]; those of a graph without batch axis one sample after the other."""
    if not graph.batched:
        count = len(next(iter(batch.values())))
        parts = [_computed(graph, sample(graph, batch, index)) for index in range(count)]
        return {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    return _computed(graph, batch)


def _computed(graph: Graph, batch: Mapping[str, Array]) -> dict[str, Array]:
    return {
        value.name: array
        for node, results in evaluate_all(graph, batch)
        for value, array in zip(node.results, results, strict=True)
    }


def outputs(graph: Graph, found: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs among all values, by the names that users know."""
    return {
        name: found[value.name]
        for name, value in zip(graph.output_names, graph.outputs, strict=True)
    }


def probed(
    compilation: Compilation, machine: Machine, batch: Mapping[str, Array]
) -> dict[str, Array]:
    """Every value as the machine holds it; fits only the very program of `compilation`.

    Values of which the host alone holds more than rows at a time are left out.
    """
    places = {str(number): place for number, place in enumerate(compilation.probes)}
    probes = {key: Probe(p.core, p.pc, p.stream) for key, p in places.items()}
    parts: dict[str, list[tuple[ValueProbe, Array]]] = {}
    for key, array in machine.probe(batch, probes).items():
        parts.setdefault(places[key].value, []).append((places[key], array))
    return {name: _joined(found) for name, found in parts.items()}


def _joined(parts: list[tuple[ValueProbe, Array]]) -> Array:
    """A value from its parts."""
    arrays = [array.reshape(len(array), *probe.shape[1:]) for probe, array in parts]
    if len(arrays) == 1:
        return arrays[0]
    shape = list(arrays[0].shape)
    for probe, array in zip((probe for probe, _ in parts), arrays, strict=True):
        for axis, start in zip(probe.axes, probe.starts, strict=True):
            shape[axis] = max(shape[axis], start + array.shape[axis])
    whole = np.empty(shape, arrays[0].dtype)
    for (probe, _), array in zip(parts, arrays, strict=True):
        index = [slice(None)] * whole.ndim
        for axis, start in zip(probe.axes, probe.starts, strict=True):
            index[axis] = slice(start, start + array.shape[axis])
        whole[tuple(index)] = array
    return whole


def labels(graph: Graph) -> dict[str, str]:
    """The ONNX nodes by value name, in order."""
    return {value.name: node.label for node in graph.nodes for value in node.results}


def layer_checks(compilation: Compilation, tallies: LayerTallies) -> tuple[LayerCheck, ...]:
    """One row a value on codes."""
    return tuple(
        LayerCheck(
            node.label,
            node.op.name,
            tallies.tiled.elements[value.name],
            tallies.machine.differences.get(value.name, 0),
            tallies.tiled.differences[value.name],
            tallies.noise[value.name].decibels if value.name in tallies.noise else None,
        )
        for node in compilation.tiled.graph.nodes
        for value in node.results
        if value.name in tallies.tiled.elements
    )
