"""What one operation takes of each part of the chip, without waiting for any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from ..fields import Role
from ..instruction import TABLE, Instruction
from ..instructions import Mvm, Recv, Send, Write, WriteMatrix
from ..program import Program
from ..walk import Operation
from .costs import CostModel
from .unit import Unit, units
from .work import Work, whole_cycles

NOBODY = -1


def _counted(kind: type[Instruction]) -> Callable[[Operation], object]:
    """What reads all that costs depend on beside streams: of a `send` its core, too."""
    names = [f"instruction.{f.name}" for f in kind.layout if f.kind.role is Role.NONE]
    if kind is Write:  # whichever cells of the array
        names = ["instruction.array", "instruction.columns"]
    if kind is Send:
        names.append("core")
    return attrgetter(*names) if names else lambda _: None


_COUNTED = {kind: _counted(kind) for kind in TABLE.values()}


@dataclass(frozen=True, slots=True)
class OperationCost:
    """Cycles of an operation on each resource.

    `cycles` is the time of its unit alone, `port` and `memory` those of its bytes on the port of
    the local memory and in global memory, `link` that of the bytes sent on one link, `starts`
    that of starting the row blocks of a product, which is what it takes if it `waits_for_starts`.
    `arrays` are those of the core that it uses. `alone` is what no two of a core do at a time,
    whatever their arrays. `peer` and `tag` say whom a transfer meets.
    """

    unit: Unit
    work: Work
    cycles: int
    port: int
    memory: int
    link: int
    starts: int
    waits_for_starts: bool
    arrays: frozenset[int]
    alone: bool = False
    peer: int = NOBODY
    tag: int = 0


class OperationCosts:
    """Works out what the operations of a program take.

    Where data lie makes no difference: operations that differ in no more have one cost.
    """

    def __init__(self, program: Program) -> None:
        self.model = CostModel.of(program)
        self._program = program
        self._arrays = {
            index: frozenset(tile.array for tile in program.matrices[index].tiles)
            for index in set(program.alike)
        }
        self._known: dict[tuple[object, ...], OperationCost] = {}

    def cost(self, operation: Operation) -> OperationCost:
        """What an operation takes."""
        kind = type(operation.instruction)
        walks = [stream.walk for stream in operation.streams.values()]
        key = (kind, _COUNTED[kind](operation), *walks)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._cost(operation)
        return known

    def _cost(self, operation: Operation) -> OperationCost:
        timing, work = self.model.target.timing, self.model.cost(operation)
        instruction, link, peer, tag = operation.instruction, 0, NOBODY, 0
        if isinstance(instruction, Send):
            stream = operation.streams["src"]
            link = whole_cycles(self.model.moved(stream) / timing.noc_bytes_per_cycle)
        if isinstance(instruction, (Send, Recv)):
            peer, tag = instruction.peer, instruction.tag
        starts, waits = 0, False
        if isinstance(instruction, Mvm):
            product = self.model.products[instruction.matrix]
            starts = self.model.cycles(product.start_time(work.windows))
            waits = product.waits_for_starts(work.windows)
        return OperationCost(
            units[type(instruction)](operation),
            work,
            work.cycles,
            port=whole_cycles(work.local_bytes / timing.local_bytes_per_cycle),
            memory=whole_cycles(work.global_bytes / timing.global_bytes_per_cycle),
            link=link,
            starts=starts,
            waits_for_starts=waits,
            arrays=self._held(operation),
            alone=isinstance(instruction, WriteMatrix),
            peer=peer,
            tag=tag,
        )

    def _held(self, operation: Operation) -> frozenset[int]:
        match operation.instruction:
            case Mvm(matrix=matrix) | WriteMatrix(matrix=matrix):
                return self._arrays[self._program.alike[matrix]]
            case Write(array=array):
                return frozenset((array,))
            case _:
                return frozenset()
