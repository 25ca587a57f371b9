"""The setup of a core: the writes that happen once, before the first input."""

from __future__ import annotations

from .instruction import Instruction
from .instructions import Halt, Lag, Loop, Write
from .table import CONTROL


def setup_end(code: tuple[Instruction, ...]) -> int:
    """Index behind the writes with which a program begins, as far as their cells stay as they are.

    The first of them to an array that the program writes again behind these is not setup, and none
    after it.
    """
    end = next((i for i, one in enumerate(code) if not _begins(one)), len(code))
    loops = [(i, i + 1 + one.body) for i, one in enumerate(code) if isinstance(one, Loop)]
    writes = [(i, one.array) for i, one in enumerate(code) if isinstance(one, Write)]
    last = {array: i for i, array in writes}
    cut: int | None = end
    while cut is not None:
        end = min([cut, *(start for start, stop in loops if start < cut < stop)])
        cut = next((i for i, array in writes if i < end <= last[array]), None)
    final = max((i for i, _ in writes if i < end), default=-1)
    return max([final + 1, *(stop for start, stop in loops if start < final < stop)])


def _begins(instruction: Instruction) -> bool:
    cls = type(instruction)
    return cls is Write or (cls in CONTROL and cls not in (Halt, Lag))
