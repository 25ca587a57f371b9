"""All cores of a chip in one order of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import NamedTuple

from imcc.isa.cost import Mesh, Unit
from imcc.isa.errors import ValidationError
from imcc.isa.instruction import Instruction
from imcc.isa.instructions import Barrier
from imcc.isa.program import Program
from imcc.isa.walk import deadlock_message

from .code import CoreCode
from .core import NEVER, Core, Issued
from .static import StaticOperation, Statics


class Hold(NamedTuple):
    """A resource held by an operation: a unit of a core, or without a core a link or the memory.

    `place` holds the number of the array, or both cores of the link; at a port it tells
    `TRANSFERS` from all else.
    """

    core: int | None
    unit: Unit
    place: tuple[int, int]
    first: int
    end: int
    by: Issued


Watch = Callable[[Hold], None]
_NOWHERE = (0, 0)
TRANSFERS = (1, 0)
# Stands for the core in events that begin a transfer; before all cores on equal cycles.
_TRANSFER = -1


class Simulation:
    """A program run for a number of inputs: each core runs its rounds one behind the other."""

    def __init__(self, program: Program, inputs: int, watch: Watch | None = None) -> None:
        self.inputs = inputs
        self._phases = program.phases
        self.ends = [0] * inputs
        self.finals: list[Issued | None] = [None] * inputs
        self.mesh = Mesh(program.target.chip)
        self.memory_busy = 0
        self._memory_free = 0
        self._watch = watch
        statics = Statics(program)
        window = program.target.core.issue_window
        self.cores = {
            number: Core(
                number,
                CoreCode(number, self._round(code), statics.make, program.matrices),
                window,
                inputs,
            )
            for number, code in sorted(program.cores.items())
        }
        self._events: list[tuple[int, int, int]] = []
        self._transfers: dict[tuple[int, int, int], Issued] = {}
        self._waiting: dict[int, tuple[Issued, Issued]] = {}
        self._begun = 0
        self._at_first = len(self.cores)
        self._barrier: list[tuple[Core, Issued]] = []

    def run(self) -> None:
        """Play all inputs to their end; raises `ValidationError` where cores wait for ever."""
        events, cores = self._events, self.cores
        for number in cores:
            heappush(events, (0, number, 0))
        while events:
            time, number, version = heappop(events)
            if number == _TRANSFER:
                self._begin(time, self._waiting.pop(version))
            elif version == cores[number].version:
                self._advance(cores[number], time)
        stuck = [core for core in cores.values() if core.fetched is not None or core.pending]
        if stuck:
            raise ValidationError(deadlock_message(map(_waiting, stuck)))

    def _round(self, code: tuple[Instruction, ...]) -> tuple[Instruction, ...]:
        """The code of a core; with phases all cores wait for each other at the end of a round."""
        return code if self._phases == 1 else (*code[:-1], Barrier(0), code[-1])

    def operations(self) -> Iterator[StaticOperation]:
        """All static operations that were met."""
        for core in self.cores.values():
            yield from core.code.operations.values()

    def _advance(self, core: Core, now: int) -> None:
        """Issue what can issue before anything else happens on the chip.

        What meets no other core does not wait for its turn, unless a transfer is under way: that
        will take the local memory port at a time which is not known yet.
        """
        events = self._events
        while (fetched := core.fetched) is not None:
            if fetched[1] is core.code.end:
                self._end_round(core)
                continue
            found = core.next_issue(fetched)
            time, operation = found[0], fetched[1]
            if time >= NEVER:
                return
            if time > now and events and (operation.shared or core.pending):
                if events[0] < (time, core.number):
                    self._schedule(core, time)
                    return
                now = time
            self._issue(core, core.issue(fetched, found, self._at_first > 0), operation, time)
            core.fetch()

    def _end_round(self, core: Core) -> None:
        """Go on with the next round. Behind that of its greatest lag a core is done with input 0.

        Once all are, nothing that issues can be on the path to the end of input 0.
        """
        if core.round == core.code.lags:
            self._at_first -= 1
        core.begin_round()

    def _schedule(self, core: Core, time: int) -> None:
        core.version += 1
        heappush(self._events, (time, core.number, core.version))

    def _wake(self, core: Core, time: int) -> None:
        """Let a core look again: what it waits for has an end now."""
        core.found = None
        self._schedule(core, time)

    def _issue(self, core: Core, issued: Issued, operation: StaticOperation, time: int) -> None:
        operation.count += 1
        if operation.peer >= 0:
            self._meet(core, issued, time)
        elif operation.unit is Unit.SYNC:
            self._synchronise(core, issued, time)
        else:
            end = self._pass(core, issued, time + operation.cycles)
            self._hold(core, issued, end)
            if not issued.input:
                operation.tally(time, end, issued.bound)

    def _pass(self, core: Core, issued: Issued, end: int) -> int:
        """Let the bytes of an operation pass; returns its end, if its unit is ready at `end`."""
        operation, start = issued.operation, issued.start
        if operation.starts:
            end = max(end, self._start_row_blocks(core, issued))
        if operation.memory:
            begin = max(self._memory_free, start)
            self._memory_free = passed = begin + operation.memory
            self.memory_busy += operation.memory
            if self._watch:
                self._watch(Hold(None, Unit.MEMORY, _NOWHERE, begin, passed, issued))
            if passed > end:
                end, issued.bound = passed, Unit.MEMORY
        if operation.port:
            passed = self._pass_port(core, issued)
            if passed > end:
                end, issued.bound = passed, Unit.PORT
        return end

    def _pass_port(self, core: Core, issued: Issued) -> int:
        """Let bytes pass the port of a local memory; returns when they have.

        Those of transfers wait for other transfers only, and put back all else that begins later.
        """
        operation, start = issued.operation, issued.start
        transfer = operation.peer >= 0
        begin = max(core.transfers_free if transfer else core.port_free, start)
        passed = begin + operation.port
        if transfer:
            core.transfers_free = passed
            core.port_free = max(core.port_free, begin) + operation.port
        else:
            core.port_free = passed
        if self._watch:
            place = TRANSFERS if transfer else _NOWHERE
            self._watch(Hold(core.number, Unit.PORT, place, begin, passed, issued))
        return passed

    def _start_row_blocks(self, core: Core, issued: Issued) -> int:
        """Start a product as soon as the core may; returns its end."""
        operation, start = issued.operation, issued.start
        begin = max(core.starts_free, start)
        core.starts_free = begin + operation.starts
        if begin > start or operation.waits_for_starts:
            issued.bound = Unit.STARTS
        if self._watch:
            started = core.starts_free
            self._watch(Hold(core.number, Unit.STARTS, _NOWHERE, begin, started, issued))
        return begin + operation.cycles

    def _hold(self, core: Core, issued: Issued, end: int) -> None:
        """Let an operation hold its unit from its start to `end`."""
        operation, start = issued.operation, issued.start
        self._finish(issued, end)
        operation.busy += end - start
        core.cover(start, end)
        if self._watch is None or operation.unit is Unit.PORT:
            return
        if operation.unit is not Unit.ARRAYS:
            self._watch(Hold(core.number, operation.unit, _NOWHERE, start, end, issued))
        for array in sorted(operation.arrays):
            self._watch(Hold(core.number, Unit.ARRAYS, (array, 0), start, end, issued))

    def _finish(self, issued: Issued, end: int) -> None:
        """Let an operation end; the last one of an input ends that."""
        issued.end = end
        if end >= self.ends[issued.input]:
            self.ends[issued.input], self.finals[issued.input] = end, issued

    def _meet(self, core: Core, issued: Issued, time: int) -> None:
        """Wait for the other side of a transfer, or let it begin."""
        operation = issued.operation
        sends = operation.unit is Unit.OUT
        ends = (core.number, operation.peer) if sends else (operation.peer, core.number)
        other = self._transfers.pop((*ends, operation.tag), None)
        core.pending += 1
        if other is None:
            self._transfers[*ends, operation.tag] = issued
            return
        issued.partner = other.partner = issued
        pair = (issued, other) if sends else (other, issued)
        start = self.mesh.reserve(*ends, time, pair[0].operation.link)
        if start > time:
            self._begun += 1
            self._waiting[self._begun] = pair
            heappush(self._events, (start, _TRANSFER, self._begun))
        else:
            self._transfer(*pair, time)
            self._wake(self.cores[operation.peer], time)

    def _begin(self, time: int, pair: tuple[Issued, Issued]) -> None:
        """Begin a transfer that waited for links."""
        self._transfer(*pair, time)
        for issued in pair:
            self._wake(self.cores[issued.operation.core], time)

    def _transfer(self, send: Issued, recv: Issued, start: int) -> None:
        sent, received = send.operation, recv.operation
        send.start = recv.start = start
        send.bound = recv.bound = Unit.LINK
        end = start + sent.cycles
        for issued in (send, recv):
            core = self.cores[issued.operation.core]
            core.pending -= 1
            passed = self._pass(core, issued, end)
            if passed > end:
                end, send.bound, recv.bound = passed, issued.bound, issued.bound
        for issued in (send, recv):
            self._hold(self.cores[issued.operation.core], issued, end)
        if self._watch:
            for link in self.mesh.route(sent.core, received.core):
                self._watch(Hold(None, Unit.LINK, link, start, start + sent.link, send))
        if not recv.input:
            received.tally(start, end, recv.bound)
            received.sends[sent] += 1

    def _synchronise(self, core: Core, issued: Issued, time: int) -> None:
        """Go to the host, which takes no time, or wait for all cores."""
        operation = issued.operation
        if not isinstance(operation.instruction, Barrier):
            self._finish(issued, time)
            if not issued.input:
                operation.tally(time, time, Unit.SYNC)
            return
        self._barrier.append((core, issued))
        if len(self._barrier) < len(self.cores):
            return
        for other, waiting in self._barrier:
            waiting.start, waiting.partner = time, issued
            self._finish(waiting, time)
            if other is not core:
                self._wake(other, time)
        self._barrier.clear()


def _waiting(core: Core) -> tuple[int, int, Instruction]:
    """What a core that cannot go on waits at: the oldest transfer that nobody met, or the next."""
    for issued in core.flight:
        if issued.end >= NEVER:
            return core.number, issued.operation.pc, issued.operation.instruction
    assert core.fetched is not None
    return core.number, core.fetched[1].pc, core.fetched[1].instruction
