"""How much may be made of a model at compile time: constants, and nodes of loops."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

import numpy as np

from .errors import LimitError, beyond, expect_within
from .ir.op import Array
from .limits import limits

_PER_WEIGHT = 8  # bytes made for each byte that the model brought: codes to floats, twice over
_WORK_PER_WEIGHT = 64  # operations for each such byte: products of weights with small ones


@dataclass
class FoldingBudget:
    """Counts bytes, `given` in weights and `made` by folding, `operations` and `unrolled` nodes."""

    given: int = 0
    made: int = 0
    operations: int = 0
    unrolled: int = 0

    def unroll(self, nodes: int) -> None:
        """Count nodes of a graph inside a node; raises `LimitError` where they are too many."""
        self.unrolled += nodes
        text = f"loops and branches written out have {self.unrolled:,} nodes"
        expect_within(self.unrolled, "unrolled_nodes", text)

    def operate(self, operations: int, what: str) -> None:
        """Count operations of a fold to come; raises `LimitError` where they are too many."""
        self.operations += operations
        if self.operations > max(limits().folding_mops * 10**6, _WORK_PER_WEIGHT * self.given):
            mops = self.operations // 10**6
            text = f"with {what} folding of constants takes {mops:,} million operations"
            raise LimitError([beyond("folding_mops", text)])

    def spend(self, made: Iterable[Array], operands: Iterable[Array], what: str) -> None:
        """Count arrays made of operands; raises `LimitError` where they are too many.

        A view of an operand takes no memory, and neither do axes of stride zero.
        """
        sources = list(operands)
        self.made += sum(
            _held(array)
            for array in made
            if not any(np.may_share_memory(array, source) for source in sources)
        )
        if self.made > max(limits().folding_mib << 20, _PER_WEIGHT * self.given):
            text = f"with {what} constants made at compile time take {self.made >> 20:,} MiB"
            raise LimitError([beyond("folding_mib", text)])


def _held(array: Array) -> int:
    pairs = zip(array.shape, array.strides, strict=True)
    return int(prod(extent for extent, stride in pairs if stride)) * array.itemsize
