"""The setup of a core: what happens once, before the first input."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .instruction import Instruction
from .instructions import Halt, Lag, Load, Loop, Write, WriteMatrix
from .matrix import Matrix
from .table import CONTROL

WRITES = frozenset({Write, WriteMatrix})
"""The instructions that write cells."""


def setup_end(code: tuple[Instruction, ...], matrices: Sequence[Matrix]) -> int:
    """Index behind what happens once, of a code that writes these matrices.

    Before the first `lag` of a code that is all, if it only writes cells and loads. Of other codes
    it is the writes with which they begin, as far as their cells stay as they are: the first of
    them to an array that the program writes again behind these is not setup, and none after it.
    """
    lag = next((i for i, one in enumerate(code) if isinstance(one, Lag)), 0)
    if lag and all(isinstance(one, Load) or _begins(one) for one in code[:lag]):
        return lag
    end = next((i for i, one in enumerate(code) if not _begins(one)), len(code))
    loops = [(i, i + 1 + one.body) for i, one in enumerate(code) if isinstance(one, Loop)]
    writes = [(i, array) for i, one in enumerate(code) for array in written_arrays(one, matrices)]
    last = {array: i for i, array in writes}
    cut: int | None = end
    while cut is not None:
        end = min([cut, *(start for start, stop in loops if start < cut < stop)])
        cut = next((i for i, array in writes if i < end <= last[array]), None)
    final = max((i for i, _ in writes if i < end), default=-1)
    return max([final + 1, *(stop for start, stop in loops if start < final < stop)])


def written_arrays(instruction: Instruction, matrices: Sequence[Matrix]) -> Collection[int]:
    """The arrays whose cells an instruction writes."""
    if isinstance(instruction, Write):
        return (instruction.array,)
    if isinstance(instruction, WriteMatrix):
        return {tile.array for tile in matrices[instruction.matrix].tiles}
    return ()


def _begins(instruction: Instruction) -> bool:
    cls = type(instruction)
    return cls in WRITES or (cls in CONTROL and cls not in (Halt, Lag))
