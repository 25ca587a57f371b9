"""Sends and receives of programs with lags: in rounds they meet as they do for one input.

Cores are played with inputs without end, each to the end of a round before any begins the next.
Once all inputs of their rounds exist, how far cores fall behind grows until it stays: from then on
all rounds are alike. Where cores
wait for ever, some of them wait in a circle. Fewer inputs leave operations out and nothing else,
so what is right for all of them is right for any number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..instructions import Recv, Send
from ..walk import Operation, deadlock_message
from .findings import Findings


@dataclass(frozen=True)
class Message:
    """A send or receive in a round: for which input, and which one of its channel for that."""

    operation: Operation
    instruction: Send | Recv
    lag: int
    number: int


def messages(operations: Sequence[tuple[int, Operation]]) -> tuple[Message, ...]:
    """The sends and receives among the operations of a round, numbered as one input has them."""
    numbers: Counter[Send | Recv] = Counter()
    found: list[tuple[int, Message]] = []
    in_order = sorted(enumerate(operations), key=lambda item: item[1][0])
    for position, (lag, operation) in in_order:
        instruction = operation.instruction
        if isinstance(instruction, (Send, Recv)):
            channel = type(instruction)(0, instruction.peer, instruction.tag)
            found.append((position, Message(operation, instruction, lag, numbers[channel])))
            numbers[channel] += 1
    return tuple(message for _, message in sorted(found, key=lambda item: item[0]))


class _Runner:
    """A core at one of its messages."""

    def __init__(self, code: Sequence[Message]) -> None:
        self.code = code
        self.round = 0
        self.index = -1
        self.lags = max(message.lag for message in code)
        self.go_on()

    @property
    def at(self) -> Message:
        """The message that comes next."""
        return self.code[self.index]

    @property
    def input(self) -> int:
        """The input that it is for."""
        return self.round - self.at.lag

    def go_on(self) -> None:
        """Go to the next message; those for inputs before the first are left out."""
        while True:
            self.index += 1
            if self.index == len(self.code):
                self.round, self.index = self.round + 1, 0
            if self.input >= 0:
                return


def check_meetings(met: Mapping[int, Sequence[Message]], findings: Findings) -> None:
    """Check the messages of each core's round, of which those for one input are right."""
    cores = {core: _Runner(code) for core, code in met.items() if code}
    before: tuple[tuple[int, int], ...] = ()
    limit = 0
    while cores:
        for send, recv in _play(cores, limit):
            if (send.input, send.at.number) != (recv.input, recv.at.number):
                findings.at_operation(recv.at.operation, [_mismatch(send, recv)])
                return
        circle = _circle(cores, limit)
        if circle:
            waits = (cores[core].at.operation for core in circle)
            message = deadlock_message((o.core, o.pc, o.instruction) for o in waits)
            findings.add([f"with inputs in a row: {message}"])
            return
        full = all(one.round >= one.lags for one in cores.values())
        behind = tuple((limit - one.round, one.index) for one in cores.values()) if full else ()
        if full and behind == before:
            return
        before = behind
        limit += 1


def _play(cores: Mapping[int, _Runner], limit: int) -> Iterator[tuple[_Runner, _Runner]]:
    """Let all cores go on to the end of round `limit` or until they must wait; yield who meets."""
    ready = list(cores)
    while ready:
        core = ready.pop()
        one = cores[core]
        while one.round <= limit:
            peer = one.at.instruction.peer
            other = cores[peer]
            if other.round > limit or not _meets(one, other):
                break
            yield (one, other) if isinstance(one.at.instruction, Send) else (other, one)
            one.go_on()
            other.go_on()
            ready.append(peer)


def _meets(one: _Runner, other: _Runner) -> bool:
    a, b = one.at.instruction, other.at.instruction
    return type(a) is not type(b) and a.tag == b.tag and b.peer == one.at.operation.core


def _circle(cores: Mapping[int, _Runner], limit: int) -> list[int]:
    """Cores that wait for each other in a circle; none if each waits for one that can go on."""
    over: set[int] = set()
    for core in cores:
        path: dict[int, None] = {}
        while core not in over and core not in path and cores[core].round <= limit:
            path[core] = None
            core = cores[core].at.instruction.peer
        if core in path:
            order = list(path)
            return order[order.index(core) :]
        over.update(path)
    return []


def _mismatch(send: _Runner, recv: _Runner) -> str:
    sent, received = send.at, recv.at
    return (
        f"with inputs in a row it takes message {received.number} of input {recv.input}, but meets "
        f"message {sent.number} of input {send.input}, the send of core {sent.operation.core} at "
        f"{sent.operation.pc}; a channel must be sent and received in one order"
    )
