"""Programs of this project as PIMCOMP's instructions, and their time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from imcc.isa.cost import CostModel
from imcc.isa.errors import ValidationError
from imcc.isa.fields import Role, Space
from imcc.isa.instructions import (
    Barrier,
    Copy,
    Fill,
    Gather,
    Host,
    Load,
    Mvm,
    Phase,
    Store,
    Write,
    WriteMatrix,
)
from imcc.isa.matrix import Matrix
from imcc.isa.program import Program
from imcc.isa.walk import Exchange, Operation, interleave

from .clocks import Clocks, Rates, exchange
from .slots import Slots

DEFAULT_INPUTS = 3


@dataclass(frozen=True)
class Evaluation:
    """What PIMCOMP's model says of a program, in ns, and what the program does for one input.

    `latency_ns` is the end of the first input, `period_ns` the time between the ends of the last
    two; with phases the one is that of as many rounds as there are, the other a round. `mvmuls`
    counts windows times row blocks and `array_reads` windows times arrays, `adds` the additions of
    their sums. `start_ns` is the time of the starts of the busiest core, `memory_ns` and `bus_ns`
    are those that the global memory and the bus are taken: none of them can be shorter than the
    period.
    """

    latency_ns: int
    period_ns: int
    mvmuls: int
    array_reads: int
    adds: int
    start_ns: int
    memory_ns: int
    bus_ns: int


def evaluate(
    program: Program, rates: Rates | None = None, inputs: int = DEFAULT_INPUTS
) -> Evaluation:
    """Estimate a valid program for some inputs in a row; a core begins the next when it is done.

    With phases inputs are rounds: all cores begin one together, and each phase is for another
    input, as in PIMCOMP's programs for high throughput.

    Raises `ValidationError` where cores wait for each other for ever, and for programs with lags.
    """
    if program.lags:
        raise ValidationError("PIMCOMP's model has no lags: its cores take input by input")
    player = _Player(program, rates or Rates())
    ends = [0]
    for _ in range(inputs):
        player.play()
        ends.append(player.time)
    starts = max(player.starts.values(), default=0)
    return Evaluation(
        latency_ns=ends[1] * program.phases,
        period_ns=ends[-1] - ends[-2],
        mvmuls=player.starts.total() // inputs,
        array_reads=player.array_reads // inputs,
        adds=player.adds // inputs,
        start_ns=starts * player.rates.start_ns // inputs,
        memory_ns=player.memory.taken // inputs,
        bus_ns=player.bus.taken // inputs,
    )


@dataclass(frozen=True)
class _RowBlock:
    arrays: tuple[int, ...]
    rows: int


@dataclass(frozen=True)
class _Product:
    """A matrix as array groups: the row blocks of each copy, and what is added up a window."""

    copies: tuple[tuple[_RowBlock, ...], ...]
    adds: tuple[int, ...]
    columns: int

    @classmethod
    def of(cls, matrix: Matrix) -> _Product:
        held: dict[tuple[int, int], list[int]] = {}
        rows: dict[int, int] = {}
        for tile in matrix.tiles:
            held.setdefault((tile.copy, tile.k), []).append(tile.array)
            rows[tile.k] = tile.rows
        copies = tuple(
            tuple(_RowBlock(tuple(dict.fromkeys(held[c, k])), rows[k]) for k in sorted(rows))
            for c in range(matrix.copies)
        )
        _, block_rows, block_cols = matrix.stack
        blocks = Counter(k // block_rows for k in rows)
        adds = (
            min(block_cols, matrix.cols - block * block_cols)
            for block, count in blocks.items()
            for _ in range(count - 1)
        )
        return cls(copies, tuple(adds), matrix.cols)


class _Player:
    """A chip on which inputs run one behind the other."""

    def __init__(self, program: Program, rates: Rates) -> None:
        self.rates = rates
        self.cores = {core: Clocks(rates) for core in program.cores}
        self.memory, self.bus = Slots(), Slots()
        self.starts: Counter[int] = Counter()
        self.array_reads = self.adds = 0
        self._program = program
        self._model = CostModel.of(program)
        self._products = tuple(map(_Product.of, program.matrices))

    @property
    def time(self) -> int:
        """When the last core has its results."""
        return max((clocks.results for clocks in self.cores.values()), default=0)

    def play(self) -> None:
        """One input."""
        walk = interleave(self._program, lambda core: self.cores[core].inputs, in_rounds=True)
        for one in walk:
            if isinstance(one, Exchange):
                sender, receiver = self.cores[one.send.core], self.cores[one.recv.core]
                exchange(sender, receiver, one.send.streams["src"].count, self.bus)
            else:
                self._operate(self.cores[one.core], one)
        for clocks in self.cores.values():
            clocks.end_group()
        if self._program.phases > 1:
            time = self.time
            for clocks in self.cores.values():
                clocks.begin_round(time)

    def _operate(self, clocks: Clocks, operation: Operation) -> None:
        streams = operation.streams
        match operation.instruction:
            case Write() | WriteMatrix() | Host() | Phase():
                return
            case Barrier():
                clocks.work()
                clocks.results = self.time
            case Load():
                clocks.load(streams["dst"].count, self.memory)
            case Store():
                clocks.store(streams["dst"].count, self.memory)
            case Copy() | Gather():
                self._bring(clocks, operation)
                clocks.move(self.rates.copy(streams["dst"].count))
            case Fill():
                clocks.move(self.rates.fill(streams["dst"].count))
            case Mvm():
                self._bring(clocks, operation)
                self._multiply(clocks, operation, operation.instruction)
            case _:
                self._bring(clocks, operation)
                clocks.compute(self._model.cost(operation).vector_ops)

    def _bring(self, clocks: Clocks, operation: Operation) -> None:
        """Load what an instruction reads in global memory; of a table only the rows it needs."""
        for kind in operation.instruction.layout:
            if kind.kind.role is not Role.READ:
                continue
            stream = operation.streams[kind.name]
            if stream.space is Space.GLOBAL:
                gathered = isinstance(operation.instruction, Gather) and kind.name == "table"
                read = operation.streams["dst"] if gathered else stream
                clocks.load(read.count, self.memory)

    def _multiply(self, clocks: Clocks, operation: Operation, mvm: Mvm) -> None:
        product = self._products[mvm.matrix]
        source = operation.streams["src"]
        windows = prod(source.counts[: len(source.counts) - mvm.inner])
        adds = (*product.adds, *((product.columns,) if mvm.accumulate else ()))
        clocks.begin_product()
        for window in range(windows):
            self._window(clocks, product.copies[window % len(product.copies)], adds)
        reads = sum(len(block.arrays) for block in product.copies[0])
        self.starts[operation.core] += windows * len(product.copies[0])
        self.array_reads += windows * reads
        self.adds += windows * len(adds)

    def _window(self, clocks: Clocks, blocks: Sequence[_RowBlock], adds: Sequence[int]) -> None:
        for block in blocks:
            clocks.multiply(block.arrays, block.rows)
        for elements in adds:
            clocks.add_up(elements)
