"""Every value of the network, layer by layer: machine, tiled graph, quantized graph, floats."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from imcc.runtime import Machine, Probe

from ..driver import Compilation
from ..ir import Array, Graph, evaluate_all
from ..ir.requant import dequantize
from ..threads import one_blas_thread, thread_count
from .compare import Noise, Tally


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
    """Add one batch: every value on codes is compared with its equals."""
    for node in compilation.tiled.graph.nodes:
        name = node.result.name
        if node.result.type.quant is None:
            continue
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
    for node in compilation.tiled.graph.nodes:
        name, quant = node.result.name, node.result.type.quant
        if quant is not None and name in exact:
            tallies.noise.setdefault(name, Noise()).add(exact[name], dequantize(tiled[name], quant))


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
    """Every value as the machine holds it; fits only the very program of `compilation`."""
    probes = {p.value: Probe(p.core, p.pc, p.stream) for p in compilation.probes}
    return machine.probe(batch, probes)


def labels(graph: Graph) -> dict[str, str]:
    """The ONNX nodes by value name, in order."""
    return {node.result.name: node.label for node in graph.nodes}


def layer_checks(compilation: Compilation, tallies: LayerTallies) -> tuple[LayerCheck, ...]:
    """One row a node."""
    return tuple(
        LayerCheck(
            node.label,
            node.op.name,
            tallies.tiled.elements[node.result.name],
            tallies.machine.differences.get(node.result.name, 0),
            tallies.tiled.differences[node.result.name],
            tallies.noise[node.result.name].decibels if node.result.name in tallies.noise else None,
        )
        for node in compilation.tiled.graph.nodes
        if node.result.name in tallies.tiled.elements
    )
