"""The machine: runs a program for a batch of inputs, bit for bit as the chip would.

`run` decodes the program once and executes the decoded form on all inputs, chunk by chunk, on
several threads. `reset` and `step` execute it literally, one operation at a time, with every
memory open to look at. Both give the same results; tests hold them to it.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from threadpoolctl import ThreadpoolController

from imcc.isa import validate as validate_program
from imcc.isa.program import Program
from imcc.isa.stream import StreamState
from imcc.isa.walk import Exchange, Operation, interleave

from .bindings import check_inputs, codes_of, place_of, values_of
from .checks import WrittenBytes, check_operations, explained, parts
from .crossbar import Crossbar, Crossbars
from .decode import Probe, decode
from .errors import MachineError
from .lowering import ProductKey
from .memory import DTYPES, Bytes, Elements, Layout, Memory, Place, layout_of
from .products import Product
from .scratch import Scratch
from .semantics import Chip, execute
from .steps import Run, Step, Worker

# Operations cut their own work to fit the cache, so a chunk is as large as its memory allows: the
# more inputs share an operation, the less its dispatch costs. Beyond 16 nothing is gained.
_CHUNK_BYTES = 1 << 26
_LARGEST_CHUNK = 16


@dataclass(frozen=True)
class _Bound:
    """Decoded steps bound to the memory of one worker."""

    worker: Worker
    runs: tuple[Run, ...]


class Machine:
    """A chip with a program loaded.

    `threads` workers run chunks of a batch side by side (default: `IMCC_NUM_THREADS`, else the
    CPUs this process may use); `chunk` is the largest number of inputs a worker runs at once
    (default: 16, fewer where that would take more than 64 MiB). Results depend on neither.

    Programs that reach outside a memory, write constants or name a matrix that does not fit are
    refused with `MachineError`; with `validate`, all rules of the instruction set are checked.
    """

    def __init__(
        self,
        program: Program,
        *,
        threads: int | None = None,
        chunk: int | None = None,
        validate: bool = False,
    ) -> None:
        if validate:
            validate_program(program)
        self.program = program
        self._operations = tuple(interleave(program))
        self._layout = _layout(program, self._operations)
        check_operations(program, self._layout, self._operations)
        self._threads = threads or _default_threads()
        self._chunk = chunk or _default_chunk(self._layout)
        self._products: dict[ProductKey, tuple[Product, ...]] = {}
        self._steps: tuple[Step, ...] | None = None
        self._idle: dict[int, queue.SimpleQueue[_Bound]] = {}
        self._literal: _Literal | None = None

    def run(self, inputs: Mapping[str, Elements], *, codes: bool = False) -> dict[str, Elements]:
        """Outputs [batch, ...] by name for inputs [batch, ...] by name.

        Real-valued inputs are quantized by their binding, as ONNX QuantizeLinear does; arrays
        of the binding's own integer type are codes already. Outputs are float32 values, or
        codes if `codes`. Raises `MachineError` listing every input that does not fit.
        """
        if self._steps is None:
            self._steps = decode(self.program, self._layout, self._operations, self._products, {})
        outputs, _ = self._run_chunks(inputs, self._steps, self._idle)
        return outputs if codes else self._reals(outputs)

    def probe(
        self, inputs: Mapping[str, Elements], probes: Mapping[str, Probe]
    ) -> dict[str, Elements]:
        """The elements [batch, count] that each probe asks for, by name."""
        steps = decode(self.program, self._layout, self._operations, self._products, probes)
        _, captured = self._run_chunks(inputs, steps, {})
        return {name: captured[name].reshape(len(captured[name]), -1) for name in probes}

    def reset(self, inputs: Mapping[str, Elements]) -> None:
        """Begin a literal run: memories empty but for constants and inputs, cells unwritten."""
        batch = check_inputs(self.program, inputs)
        memory = Memory(self._layout, batch)
        self._write_inputs(memory, inputs, slice(0, batch))
        chip = Chip(self.program, memory, Crossbars(self.program.target))
        self._literal = _Literal(chip, WrittenBytes(self._layout, self.program))

    def step(self) -> Operation | Exchange | None:
        """Execute the next operation literally and return it; None at the end of the program.

        Raises `MachineError` where it reads memory or cells that were never written.
        """
        literal = self._stepping()
        if literal.next == len(self._operations):
            return None
        operation = self._operations[literal.next]
        with explained(self.program, operation):
            for part in parts(operation):
                literal.written.check(part)
            execute(literal.chip, operation)
            for part in parts(operation):
                literal.written.mark(part)
        literal.next += 1
        return operation

    def outputs(self, *, codes: bool = False) -> dict[str, Elements]:
        """What the outputs hold now, in a literal run."""
        memory = self._stepping().chip.memory
        found = {b.name: memory.view(place_of(b)).copy() for b in self.program.outputs}
        shaped = {
            b.name: found[b.name].reshape(memory.batch, *b.shape[1:]) for b in self.program.outputs
        }
        return shaped if codes else self._reals(shaped)

    def local(self, core: int) -> Bytes:
        """The used part of a core's local memory in a literal run, [batch, bytes]."""
        return self._stepping().chip.memory.local[core]

    def array(self, core: int, array: int) -> Crossbar:
        """The cells of an array in a literal run."""
        return self._stepping().chip.crossbars.array(core, array)

    def read(self, stream: StreamState, core: int) -> Elements:
        """The elements [batch, *counts] of a stream in a literal run."""
        memory = self._stepping().chip.memory
        view = memory.view(Place(core, stream))
        return view.reshape((memory.batch, *stream.counts))

    def _stepping(self) -> _Literal:
        if self._literal is None:
            raise MachineError("call reset(inputs) before stepping or looking into memories")
        return self._literal

    def _reals(self, outputs: Mapping[str, Elements]) -> dict[str, Elements]:
        return {b.name: values_of(b, outputs[b.name]) for b in self.program.outputs}

    def _write_inputs(self, memory: Memory, inputs: Mapping[str, Elements], rows: slice) -> None:
        count = rows.stop - rows.start
        for binding in self.program.inputs:
            view = memory.view(place_of(binding))
            codes = codes_of(binding, np.asarray(inputs[binding.name][rows]))
            view[:count] = codes.reshape(view[:count].shape)
            # A chunk that is not full repeats an input: an error there is one of a real input.
            view[count:] = view[:1]

    def _run_chunks(
        self,
        inputs: Mapping[str, Elements],
        steps: Sequence[Step],
        idle: dict[int, queue.SimpleQueue[_Bound]],
    ) -> tuple[dict[str, Elements], dict[str, Elements]]:
        """Run the batch in chunks of equal size; returns output codes and captured elements."""
        batch = check_inputs(self.program, inputs)
        size, chunks = self._cut(batch)
        waiting = idle.setdefault(size, queue.SimpleQueue())
        outputs = {
            b.name: np.empty((batch, *b.shape[1:]), DTYPES[b.element]) for b in self.program.outputs
        }
        captured: list[dict[str, Elements]] = [{} for _ in chunks]

        def work(index: int) -> None:
            rows = chunks[index]
            bound = self._worker(waiting, steps, size)
            self._write_inputs(bound.worker.memory, inputs, rows)
            for run in bound.runs:
                run()
            self._collect(bound.worker, outputs, rows)
            count = rows.stop - rows.start
            captured[index] = {k: v[:count] for k, v in bound.worker.captured.items()}
            waiting.put(bound)

        with _one_blas_thread(), ThreadPoolExecutor(min(self._threads, len(chunks))) as pool:
            list(pool.map(work, range(len(chunks))))
        names = captured[0].keys()
        return outputs, {k: np.concatenate([part[k] for part in captured]) for k in names}

    def _cut(self, batch: int) -> tuple[int, list[slice]]:
        """Inputs a chunk, and the chunks: as few as allowed, with equal work for all threads."""
        rounds = -(-batch // (self._chunk * self._threads))
        count = min(rounds * self._threads, batch)
        size = -(-batch // count)
        return size, [slice(i, min(i + size, batch)) for i in range(0, batch, size)]

    def _worker(
        self, waiting: queue.SimpleQueue[_Bound], steps: Sequence[Step], size: int
    ) -> _Bound:
        """A worker that is idle, or a new one."""
        try:
            return waiting.get_nowait()
        except queue.Empty:
            chip = Chip(self.program, Memory(self._layout, size), Crossbars(self.program.target))
            worker = Worker(chip, Scratch(), {})
            return _Bound(worker, tuple(step.bind(worker) for step in steps))

    def _collect(self, worker: Worker, outputs: dict[str, Elements], rows: slice) -> None:
        for binding in self.program.outputs:
            part = outputs[binding.name][rows]
            part[...] = worker.memory.view(place_of(binding))[: len(part)].reshape(part.shape)


@dataclass
class _Literal:
    """A literal run in progress."""

    chip: Chip
    written: WrittenBytes
    next: int = 0


def _layout(program: Program, operations: Sequence[Operation | Exchange]) -> Layout:
    places = (
        Place(part.core, stream)
        for operation in operations
        for part in parts(operation)
        for stream in part.streams.values()
    )
    return layout_of(program, places)


def _default_threads() -> int:
    chosen = os.environ.get("IMCC_NUM_THREADS", "")
    if chosen.isdigit() and int(chosen):
        return int(chosen)
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _default_chunk(layout: Layout) -> int:
    image = sum(layout.local.values()) + layout.global_size - layout.global_base
    return max(1, min(_LARGEST_CHUNK, _CHUNK_BYTES // image))


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Keep BLAS to one thread: the workers are the threads, and small products stall in more."""
    with ThreadpoolController().limit(limits=1, user_api="blas"):
        yield
