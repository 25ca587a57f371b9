"""The pass `adopt-quantization`: models that are quantized keep their quantization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from imcc.isa.target import RequantMode

from ..ir import Graph
from ..quantize.adopt import Datapath, adopt
from .base import Pass, PassContext


@dataclass(frozen=True)
class AdoptQuantization(Pass):
    """Rewrites Dequantize, operator, Quantize to the operator on codes, with the model's scales.

    1. Products take the codes of their weights as they are, less their zero point, and of their
       bias; a Relu or Clip before the Quantize becomes clip bounds.
    2. Signed activations become unsigned: codes and zero points move by 128, which is exact. Sums
       and products of two tensors stay signed, because their float32 sums would round otherwise.
    3. Inputs and outputs that are codes stay codes for the host.
    4. Scales and offsets of channels between a product and a Quantize (batch normalization, Mul,
       Add) go into its output stage, and so does the sign of a BipolarQuant. Weights keep their
       codes; the bias counts as small a fraction of an accumulator as the thresholds need.
    5. An input that is scaled before its Quantize gets codes of its own, and a table follows,
       where that is exact. A product that ends in a real output and has at most 256 results gets
       one code for each.

    What is not between a Dequantize and a Quantize stays as it is. A graph without Quantize is
    left alone. `requant` and `multiplier_bits` are the datapath of the output stage; by default
    those of the target.
    """

    name: ClassVar[str] = "adopt-quantization"

    requant: RequantMode | None = None
    multiplier_bits: int | None = None

    def __post_init__(self) -> None:
        """Raise `ValueError` for values out of range."""
        if self.multiplier_bits is not None and not 8 <= self.multiplier_bits <= 24:
            raise ValueError(f"multiplier_bits is {self.multiplier_bits}; it must be in 8..24")

    def run(self, graph: Graph, context: PassContext) -> Graph:
        """The graph with what is quantized on codes."""
        mode, bits = self.requant, self.multiplier_bits
        if context.target is not None:
            numerics = context.target.numerics
            mode = numerics.requant if mode is None else mode
            bits = numerics.multiplier_bits if bits is None else bits
        mode = RequantMode.FLOAT24 if mode is None else mode
        return adopt(graph, Datapath(mode, 24 if bits is None else bits), context.notes)
