"""What mapping decides for one matrix product: which core holds which part of the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from imcc.isa.matrix import Matrix


class Region(Protocol):
    """Input channels [c0, c1) times output channels [n0, n1) of one product."""

    @property
    def c0(self) -> int:
        """First input channel."""

    @property
    def c1(self) -> int:
        """Behind the last input channel."""

    @property
    def n0(self) -> int:
        """First output channel."""

    @property
    def n1(self) -> int:
        """Behind the last output channel."""

    @property
    def block_cols(self) -> int:
        """Output channels of one diagonal block: those of one or more groups."""


@dataclass(frozen=True)
class Shard:
    """Part of one product on one core.

    It takes all kernel taps of input channels [c0, c1) (for a matrix product: rows of w) to
    outputs [n0, n1); both count from the operation's first channel, also in grouped
    convolutions. `matrix` has ``taps * (c1 - c0)`` rows, kernel axes slowest and the channel
    fastest, and ``n1 - n0`` columns. Of a grouped convolution the rows have the channel slowest,
    so that those of a group follow each other, and the diagonal blocks are groups or runs of them.
    """

    core: int
    c0: int
    c1: int
    n0: int
    n1: int
    matrix: Matrix

    @property
    def block_cols(self) -> int:
        """Output channels of one diagonal block."""
        return self.matrix.stack[2]


@dataclass(frozen=True)
class MatrixPlan:
    """All shards of one product.

    `home` is the core that owns input and output of the operation. Shards with the same
    (n0, n1) are partial sums of each other; the distinct ranges partition the outputs.
    """

    home: int
    shards: tuple[Shard, ...]

    def blocks(self) -> tuple[tuple[tuple[int, int], tuple[Shard, ...]], ...]:
        """Output ranges in ascending order, each with the shards that add up to it."""
        ranges = sorted({(shard.n0, shard.n1) for shard in self.shards})
        return tuple(
            (span, tuple(s for s in self.shards if (s.n0, s.n1) == span)) for span in ranges
        )

    def cores(self) -> tuple[int, ...]:
        """Cores that hold a shard, ascending."""
        return tuple(sorted({shard.core for shard in self.shards}))

    def moved(self, place: Callable[[int], int]) -> MatrixPlan:
        """The same on other cores: `place` says which for each."""
        shards = tuple(
            replace(s, core=place(s.core), matrix=replace(s.matrix, core=place(s.core)))
            for s in self.shards
        )
        return MatrixPlan(place(self.home), shards)
