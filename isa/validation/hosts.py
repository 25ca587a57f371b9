"""Host partitions: what they read and write, and that each is run once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import isfinite

from ..fields import Space
from ..instructions import STREAM_AXES, Host
from ..program import Binding, HostPartition, Program
from ..stream import StreamState
from ..walk import Operation

MAX_PARTITIONS = 1 << 16


class Partitions:
    """Which partitions have been run."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._run: set[int] = set()

    def start(self, instruction: Host) -> Iterator[str]:
        """Note that a partition is run."""
        number = instruction.partition
        if number >= len(self._program.hosts):
            yield f"partition p{number} does not exist; there are {len(self._program.hosts)}"
        elif number in self._run:
            yield f"partition p{number} is run a second time"
        self._run.add(number)

    def missing(self) -> Iterator[str]:
        """Report partitions that nothing runs."""
        for number, host in enumerate(self._program.hosts):
            if number not in self._run:
                yield f"host partition p{number} {host.name!r} is never run"


def accesses(program: Program, operation: Operation, instruction: Host) -> Iterator[Operation]:
    """The reads and writes of a host instruction, one operand each, reads first."""
    host = program.hosts[instruction.partition]
    for binding in host.inputs:
        yield _access(operation, f"input {binding.name!r}", binding)
    for binding in host.outputs:
        yield _access(operation, "dst", binding)


def _access(operation: Operation, name: str, binding: Binding) -> Operation:
    counts = (*[1] * (STREAM_AXES - 1), binding.count)
    strides = (*[0] * (STREAM_AXES - 1), binding.element.size)
    stream = StreamState(Space.GLOBAL, binding.element, binding.address, counts, strides)
    return Operation(operation.core, operation.pc, operation.instruction, {name: stream}, None)


def check_partitions(program: Program) -> Iterator[str]:
    """Check what is known of partitions before they run; their models are the host's affair."""
    if len(program.hosts) > MAX_PARTITIONS:
        yield f"there are {len(program.hosts)} host partitions; at most {MAX_PARTITIONS} may be"
    for number, host in enumerate(program.hosts):
        for text in _problems(program, host):
            yield f"host partition p{number}: {text}"


def _problems(program: Program, host: HostPartition) -> Iterator[str]:
    if not host.model or not host.outputs:
        yield "it has no model" if not host.model else "it has no outputs"
    names = [binding.name for binding in host.inputs]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"the input {name!r} is bound more than once"
    for binding in (*host.inputs, *host.outputs):
        if min(binding.shape, default=1) < 1:
            yield f"{binding.name!r} has shape {binding.shape}; extents must be positive"
        yield from binding_problems(program, binding)
    ordered = sorted(host.outputs, key=lambda binding: binding.address)
    for one, other in pairwise(ordered):
        if other.address < one.address + one.size:
            yield f"the outputs {one.name!r} and {other.name!r} overlap in global memory"


def binding_problems(program: Program, binding: Binding) -> Iterator[str]:
    """Check a tensor of the host in global memory, but for its shape."""
    end = binding.address + binding.size
    if not 1 <= binding.bits <= 8 * binding.element.size:
        yield f"{binding.name!r} has codes of {binding.bits} bits in {binding.element.size} bytes"
        return
    low, high = binding.limits
    if binding.address < len(program.constants) or end > program.global_size:
        yield (
            f"{binding.name!r} takes bytes {binding.address}..{end - 1}; allowed are "
            f"{len(program.constants)}..{program.global_size - 1}"
        )
    if binding.address % binding.element.size:
        yield f"{binding.name!r} at {binding.address} is not aligned to its element"
    if not isfinite(binding.scale) or binding.scale < 0:
        yield f"{binding.name!r} has scale {binding.scale}; it must be finite and not negative"
    if not low <= binding.zero_point <= high:
        yield f"{binding.name!r} has zero point {binding.zero_point}; it must be in {low}..{high}"
    if not binding.scale and binding.element is not binding.dtype.element:
        yield (
            f"{binding.name!r} has {binding.dtype.name.lower()} values without a scale; they lie "
            f"in elements of {binding.dtype.element.name.lower()}, not of "
            f"{binding.element.name.lower()}"
        )
