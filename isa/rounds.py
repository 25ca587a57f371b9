"""The instructions for inputs in a row, which are worked on in rounds: a part of the table."""

from __future__ import annotations

from .fields import Rounds
from .instruction import Instruction, instruction


@instruction(0x05)
class Phase(Instruction):
    """Ends a phase. For one input alone, waits until every core of the program is at its end.

    Inputs in a row are worked on in *rounds*. In round r a core runs all its phases, phase p for
    input r - p, and waits for all cores at its last instruction only. So phase p + 1 begins a
    round after phase p, on other inputs meanwhile. Operations for inputs that do not exist are left
    out. Local memory holds nothing from one phase to the next; every global address above the
    constants exists once for each input that is on its way, as many as there are phases.
    """


@instruction(0x06)
class Lag(Instruction):
    """Lets what follows, up to the next `lag`, work on the input `rounds` rounds before.

    A core whose greatest lag is L runs its code once a *round*. In round r an operation of lag k is
    for input r - k, and is left out where that does not exist: N inputs take N + L rounds. A core
    begins with lag 0; lags come in any order; registers are set in every round. Cores do not wait
    for each other at the end of a round. Local memory is one for all inputs and keeps what it
    holds; every global address above the constants exists once for each input. One input alone
    runs the operations of a core by lag, and those of one lag in the order of the text. What stands
    before the first `lag` of a code, writes of cells and loads of constants, happens once, before
    the first input.
    """

    rounds: Rounds
