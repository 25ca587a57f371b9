"""Lists of indices as few regular blocks: what a copy between streams can walk at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class IndexBlock:
    """Indices ``first + i * outer_step + j * inner_step``, i slower, j from 0 to `inner` - 1."""

    first: int
    outer: int
    outer_step: int
    inner: int
    inner_step: int


def index_blocks(indices: Sequence[int]) -> Iterator[IndexBlock]:
    """The blocks whose indices, one block after the other, are `indices`.

    Neighbours make runs of one step, and equal runs at equal distances a block, each as long as
    it can be from where it starts.
    """
    block: IndexBlock | None = None
    for run in _runs(indices):
        joined = None if block is None else _joined(block, run)
        if block is not None and joined is None:
            yield block
        block = run if joined is None else joined
    if block is not None:
        yield block


def _runs(indices: Sequence[int]) -> Iterator[IndexBlock]:
    start = 0
    while start < len(indices):
        end = start + 1
        step = indices[end] - indices[start] if end < len(indices) else 0
        while end < len(indices) and indices[end] - indices[end - 1] == step:
            end += 1
        yield IndexBlock(indices[start], 1, 0, end - start, step)
        start = end


def _joined(block: IndexBlock, run: IndexBlock) -> IndexBlock | None:
    """The block with one more run, if it goes on with it."""
    if (run.inner, run.inner_step) != (block.inner, block.inner_step):
        return None
    step = run.first - block.first if block.outer == 1 else block.outer_step
    if run.first != block.first + block.outer * step:
        return None
    return replace(block, outer=block.outer + 1, outer_step=step)
