"""Programs with lags: steps that each set their own streams, so that any order of them is text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from imcc.isa import Binding, HostType, Instruction, Program, Target, load_target
from imcc.isa.fields import ElementType, Space
from imcc.isa.instructions import Copy, Halt, Lag, Load, Lut, Recv, Send, Store

from .timed_program import stream

COUNT = 8
_U8 = ElementType.U8
_TABLES, _INPUT, _OUTPUT = 512, 512, 576
_BUFFERS = 10


@dataclass(frozen=True)
class Step:
    """Instructions that stay together, and their lag."""

    lag: int
    code: tuple[Instruction, ...]


def local(register: int, buffer: int) -> list[Instruction]:
    """A stream over buffer `buffer` of a local memory."""
    return stream(register, Space.LOCAL, _U8, buffer * COUNT, COUNT)


def load(lag: int, to: int) -> Step:
    """Load the input."""
    return Step(lag, (*local(0, to), *stream(1, Space.GLOBAL, _U8, _INPUT, COUNT), Load(0, 1)))


def store(lag: int, output: int, source: int) -> Step:
    """Store output `output`."""
    place = stream(0, Space.GLOBAL, _U8, _OUTPUT + COUNT * output, COUNT)
    return Step(lag, (*place, *local(1, source), Store(0, 1)))


def copy(lag: int, to: int, source: int) -> Step:
    """Copy a buffer."""
    return Step(lag, (*local(0, to), *local(1, source), Copy(0, 1)))


def look_up(lag: int, to: int, source: int, table: int) -> Step:
    """Turn each byte into another one, by one of two tables."""
    words = stream(2, Space.GLOBAL, _U8, 256 * table, 256)
    return Step(lag, (*local(0, to), *local(1, source), *words, Lut(0, 1, 2)))


def send(lag: int, source: int, peer: int, tag: int = 0) -> Step:
    """Send a buffer."""
    return Step(lag, (*local(0, source), Send(0, peer, tag)))


def receive(lag: int, to: int, peer: int, tag: int = 0) -> Step:
    """Receive a buffer."""
    return Step(lag, (*local(0, to), Recv(0, peer, tag)))


def text(steps: Sequence[Step]) -> tuple[Instruction, ...]:
    """The code of a core: steps in order, with a `lag` where it changes."""
    code: list[Instruction] = []
    lag = 0
    for step in steps:
        if step.lag != lag:
            code.append(Lag(step.lag))
        lag = step.lag
        code += step.code
    return (*code, Halt())


def lagging(cores: Mapping[int, Sequence[Step]], outputs: int = 1) -> Program:
    """A program with the input "x" and the outputs "y0", "y1", ... of eight bytes each."""
    tables = np.random.default_rng(0).permuted(
        np.tile(np.arange(256, dtype=np.uint8), (2, 1)), axis=1
    )
    ends = [("x", _INPUT), *((f"y{i}", _OUTPUT + COUNT * i) for i in range(outputs))]
    x, *ys = (Binding.plain(name, HostType.U8, (1, COUNT), at) for name, at in ends)
    code = {core: text(steps) for core, steps in cores.items()}
    size = _OUTPUT + COUNT * outputs
    return Program(_target(), code, (), tables.tobytes()[:_TABLES], (x,), tuple(ys), size)


def _target() -> Target:
    return load_target("tiny")


def random_lagging(seed: int, cores: int = 3, greatest: int = 3) -> Program:
    """Steps right for one input, with lags that grow from step to step, in any order that keeps it.

    Nothing is done for inputs in a row to be right.
    """
    rng = np.random.default_rng(seed)
    steps = _steps(rng, cores)
    return lagging({core: _merged(rng, steps[core], greatest) for core in steps}, cores)


def _steps(rng: np.random.Generator, cores: int) -> dict[int, list[Step]]:
    steps: dict[int, list[Step]] = {core: [load(0, 0)] for core in range(cores)}
    held = {core: [0] for core in steps}
    for _ in range(int(rng.integers(2, 6)) * cores):
        core, other = (int(c) for c in rng.permutation(cores)[:2])
        source = held[core][-1 if rng.random() < 0.7 else int(rng.integers(len(held[core])))]
        to = int(rng.integers(_BUFFERS))
        if rng.random() < 0.4:
            tag = int(rng.integers(2))
            steps[core].append(send(0, source, other, tag))
            steps[other].append(receive(0, to, core, tag))
            held[other].append(to)
        elif to != source:
            steps[core].append(look_up(0, to, source, int(rng.integers(2))))
            held[core].append(to)
    for core, made in steps.items():
        made.append(store(0, core, held[core][-1]))
    return steps


def _merged(rng: np.random.Generator, steps: Sequence[Step], greatest: int) -> list[Step]:
    lags = np.sort(rng.integers(0, int(rng.integers(greatest + 1)) + 1, len(steps)))
    places = rng.random(len(steps))
    for lag in set(lags.tolist()):
        places[lags == lag] = np.sort(places[lags == lag])
    return [Step(int(lags[i]), steps[i].code) for i in np.argsort(places)]
