"""The setup of a core: what happens once, before the first input."""

from __future__ import annotations

from .instruction import Instruction
from .instructions import Halt, Lag, Load, Loop, Write
from .table import CONTROL


def setup_end(code: tuple[Instruction, ...]) -> int:
    """Index behind what happens once.

    Before the first `lag` of a code that is all, if it only writes cells and loads. Of other codes
    it is the writes with which they begin, as far as their cells stay as they are: the first of
    them to an array that the program writes again behind these is not setup, and none after it.
    """
    lag = next((i for i, one in enumerate(code) if isinstance(one, Lag)), 0)
    if lag and all(isinstance(one, Load) or _begins(one) for one in code[:lag]):
        return lag
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
