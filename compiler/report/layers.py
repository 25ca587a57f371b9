"""The per-layer report of a compilation: what each layer takes on the chip."""

from __future__ import annotations

from dataclasses import dataclass

from ..driver import Compilation
from ..ir import Graph
from ..ir.ops.spill import Spill
from ..mapping import LayerSummary, summary
from ..mapping.bound_notes import ScheduleBounds
from ..mapping.reload import Reload, reload_of
from .host import HostShare, host_share


@dataclass(frozen=True)
class LayerRow:
    """One matrix product on the chip.

    `utilization` is the share of cells used in the arrays that it touches, `adc` the ADC's bits
    and step (``digital`` where columns are summed exactly). `windows` of a convolution are computed
    at once, along each spatial axis; it is empty for a matrix product.
    """

    layer: str
    weights: int
    windows: tuple[int, ...]
    arrays: int
    utilization: float
    row_blocks: int
    slices: int
    adc: str
    lossless: bool
    cores: int


@dataclass(frozen=True)
class Report:
    """All layers, and the totals of the chip; `bounds` where rows stream.

    `spilled_bytes` are those of results that wait in global memory for one input; with several
    `phases` as many inputs are there at a time. A core works on inputs of up to `lags` rounds ago.
    """

    target: str
    calibration: str
    layers: tuple[LayerRow, ...]
    arrays: int
    chip_arrays: int
    cores: int
    chip_cores: int
    instructions: int
    constant_bytes: int
    local_bytes: int
    host: HostShare
    reload: Reload
    spilled_bytes: int
    phases: int
    lags: int
    notes: tuple[str, ...]
    bounds: ScheduleBounds | None


def report(compilation: Compilation) -> Report:
    """Collect the figures of a compilation."""
    program, target = compilation.program, compilation.tiled.target
    layers = tuple(_row(layer) for layer in summary(compilation.tiled))
    used = {(matrix.core, tile.array) for matrix in program.matrices for tile in matrix.tiles}
    return Report(
        target=target.name,
        calibration=dict(program.notes)["calibration"],
        layers=layers,
        arrays=len(used),
        chip_arrays=target.chip.cores * target.core.arrays,
        cores=len(program.cores),
        chip_cores=target.chip.cores,
        instructions=sum(map(len, program.cores.values())),
        constant_bytes=len(program.constants),
        local_bytes=max(compilation.schedule.peak.values(), default=0),
        host=host_share(compilation),
        reload=reload_of(compilation.tiled),
        spilled_bytes=_spilled(compilation.schedule.graph),
        phases=program.phases,
        lags=program.lags,
        notes=compilation.notes,
        bounds=compilation.bounds,
    )


def _spilled(graph: Graph) -> int:
    types = [node.result.type for node in graph.nodes if isinstance(node.op, Spill)]
    return sum(type_.size * type_.dtype.numpy.itemsize for type_ in types)


def _row(layer: LayerSummary) -> LayerRow:
    steps = sorted(set(layer.adc_steps))
    adc = f"{layer.adc_bits} bit, step {'/'.join(map(str, steps))}"
    return LayerRow(
        layer=layer.label,
        weights=layer.weights,
        windows=layer.windows,
        arrays=layer.arrays,
        utilization=round(layer.utilization, 6),
        row_blocks=layer.row_blocks,
        slices=layer.slices,
        adc=adc if layer.adc_bits else "digital",
        lossless=layer.lossless,
        cores=layer.cores,
    )
