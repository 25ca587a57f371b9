"""Programs of one core that load their inputs, run a few instructions and store the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imcc.isa import (
    Binding,
    ElementType,
    HostType,
    Instruction,
    Program,
    Space,
    StreamState,
    load_target,
)
from imcc.isa.instructions import STREAM_AXES, Dim, Halt, Load, Store, Stream
from imcc.runtime import Machine

_FROM, _TO = 30, 31
_ISAAC = load_target("isaac")
_TARGET = _ISAAC.model_copy(
    update={"core": _ISAAC.core.model_copy(update={"local_memory_kib": 1 << 14})}
)
_HOST = {
    ElementType.U8: HostType.U8,
    ElementType.I8: HostType.I8,
    ElementType.U16: HostType.U16,
    ElementType.I16: HostType.I16,
    ElementType.I32: HostType.I32,
}


@dataclass(frozen=True)
class LocalInput:
    """An input of `count` elements, loaded to byte `base` of local memory."""

    element: ElementType
    count: int
    base: int


def stream_of(
    element: ElementType,
    base: int,
    counts: tuple[int, ...],
    strides: tuple[int, ...] | None = None,
    space: Space = Space.LOCAL,
) -> StreamState:
    """Return a stream over the last axes, contiguous where no strides (in elements) are given."""
    if strides is None:
        strides = tuple(int(np.prod(counts[i + 1 :])) for i in range(len(counts)))
    unused = STREAM_AXES - len(counts)
    steps = tuple(stride * element.size for stride in strides)
    return StreamState(space, element, base, (1,) * unused + counts, (0,) * unused + steps)


def words(*values: int) -> bytes:
    """Return 32-bit words, little endian."""
    return b"".join((value & 0xFFFFFFFF).to_bytes(4, "little") for value in values)


def small_program(
    instructions: Sequence[Instruction],
    streams: Mapping[int, StreamState],
    inputs: Mapping[str, LocalInput],
    constants: bytes,
) -> Program:
    """Return a program around `instructions`, whose result is stream 0; the output is "y"."""
    result = streams[0]
    address = -(-len(constants) // 64) * 64
    constants = constants.ljust(address, b"\0")
    bindings, code = [], []
    for name, given in inputs.items():
        bindings.append(Binding.plain(name, _HOST[given.element], (1, given.count), address))
        code += _set(_FROM, stream_of(given.element, address, (given.count,), space=Space.GLOBAL))
        code += [*_set(_TO, stream_of(given.element, given.base, (given.count,))), Load(_TO, _FROM)]
        address += -(-given.count * given.element.size // 64) * 64
    for register, state in streams.items():
        code += _set(register, state)
    output = Binding.plain("y", _HOST[result.element], (1, result.count), address)
    stored = stream_of(result.element, address, result.counts, space=Space.GLOBAL)
    code += [*instructions, *_set(_TO, stored), Store(_TO, 0), Halt()]
    return Program(
        _TARGET,
        {0: tuple(code)},
        (),
        constants,
        tuple(bindings),
        (output,),
        address + output.size,
    )


def literal_result(program: Program, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Return what literal steps leave in "y"."""
    machine = Machine(program)
    machine.reset(inputs)
    while machine.step() is not None:
        pass
    return machine.outputs(codes=True)["y"]


def _set(register: int, state: StreamState) -> list[Instruction]:
    axes = enumerate(zip(state.counts, state.strides, strict=True))
    dims = [Dim(register, axis, count, stride) for axis, (count, stride) in axes if count > 1]
    return [Stream(register, state.space, state.element, state.base), *dims]
