"""Ripple-carry adders: how many full adders and how slow.

Delays are those of the worst path: from input to sum in every level but the last, there from
input to carry, then along the carries.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

from .estimate import Part
from .technology import Technology

ACCUMULATORS = "accumulators"


@dataclass(frozen=True)
class Tree:
    """Full adders of one tree, bits of its result, and its delay."""

    full_adders: float = 0.0
    result_bits: int = 0
    ns: float = 0.0

    def part(self, name: str, count: int, technology: Technology) -> Part:
        """`count` of these trees side by side."""
        adders = self.full_adders * count
        return Part(
            name,
            technology.energy_pj(adders * technology.full_adder_ff),
            self.ns,
            adders * technology.full_adder_um2,
        )


def plain_tree(inputs: int, bits: int, technology: Technology) -> Tree:
    """Adds `inputs` numbers of `bits` bits."""
    depth = ceil(log2(inputs))
    if not depth:
        return Tree(result_bits=bits)
    return Tree(
        full_adders=inputs * (bits + 1) - (bits + depth + 1),
        result_bits=bits + depth,
        ns=_levels_ns(depth, bits + depth - 2, technology),
    )


def place_value_tree(inputs: int, bits: int, technology: Technology) -> Tree:
    """Adds `inputs` numbers of `bits` bits, each one binary place above the one before."""
    depth = ceil(log2(inputs))
    if not depth:
        return Tree(result_bits=bits)
    return Tree(
        full_adders=bits * (inputs - 1) + inputs * (depth - 0.5),
        result_bits=bits + inputs,
        ns=_levels_ns(depth, inputs - 1, technology),
    )


def accumulators(count: int, bits: int, summand_bits: int, technology: Technology) -> Part:
    """Registers of `bits` bits with an adder each, which take the steps one after the other."""
    cells = count * bits
    return Part(
        ACCUMULATORS,
        technology.energy_pj(cells * (technology.full_adder_ff + technology.register_ff)),
        technology.carry_ns + (bits - summand_bits - 1) * technology.ripple_ns,
        cells * (technology.full_adder_um2 + technology.register_um2),
    )


def _levels_ns(depth: int, ripples: int, technology: Technology) -> float:
    return (depth - 1) * technology.sum_ns + technology.carry_ns + ripples * technology.ripple_ns
