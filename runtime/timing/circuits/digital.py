"""Digital arrays: one-bit products at the cells, and an adder tree for every output."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, log2

from .adders import Tree, accumulators, place_value_tree, plain_tree
from .estimate import Estimate, Part
from .technology import Technology

PRODUCTS, TREES, STEP_SUMS = "products", "adder trees", "step sums"


@dataclass(frozen=True)
class DigitalArray:
    """A digital array of `rows` by `outputs` weights; `step_bits` input bits enter at a time."""

    rows: int
    outputs: int
    weight_bits: int = 8
    input_bits: int = 8
    step_bits: int = 1
    technology: Technology = field(default_factory=Technology)

    @property
    def steps(self) -> int:
        """Input steps of a product."""
        return ceil(self.input_bits / self.step_bits)

    def estimate(self) -> Estimate:
        """Energy, delay and area of every part."""
        tree = plain_tree(self.rows, self.weight_bits, self.technology)
        step = place_value_tree(self.step_bits, tree.result_bits, self.technology)
        trees = self.outputs * self.step_bits
        parts = [
            self._products(),
            tree.part(TREES, trees, self.technology),
            step.part(STEP_SUMS, self.outputs, self.technology),
        ]
        if self.steps > 1:
            parts.append(self._accumulators(step))
        return Estimate(tuple(parts), self.steps)

    def _products(self) -> Part:
        technology = self.technology
        gates = self.rows * self.outputs * self.weight_bits * self.step_bits
        energy = technology.energy_pj(gates * technology.multiplier_ff)
        return Part(PRODUCTS, energy, technology.nand_ns, gates * technology.multiplier_um2)

    def _accumulators(self, step: Tree) -> Part:
        bits = self.input_bits + ceil(log2(self.rows)) + self.weight_bits
        return accumulators(self.outputs, bits, step.result_bits, self.technology)
