"""Cutting one product into parts that fit a core, before anything is placed.

1. A grouped convolution is one matrix whose diagonal blocks are runs of whole groups that
   together fill the rows of an array, such as 14 channels of a 3x3 depthwise kernel in 128 rows.
   If it needs more than an empty core, it is cut in equal ranges of runs.
2. A run or an ordinary product that needs more than an empty core is cut in equal ranges of
   outputs, as long as each keeps `LEAST_OUTPUTS`, and else in ranges of input channels too, whose
   partial sums are added.

Who wants something else gets a product in any ranges of both (`divided`), or in runs of row blocks
as long as there is room for (`poured`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from math import prod

from imcc.isa.target import Target

from ..errors import UnsupportedError
from ..ir.graph import Node
from ..ir.ops.quantized import QConv
from ..ir.ops.tiled import Product, shard_weights
from ..ir.sketch import is_sketch, thinned
from ..ir.types import QuantParams
from .bounds import window_time
from .encoding import Weights, choose_code
from .options import AdcPolicy
from .partition import Cut, cells_per_weight, cut, is_stacked, logical_rows
from .place import CoreSpace, Shape

LEAST_OUTPUTS = 16
_SUM = 4  # bytes of a partial sum


@dataclass(frozen=True)
class Span:
    """Input channels [c0, c1) times output channels [n0, n1) of a product.

    `block_cols` are the outputs of a diagonal block.
    """

    c0: int
    c1: int
    n0: int
    n1: int
    block_cols: int


@dataclass(frozen=True, eq=False)
class Part:
    """A region of a product, cut for an array."""

    span: Span
    cut: Cut


@dataclass(frozen=True, eq=False)
class Cutter:
    """Cuts the product of one node for a target."""

    node: Node
    product: Product
    weight: Weights
    target: Target
    policy: AdcPolicy
    _cuts: dict[tuple[int, int, int], Cut] = field(default_factory=dict, init=False)
    _divided: dict[tuple[int, int], tuple[Part, ...]] = field(default_factory=dict, init=False)

    def whole(self) -> tuple[Part, ...] | None:
        """The product as one part; None if it does not fit an empty core."""
        return self._whole

    @cached_property
    def _whole(self) -> tuple[Part, ...] | None:
        if self.least_cells() > self._core_cells():
            return None
        return self._fitting([self._runs(0, self._run_count())])

    def least_cells(self) -> int:
        """Cells that the product takes at least, with a perfect packing."""
        return self._cells(self._runs(0, self._run_count()))

    def pieces(self) -> tuple[Part, ...]:
        """The product in parts that each fit an empty core."""
        return self._pieces

    @cached_property
    def _pieces(self) -> tuple[Part, ...]:
        runs = self._run_count()
        least = -(-self.least_cells() // self._core_cells())
        for count in range(least, runs + 1):
            pieces = self._fitting(self._runs(*edges) for edges in ranges(0, runs, count))
            if pieces is not None:
                return pieces
        return tuple(
            piece for run in range(runs) for piece in self._split(self._runs(run, run + 1))
        )

    def division(self, channels: int) -> tuple[int, int] | None:
        """So many ranges of input channels, and the fewest of outputs that make parts fit a core.

        None where there are none, or where there are groups.
        """
        outputs, inputs, groups = self._extents()
        if groups > 1 or channels > inputs:
            return None
        blocks, strips = self.counted(channels, 1)
        most = self.target.core.arrays // blocks
        return (channels, min(-(-strips // most), outputs)) if most else None

    def counted(self, channels: int, outputs: int) -> tuple[int, int]:
        """Row blocks, and strips of outputs, of a part if there are so many ranges of each."""
        made, inputs, _ = self._extents()
        tallest, widest = self._block()
        rows, columns = self._taps() * -(-inputs // channels), -(-made // outputs)
        return -(-rows // tallest), -(-columns // widest)

    def divided(self, channels: int, outputs: int) -> tuple[Part, ...]:
        """The product in so many ranges of input channels, and of outputs."""
        key = channels, outputs
        if key not in self._divided:
            whole = self._runs(0, self._run_count())
            self._divided[key] = tuple(
                self._part(Span(c0, c1, n0, n1, n1 - n0))
                for n0, n1 in ranges(whole.n0, whole.n1, outputs)
                for c0, c1 in ranges(whole.c0, whole.c1, channels)
            )
        return self._divided[key]

    @property
    def can_pour(self) -> bool:
        """Whether any row blocks of a strip can be a part: they are whole channels."""
        return self._taps() == 1 and self._extents()[2] == 1

    def poured(self, arrays: int, behind: Span | None = None) -> Part | None:
        """The next row blocks of one strip of outputs, at most so many; None behind the last."""
        made, inputs, _ = self._extents()
        tallest, widest = self._block()
        c0, n0 = (0, 0) if behind is None else (behind.c1, behind.n0)
        if c0 == inputs:
            c0, n0 = 0, n0 + widest
        if n0 >= made:
            return None
        n1 = min(n0 + widest, made)
        return self._part(Span(c0, min(c0 + arrays * tallest, inputs), n0, n1, n1 - n0))

    def port_time(self, part: Part) -> float:
        """Nanoseconds in which what a part reads and adds up for a window passes a port."""
        timing, span = self.target.timing, part.span
        read = (span.c1 - span.c0) * self._taps() * timing.moved(1)
        made = (span.n1 - span.n0) * timing.moved(_SUM)
        return (read + made) / timing.local_bytes_per_cycle / timing.clock_mhz * 1000.0

    def _block(self) -> tuple[int, int]:
        """Matrix rows and outputs that an array has room for."""
        return logical_rows(self.target), max(1, self.target.array.cols // self.cells_per_weight())

    def _taps(self) -> int:
        return prod(self.weight.shape[2:]) if isinstance(self.product, QConv) else 1

    def _runs(self, start: int, stop: int) -> Span:
        """Runs [start, stop) of groups, each a diagonal block."""
        outputs, channels, groups = self._extents()
        each = self._groups_per_run()
        first, last = start * each, min(stop * each, groups)
        return Span(
            first * channels // groups,
            last * channels // groups,
            first * outputs // groups,
            last * outputs // groups,
            min(each, last - first) * outputs // groups,
        )

    def _run_count(self) -> int:
        _, _, groups = self._extents()
        return -(-groups // self._groups_per_run())

    def _split(self, span: Span) -> tuple[Part, ...]:
        """One run in ranges of channels and outputs."""
        least = -(-self._cells(span) // self._core_cells())
        for q, p in chain(self._in_whole_arrays(span, least), _divisions(span, least)):
            pieces = self._fitting(
                Span(c0, c1, n0, n1, n1 - n0)
                for n0, n1 in ranges(span.n0, span.n1, p)
                for c0, c1 in ranges(span.c0, span.c1, q)
            )
            if pieces is not None:
                return pieces
        raise UnsupportedError(
            f"{self.node.label}: the weights of one output and one input channel do not fit the "
            f"{self.target.core.arrays} arrays of a core of target '{self.target.name}'"
        )

    def _fitting(self, spans: Iterable[Span]) -> tuple[Part, ...] | None:
        """The parts of these spans, if each fits an empty core."""
        empty, pieces, fitting = CoreSpace.empty(self.target), [], set[tuple[Shape, ...]]()
        for span in spans:
            piece = self._part(span)
            shapes = piece.cut.shapes
            if shapes not in fitting and empty.place(shapes) is None:
                return None
            fitting.add(shapes)
            pieces.append(piece)
        return tuple(pieces)

    def _in_whole_arrays(self, span: Span, least: int) -> list[tuple[int, int]]:
        """Divisions whose parts have an array for each rectangle, those that take least first.

        Cores are busy for the time of a window, whatever they hold; of divisions that take as much
        of them those come first that take less arrays. Rectangles that share an array are driven
        one after the other.
        """
        tallest, widest = self._block()
        found, outputs = [], span.n1 - span.n0
        for q, p in _divisions(span, least, 2 * least):
            rows, cols = self._taps() * -(-(span.c1 - span.c0) // q), -(-outputs // p)
            arrays = -(-rows // tallest) * -(-cols // widest)
            if arrays <= self.target.core.arrays:
                busy = q * p * self._time(q, cols)
                found.append((busy, q * p * arrays, q * p, q, p))
        return [(q, p) for *_, q, p in sorted(found)]

    def _time(self, ranges: int, outputs: int) -> float:
        """Nanoseconds of a window: the product, then the sums of other ranges come and are added.

        Nothing where cores start row blocks one by one: there arrays count, and ranges take less.
        """
        timing, core = self.target.timing, self.target.core
        if timing.t_start_ns:
            return 0.0
        bits = _bits(self.node.operands[0].type.quant)
        columns = min(outputs * self.cells_per_weight(), self.target.array.cols)
        come = timing.moved(_SUM) / timing.noc_bytes_per_cycle
        added = core.vector_cycles / core.vector_lanes
        sums = (ranges - 1) * outputs * (come + added) / timing.clock_mhz * 1000.0
        return window_time(self.target, bits, columns) + sums

    def _part(self, span: Span) -> Part:
        """Cut a span. Of a sketch, all spans of one size that share their inputs are equal."""
        size = span.c0, span.c1, span.n1 - span.n0
        made = self._cuts.get(size) if is_sketch(self.weight) else None
        if made is None:
            made = self._cuts[size] = self._cut(span)
        return Part(span, made)

    def _cut(self, span: Span) -> Cut:
        inputs, weights = (_bits(operand.type.quant) for operand in self.node.operands[:2])
        matrix = shard_weights(self.product, self.weight, span)
        try:
            return cut(matrix, weights, inputs, self.target, self.policy)
        except UnsupportedError as error:
            raise UnsupportedError(f"{self.node.label}: {error}") from error

    def _cells(self, span: Span) -> int:
        """Cells of a span, at least."""
        taps = self._taps()
        channels, outputs = span.c1 - span.c0, span.n1 - span.n0
        blocks, each = -(-outputs // span.block_cols), channels * span.block_cols // outputs
        last = (channels - (blocks - 1) * each) * (outputs - (blocks - 1) * span.block_cols)
        weights = taps * ((blocks - 1) * each * span.block_cols + last)
        return weights * self.cells_per_weight() * (2 if is_stacked(self.target) else 1)

    def cells_per_weight(self) -> int:
        """Cells of one row that a weight takes."""
        array = self.target.array
        bits = _bits(self.node.operands[1].type.quant)
        code = choose_code(array.encoding, array.cell_bits, bits, thinned(self.weight))
        return cells_per_weight(code, is_stacked(self.target))

    def _core_cells(self) -> int:
        return self.target.array.rows * self.target.array.cols * self.target.core.arrays

    def _extents(self) -> tuple[int, int, int]:
        """Outputs, input channels and groups."""
        if isinstance(self.product, QConv):
            group = self.product.group
            return self.weight.shape[0], self.weight.shape[1] * group, group
        return self.weight.shape[1], self.weight.shape[0], 1

    def _groups_per_run(self) -> int:
        outputs, channels, groups = self._extents()
        if groups == 1:
            return 1
        array = self.target.array
        rows = prod(self.weight.shape[2:]) * channels // groups
        cols = self.cells_per_weight() * outputs // groups
        return max(1, min(logical_rows(self.target) // rows, array.cols // cols, groups))


def _bits(quant: QuantParams | None) -> int:
    return 8 if quant is None else quant.bits


def _divisions(span: Span, least: int, ranges: int | None = None) -> Iterator[tuple[int, int]]:
    """Ways to cut a span in (channel ranges, output ranges), from `least` to `ranges` in all."""
    channels, outputs = span.c1 - span.c0, span.n1 - span.n0
    for q in range(1, min(channels, ranges or channels) + 1):
        most = outputs if q == channels else max(1, outputs // LEAST_OUTPUTS)
        most = min(most, ranges // q if ranges else most)
        for p in range(max(1, -(-least // q)), most + 1):
            yield q, p


def ranges(start: int, stop: int, count: int) -> Iterator[tuple[int, int]]:
    """`count` ranges of nearly equal length, the longer ones first."""
    size, longer = divmod(stop - start, count)
    for index in range(count):
        end = start + size + (index < longer)
        yield start, end
        start = end
