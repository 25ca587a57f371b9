"""Decoding: a program becomes a list of steps that runs a whole batch.

1. Control flow is walked once; `write` is executed at once, since cells do not depend on inputs.
2. Each operation becomes a step, with all parameters known before the run taken in.
3. Backwards, steps whose results nobody reads are dropped, and a requant takes over the product
   before it where nobody else reads the accumulators.

What a later operation, an output or a probe reads is the same as with the literal interpreter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from imcc.isa.instructions import Requant
from imcc.isa.program import Program
from imcc.isa.stream import StreamState
from imcc.isa.walk import Exchange, Operation

from .checks import explained, parts
from .constants import KnownBytes
from .crossbar import Crossbars
from .liveness import LiveBytes
from .lowering import Context, ProductKey, lowers, place, requant_row
from .memory import Layout, Memory, Place
from .mvm_steps import MvmRequantStep, MvmStep
from .products import Product
from .semantics import Chip
from .steps import CaptureStep, CopyStep, Step


@dataclass(frozen=True)
class Probe:
    """A request for the elements of `stream` after the operation of `core` at `pc`.

    Where the operation runs several times, the last time counts, or the first.
    """

    core: int
    pc: int
    stream: StreamState
    last: bool = True


@dataclass(frozen=True)
class _Decoded:
    """A step, and the step that does its work and that of the one before, if there is one."""

    step: Step
    fused: MvmRequantStep | None = None


def decode(
    program: Program,
    layout: Layout,
    operations: Sequence[Operation | Exchange],
    products: dict[ProductKey, tuple[Product, ...]],
    probes: Mapping[str, Probe],
) -> tuple[Step, ...]:
    """Return the steps of a program. `products` keeps prepared products between calls."""
    chip = Chip(program, Memory(layout, 0), Crossbars(program.target))
    context = Context(chip, KnownBytes(layout), products)
    captures = _captures(operations, probes)
    decoded: list[_Decoded] = []
    for index, operation in enumerate(operations):
        with explained(program, operation):
            decoded += _lower(context, operation, decoded[-1].step if decoded else None)
        decoded += [_Decoded(step) for step in captures.get(index, ())]
    return _needed(program, layout, decoded)


def _captures(
    operations: Sequence[Operation | Exchange], probes: Mapping[str, Probe]
) -> dict[int, list[CaptureStep]]:
    """Return the captures to insert after each operation, by its index."""
    visits: dict[tuple[int, int], list[int]] = {}
    for index, operation in enumerate(operations):
        for part in parts(operation):
            visits.setdefault((part.core, part.pc), []).append(index)
    captures: dict[int, list[CaptureStep]] = {}
    for name, probe in probes.items():
        indices = visits[probe.core, probe.pc]
        step = CaptureStep(name, Place(probe.core, probe.stream))
        captures.setdefault(indices[-1 if probe.last else 0], []).append(step)
    return captures


def _lower(
    context: Context, operation: Operation | Exchange, before: Step | None
) -> list[_Decoded]:
    if isinstance(operation, Exchange):
        src, dst = place(operation.send, "src"), place(operation.recv, "dst")
        context.known.copy(src, dst)
        return [_Decoded(CopyStep(src, dst))]
    fused = None
    if isinstance(operation.instruction, Requant) and isinstance(before, MvmStep):
        fused = _fused(context, operation, before)
    step = lowers[type(operation.instruction)](context, operation)
    return [] if step is None else [_Decoded(step, fused)]


def _fused(context: Context, operation: Operation, product: MvmStep) -> MvmRequantStep | None:
    """Return the product with the requant that reads exactly its accumulators."""
    if product.accumulate or product.dst != place(operation, "src"):
        return None
    columns = product.dst.stream.count // product.windows
    row = requant_row(context, operation, product.product.bound, columns)
    if row is None:
        return None
    dst = place(operation, "dst")
    return MvmRequantStep(product.src, dst, product.product, product.windows, row[0])


def _needed(program: Program, layout: Layout, decoded: Sequence[_Decoded]) -> tuple[Step, ...]:
    """Drop what nobody reads, and fuse where the accumulators between are read by nobody else."""
    live = LiveBytes(layout)
    for binding in program.outputs:
        live.revive_range(binding.address, binding.address + binding.size)
    steps: list[Step] = []
    index = len(decoded) - 1
    while index >= 0:
        step, fused = decoded[index].step, decoded[index].fused
        index -= 1
        if step.writes and not live.any(step.writes):
            continue
        if fused is not None and not live.any(step.reads):
            step = fused
            index -= 1
        live.kill(step.writes)
        live.revive(step.reads)
        steps.append(step)
    return tuple(reversed(steps))
