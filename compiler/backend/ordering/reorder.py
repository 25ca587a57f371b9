"""A program with its instructions in another order, which means the same and waits less."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from imcc.isa import Instruction, Operation, Origin, Program
from imcc.isa.validation.operands import RULES

from ..code import CoreCode
from ..probe import ValueProbe
from .items import CoreItems, is_barrier, items_by_core
from .jobs import jobs
from .play import Play, Played
from .steady import Aim, best_play

_PLAYS = 6
_PLAYS_TO_COMPARE = 2


def order_instructions(
    program: Program, probes: Sequence[ValueProbe], aim: Aim = Aim.ONE_INPUT
) -> tuple[Program, tuple[ValueProbe, ...]]:
    """Order the operations of each core by when a play of the chip begins them.

    Programs in phases or stages are played once: there all cores wait for each other.

    Loops are unrolled. What touches the same bytes, one of them writing, stays in order, so every
    operation reads what it read before. The probes are moved to where their values still lie.
    """
    cores = items_by_core(program, probes)
    order = _played(program, cores, aim, _PLAYS).order
    nodes = _nodes(program.origins)
    written = {
        core: _Writer(nodes.get(core, {})).write(found, order.get(core, []))
        for core, found in cores.items()
    }
    ordered = replace(
        program,
        cores={core: writer.finish() for core, writer in written.items()},
        origins=tuple(o for core, writer in written.items() for o in writer.origins(core)),
    )
    return ordered, tuple(_moved(probes, cores, written))


def played_cycles(program: Program, aim: Aim = Aim.ONE_INPUT) -> int:
    """Cycles of one input, or from input to input, in a good order for that."""
    played = _played(program, items_by_core(program, ()), aim, _PLAYS_TO_COMPARE)
    in_a_row = aim is Aim.INPUTS_IN_A_ROW and program.phases == 1
    return played.span if in_a_row else played.end


def _played(program: Program, cores: Mapping[int, CoreItems], aim: Aim, plays: int) -> Played:
    play = Play(jobs(cores), program.target, in_turn=program.phases == 1)
    items = [item for found in cores.values() for item in found.items]
    meet = program.phases > 1 or any(map(is_barrier, items))
    return best_play(play, len(items), aim, 1 if meet else plays)


@dataclass
class _Writer:
    """The code of one core while it is written again; `nodes` by its old instructions.

    `looks` are the new instructions behind which items without an operation stand.
    """

    nodes: Mapping[int, tuple[str, ...]]
    looks: dict[int, int] = field(default_factory=dict)
    _code: CoreCode = field(default_factory=CoreCode)
    _marks: list[tuple[int, int, tuple[str, ...]]] = field(default_factory=list)
    _known: dict[tuple[object, ...], Instruction] = field(default_factory=dict)

    def write(self, found: CoreItems, order: Sequence[int]) -> _Writer:
        """Write the setup, then the items in this order."""
        for operation in found.setup:
            self._add(operation)
        for index in order:
            item = found.items[index]
            if item.operation is None:
                self.looks[index] = self._code.last_operation
            else:
                self._add(item.operation)
        return self

    def finish(self) -> tuple[Instruction, ...]:
        """The code."""
        return self._code.finish()

    def origins(self, core: int) -> Iterator[Origin]:
        """Which instructions come from which nodes; those of none are left out."""
        for nodes, marks in groupby(self._marks, key=lambda mark: mark[2]):
            spans = list(marks)
            if nodes:
                yield Origin(core, spans[0][0], spans[-1][1], nodes)

    def _made(self, kind: type[Instruction], *fields: int) -> Instruction:
        """An instruction; many have the same registers."""
        made = self._known.get((kind, *fields))
        if made is None:
            made = self._known[kind, *fields] = kind(*fields)
        return made

    def _add(self, operation: Operation) -> None:
        code = self._code
        start = code.position
        code.begin()
        instruction = operation.instruction
        rule = RULES.get(type(instruction))  # none for what has no operands
        if operation.stage is not None and rule is not None and rule.stage:
            code.stage(operation.stage)
        streams = operation.streams
        fields = [
            code.stream(streams[part.name])
            if part.name in streams
            else getattr(instruction, part.name)
            for part in instruction.layout
        ]
        code.emit(self._made(type(instruction), *fields))
        self._marks.append((start, code.position, self.nodes.get(operation.pc, ())))


def _nodes(origins: Sequence[Origin]) -> dict[int, dict[int, tuple[str, ...]]]:
    """The nodes that each instruction comes from, by core."""
    found: dict[int, dict[int, tuple[str, ...]]] = {}
    for origin in origins:
        pcs = range(origin.start, origin.stop)
        found.setdefault(origin.core, {}).update(dict.fromkeys(pcs, origin.nodes))
    return found


def _moved(
    probes: Sequence[ValueProbe], cores: Mapping[int, CoreItems], written: Mapping[int, _Writer]
) -> Iterator[ValueProbe]:
    """The probes, behind the instructions where their values are whole now."""
    places = {
        probe: written[core].looks[item]
        for core, found in cores.items()
        for item, probe in found.probes.items()
    }
    for index, probe in enumerate(probes):
        yield replace(probe, pc=places[index])
