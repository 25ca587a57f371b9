"""The pass `quantize`: a float graph becomes a graph on codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from imcc.isa.target import RequantMode

from ..errors import InputError, VerificationError
from ..ir import Array, Graph, Node, Stage
from ..quantize.calibration import Method
from ..quantize.quantize import Options, calibrate_activations, quantize_with
from ..quantize.state import float_nodes, holds_codes
from ..work import expect_live
from .base import Pass, PassContext


@dataclass(frozen=True)
class Quantize(Pass):
    """Quantizes weights per output channel and activations per tensor.

    `method` says how ranges come from calibration data: `min-max`, `percentile` (which keeps
    `percentile` percent) or `mse`; outputs of the network are never clipped. `requant` is the
    datapath of the output stage and `multiplier_bits` its width in mode `fixed`; by default both
    are those of the target. What is quantized already keeps its quantization: a graph that is
    wholly on codes stays as it is, of one that is quantized in part the float rest is calibrated.
    """

    name: ClassVar[str] = "quantize"

    weight_bits: int = 8
    activation_bits: int = 8
    method: Method = Method.PERCENTILE
    percentile: float = 99.99
    requant: RequantMode | None = None
    multiplier_bits: int | None = None

    def __post_init__(self) -> None:
        """Raise `ValueError` for values out of range."""
        self._options(PassContext())

    def run(self, graph: Graph, context: PassContext) -> Graph:
        """The graph on codes; a graph that is on codes already stays as it is, with a note."""
        if holds_codes(graph) and not float_nodes(graph):
            context.notes.append("quantize: the graph is quantized already and stays as it is")
            return graph
        options = self._options(context)
        if not context.activations:
            expect_live(graph)
            found = calibrate_activations(graph, _samples(context), options)
            context.activations.update(found)
        return quantize_with(graph, context.activations, options)

    def ensures(self, graph: Graph) -> None:
        """No operator that works on floats only is left."""
        left = [node.label for node in graph.nodes if not _is_on_codes(node)]
        if left:
            raise VerificationError(f"nodes that are not quantized: {', '.join(left)}")

    def _options(self, context: PassContext) -> Options:
        mode, bits = self.requant, self.multiplier_bits
        if context.target is not None:
            numerics = context.target.numerics
            mode = numerics.requant if mode is None else mode
            bits = numerics.multiplier_bits if bits is None else bits
        return Options(
            self.weight_bits,
            self.activation_bits,
            self.method,
            self.percentile,
            RequantMode.FLOAT24 if mode is None else mode,
            24 if bits is None else bits,
        )


def _is_on_codes(node: Node) -> bool:
    return bool(node.op.stages & (Stage.QUANTIZED | Stage.TILED))


def _samples(context: PassContext) -> Iterator[Mapping[str, Array]]:
    """The calibration data, from the first sample that is asked for."""
    if context.samples is None:
        raise InputError("pass 'quantize' needs calibration data; give some with --calib")
    yield from context.samples()
