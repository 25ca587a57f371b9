"""Which accesses to global bytes are ordered, against a plain model of each byte alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hand_program import hand_program

from imcc.isa import ElementType, Instruction, Space, StreamState
from imcc.isa.instructions import Load, Recv, Send, Store
from imcc.isa.program import Program
from imcc.isa.validation.memory import footprint
from imcc.isa.validation.ordering import GlobalOrder
from imcc.isa.walk import Exchange, Operation

_CORES = 3
_SIZE = 24

Access = tuple[int, bool, StreamState]
Event = Access | tuple[int, int]  # an access, or two cores that meet


def _program() -> Program:
    cores: dict[int, tuple[Instruction, ...]] = dict.fromkeys(range(_CORES), ())
    return replace(hand_program(), cores=cores, constants=b"", global_size=_SIZE)


def _access(core: int, writes: bool, stream: StreamState) -> Operation:
    if writes:
        return Operation(core, 0, Store(0, 1), {"dst": stream}, None)
    return Operation(core, 0, Load(0, 1), {"src": stream}, None)


def _exchange(one: int, other: int) -> Exchange:
    return Exchange(
        Operation(one, 0, Send(0, other, 0), {}, None),
        Operation(other, 0, Recv(0, one, 0), {}, None),
    )


@dataclass
class _Model:
    """For each byte the last accesses, and for each core all that it knows to be over."""

    known: list[set[int]] = field(default_factory=lambda: [{-1} for _ in range(_CORES)])
    last: dict[tuple[int, bool], tuple[int, int]] = field(default_factory=dict)
    count: int = 0

    def meet(self, one: int, other: int) -> None:
        self.known[one] |= self.known[other]
        self.known[other] |= self.known[one]

    def access(self, core: int, writes: bool, touched: list[int]) -> list[tuple[int, int]]:
        """By kind of access the first other core, and how many bytes are not ordered."""
        found = []
        for earlier in (False, True) if writes else (True,):
            before = [self.last.get((byte, earlier), (-1, -1)) for byte in touched]
            others = [other for other, number in before if number not in self.known[core]]
            found += [(others[0], len(others))] if others else []
        self.known[core].add(self.count)
        self.last.update(((byte, writes), (core, self.count)) for byte in touched)
        self.count += 1
        return found


@st.composite
def _streams(draw: st.DrawFn) -> StreamState:
    inner, outer = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    counts, strides = (1, 1, 1, 1, outer, inner), (0, 0, 0, 0, draw(st.integers(0, 6)), 1)
    return StreamState(Space.GLOBAL, ElementType.I8, draw(st.integers(0, 8)), counts, strides)


_core = st.integers(0, _CORES - 1)
_events = st.lists(st.tuples(_core, st.booleans(), _streams()) | st.tuples(_core, _core))


@given(_events)
@settings(deadline=None)
def test_each_byte_is_ordered_as_if_it_were_alone(events: list[Event]) -> None:
    order, model = GlobalOrder(_program()), _Model()
    for event in events:
        if len(event) == 2:
            order.exchange(_exchange(*event))
            model.meet(*event)
            continue
        core, writes, stream = event
        touched = np.unique(footprint(stream).view(np.arange(_SIZE))).tolist()
        expected = model.access(core, writes, touched)
        found = order.apply(_access(core, writes, stream))
        assert [_said(message) for message in found] == expected


def _said(message: str) -> tuple[int, int]:
    words = message.split()
    return int(words[1]), int(words[words.index("global") - 1])


def test_programs_may_have_more_spans_than_numbers_of_16_bits() -> None:
    order = GlobalOrder(_program())
    byte = StreamState(Space.GLOBAL, ElementType.I8, 0)
    for _ in range(1 << 16):
        assert not order.apply(_access(0, True, byte))
        order.exchange(_exchange(0, 1))
    assert not order.apply(_access(1, False, byte))
    (message,) = order.apply(_access(2, False, byte))
    assert "core 0 also stores some of its 1 global bytes" in message
