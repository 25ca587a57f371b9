"""Every value of the network, layer by layer: machine, tiled graph, quantized graph, floats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from imcc.runtime import Machine, Probe

from ..driver import Compilation
from ..ir import Array, Graph, evaluate
from ..ir.requant import dequantize
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
    machine: Machine,
    batch: Mapping[str, Array],
    tallies: LayerTallies,
    probed: bool,
    floats: bool,
) -> None:
    """Add one batch: every value of the tiled graph is compared with its equals.

    Machine values are read through probes, which fit only the very program of `compilation`.
    """
    names = codes_of(compilation.tiled.graph)
    tiled = evaluate(compilation.tiled.graph, batch, names)
    quantized = evaluate(compilation.quantized, batch, names)
    for name in names:
        tallies.tiled.add(name, tiled[name], quantized[name])
    if probed:
        probes = {p.value: Probe(p.core, p.pc, p.stream) for p in compilation.probes}
        for name, codes in machine.probe(batch, probes).items():
            tallies.machine.add(name, codes, tiled[name])
    if floats:
        _add_noise(compilation, batch, tiled, tallies)


def codes_of(graph: Graph) -> list[str]:
    """Names of the values of a graph that are codes."""
    return [n.result.name for n in graph.nodes if n.result.type.quant is not None]


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


def _add_noise(
    compilation: Compilation,
    batch: Mapping[str, Array],
    tiled: Mapping[str, Array],
    tallies: LayerTallies,
) -> None:
    imported = compilation.imported
    known = {n.result.name for n in imported.nodes}
    shared = [n.result for n in compilation.tiled.graph.nodes if n.result.name in known]
    names = [value.name for value in shared if value.type.quant is not None]
    exact = evaluate(imported, batch, names)
    for value in shared:
        if value.type.quant is not None:
            real = dequantize(tiled[value.name], value.type.quant)
            tallies.noise.setdefault(value.name, Noise()).add(exact[value.name], real)
