"""Bounds of well-known networks on the chip that PIMCOMP ships, and on a target.

Expected numbers: a study of PIMCOMP-NN (commit 2ed10c8) with its own configuration: 144 cores of
64 logical arrays, 128 x 128 weights each, one start each 200 ns a core, 800 ns a window as built
and 4000 ns as meant; every convolution a dense matrix. The optima were found by a MILP solver.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import hypothesis.strategies as st
import pytest
from hypothesis import given
from support.product_shapes import (
    ProductShape,
    alexnet,
    googlenet_5x5,
    inception_v3_224,
    mobilenet_v2,
    products,
    resnet50_v1,
    shufflenet_v1,
)
from support.timed_program import dense

from imcc.compiler.mapping.bounds import (
    Resources,
    Rounds,
    Traffic,
    divisible_time,
    issue_time,
    latency_bound,
    period_bound,
    sequential_bound,
    window_time,
    work_time,
)
from imcc.compiler.mapping.cost import dense_arrays
from imcc.compiler.mapping.replicate import (
    Layer,
    least_arrays,
    pipelined,
    sequential,
    sequential_greedy,
    throughput,
)
from imcc.isa.target import Converter, load_target
from imcc.runtime.timing import product_cost

NETWORKS: dict[str, Callable[[], tuple[ProductShape, ...]]] = {
    "resnet18": lambda: products("resnet18"),
    "squeezenet": lambda: products("squeezenet1_1"),
    "vgg16": lambda: products("vgg16"),
    "resnet50": resnet50_v1,
    "googlenet": googlenet_5x5,
    "mobilenetv2": mobilenet_v2,
    "alexnet": alexnet,
    "inception_v3": inception_v3_224,
    "shufflenet": shufflenet_v1,
}


@dataclass(frozen=True)
class Counts:
    """One replica of each layer; reads of row blocks and of arrays for one sample."""

    layers: int
    arrays: int
    windows: int
    row_reads: int
    array_reads: int


@dataclass(frozen=True)
class Optima:
    """In windows, but for `period_arrays`: the arrays that the shortest period takes."""

    period: int
    period_arrays: int
    sequential: int
    greedy: int
    pipelined: int


@dataclass(frozen=True)
class Row:
    """One network of the study; `divisible` and `work` are in windows."""

    network: str
    cores: int
    counts: Counts
    optima: Optima
    divisible: float
    work: float
    issue_us: float


VGG16 = Counts(16, 8_454, 137_791, 709_780, 1_133_376)
ROWS = (
    Row(
        "resnet18",
        144,
        Counts(21, 727, 30_234, 132_500, 163_888),
        Optima(19, 9_004, 307, 310, 36),
        *(302.6, 17.8, 184.0),
    ),
    Row(
        "squeezenet",
        144,
        Counts(26, 108, 37_042, 50_962, 59_412),
        Optima(7, 8_580, 131, 131, 24),
        *(129.3, 6.4, 70.8),
    ),
    Row("vgg16", 144, VGG16, Optima(965, 9_198, 8_622, 8_622, 980), 8_561.7, 123.0, 985.8),
    Row("vgg16", 288, VGG16, Optima(108, 18_424, 1_223, 1_232, 123), 1_217.1, 61.5, 492.9),
    # The study has 67 windows for a pipelined sample, which its definition does not give: of the
    # 54 products 50 are on one path, and in 67 - 49 windows they need more than all arrays.
    Row(
        "resnet50",
        144,
        Counts(54, 1_576, 58_311, 185_432, 300_400),
        Optima(38, 9_084, 1_623, 1_629, 86),
        *(1_591.3, 32.6, 257.5),
    ),
    Row(
        "googlenet",
        144,
        Counts(58, 566, 34_693, 113_639, 158_726),
        Optima(18, 8_990, 678, 683, 39),
        *(670.2, 17.2, 157.8),
    ),
    Row(
        "mobilenetv2",
        144,
        Counts(53, 3_006, 80_753, 244_961, 515_217),
        Optima(66, 8_454, 1_878, 1_889, 118),
        *(1_859.7, 55.9, 340.2),
    ),
    Row(
        "alexnet",
        144,
        Counts(8, 3_814, 4_027, 32_096, 65_236),
        Optima(12, 8_747, 55, 56, 19),
        *(54.4, 7.1, 44.6),
    ),
)
BUILT, MEANT = 800.0, 4000.0  # ns a window


def layers_of(network: str, window_time: float = 1.0) -> list[Layer]:
    return [
        Layer(
            name=shape.name,
            windows=shape.windows,
            arrays=dense_arrays(shape.rows, shape.outputs, 128, 128),
            row_blocks=-(-shape.rows // 128),
            window_time=window_time,
            before=window_time * shape.before,
            after=window_time * shape.after,
        )
        for shape in NETWORKS[network]()
    ]


def chip_of(row: Row) -> Resources:
    return Resources(row.cores, 64, 200.0, 64.0, 25.6)


@pytest.fixture(params=ROWS, ids=lambda row: f"{row.network}-{row.cores}")
def row(request: pytest.FixtureRequest) -> Row:
    assert isinstance(request.param, Row)
    return request.param


def test_counts(row: Row) -> None:
    layers = layers_of(row.network)
    assert row.counts == Counts(
        len(layers),
        sum(layer.arrays for layer in layers),
        sum(layer.windows for layer in layers),
        sum(layer.windows * layer.row_blocks for layer in layers),
        sum(layer.windows * layer.arrays for layer in layers),
    )


@pytest.mark.parametrize(
    ("network", "arrays", "row_reads"),
    [("inception_v3", 1_762, 227_069), ("shufflenet", 1_522, 104_179)],
)
def test_counts_of_networks_without_optima(network: str, arrays: int, row_reads: int) -> None:
    """The crossbars of one replica, and the MVMUL instructions of the programs of PIMCOMP."""
    layers = layers_of(network)
    assert sum(layer.arrays for layer in layers) == arrays
    assert sum(layer.windows * layer.row_blocks for layer in layers) == row_reads


def test_replication(row: Row) -> None:
    layers, arrays = layers_of(row.network), 64 * row.cores
    assert throughput(layers, arrays).time == row.optima.period
    assert least_arrays(layers, row.optima.period) == row.optima.period_arrays
    assert sequential(layers, arrays).time == row.optima.sequential
    assert pipelined(layers, arrays).time == row.optima.pipelined


def test_a_pipelined_sample_ends_as_early_as_the_definition_allows(row: Row) -> None:
    """The least T with ``sum c_i * ceil(w_i / (T - h_i - t_i)) <= C``."""

    def needed(time: int) -> float:
        return sum(
            shape.arrays * -(-shape.windows // (time - shape.before - shape.after))
            for shape in layers_of(row.network)
        )

    assert needed(row.optima.pipelined) <= 64 * row.cores < needed(row.optima.pipelined - 1)


def test_the_greedy_is_as_good_as_that_of_the_study(row: Row) -> None:
    found = sequential_greedy(layers_of(row.network), 64 * row.cores)
    assert row.optima.sequential <= found.time <= row.optima.greedy
    assert found.bound <= row.optima.sequential


def test_closed_forms(row: Row) -> None:
    layers, arrays = layers_of(row.network), 64 * row.cores
    assert round(divisible_time(layers, arrays), 1) == row.divisible
    assert round(work_time(layers, arrays), 1) == row.work
    assert round(issue_time(layers, chip_of(row)) / 1000, 1) == row.issue_us


@pytest.mark.parametrize("window_time", [BUILT, MEANT])
def test_bounds_of_a_chip(row: Row, window_time: float) -> None:
    """HT, LL and SEQ of the study: the first two are the larger of replication and issue."""
    layers, chip, none = layers_of(row.network, window_time), chip_of(row), Traffic()
    window_us = window_time / 1000
    period, latency = period_bound(layers, chip, none), latency_bound(layers, chip, none)
    issue = row.issue_us
    assert round(period.value / 1000, 1) == max(round(row.optima.period * window_us, 1), issue)
    assert round(latency.value / 1000, 1) == max(round(row.optima.pipelined * window_us, 1), issue)
    in_order = sequential_bound(layers, chip, none)
    assert in_order.replication / 1000 == pytest.approx(row.optima.sequential * window_us)


@pytest.mark.parametrize(
    ("network", "cores", "window_time", "period_us", "sequential_us", "latency_us"),
    [
        ("resnet18", 144, BUILT, 184.0, 245.6, 184.0),
        ("squeezenet", 144, MEANT, 70.8, 524.0, 96.0),
        ("vgg16", 144, MEANT, 3_860.0, 34_488.0, 3_920.0),
        ("vgg16", 288, BUILT, 492.9, 978.4, 492.9),
        ("googlenet", 144, MEANT, 157.8, 2_712.0, 157.8),
        ("mobilenetv2", 144, MEANT, 340.2, 7_512.0, 472.0),
        ("alexnet", 144, BUILT, 44.6, 44.0, 44.6),
        ("alexnet", 144, MEANT, 48.0, 220.0, 76.0),
    ],
)
def test_published_bounds(
    network: str,
    cores: int,
    window_time: float,
    period_us: float,
    sequential_us: float,
    latency_us: float,
) -> None:
    layers, none = layers_of(network, window_time), Traffic()
    chip = Resources(cores, 64, 200.0, 64.0, 25.6)
    assert round(period_bound(layers, chip, none).value / 1000, 1) == period_us
    assert round(sequential_bound(layers, chip, none).replication / 1000, 1) == sequential_us
    assert round(latency_bound(layers, chip, none).value / 1000, 1) == latency_us


def test_traffic_is_divided_by_bandwidth() -> None:
    """An image of 224 x 224 x 3 and 1000 outputs of 16 bits at 64 bytes a ns: 4.7 us."""
    traffic = Traffic(memory_bytes=2 * (224 * 224 * 3 + 1000), network_bytes=2_560)
    bound = period_bound(layers_of("resnet18"), chip_of(ROWS[0]), traffic)
    assert round(bound.memory / 1000, 1) == 4.7
    assert bound.network == pytest.approx(100.0)
    assert bound.value == bound.issue


def test_all_arrays_of_a_target_can_work_at_once() -> None:
    """ISAAC has 168 cores of 96 arrays at 1.2 GHz, 32 bytes a cycle and port."""
    chip = Resources.of(load_target("isaac"))
    assert (chip.cores, chip.arrays) == (168, 168 * 96)
    assert chip.memory_bytes_per_ns == pytest.approx(38.4)
    assert chip.network_bytes_per_ns == pytest.approx(168 * 38.4)
    layers = [Layer("a", 10, 96, 1, 800.0), Layer("b", 10, 97, 2, 800.0)]
    assert issue_time(layers, chip) == 0.0
    # Where a core finishes a window before the next: the second takes two cores at least.
    serial = replace(chip, issue_ns=None)
    assert issue_time(layers, serial) == pytest.approx((10 + 2 * 10) * 800 / 168)


def test_the_target_pimcomp_is_the_chip_of_the_study() -> None:
    assert Resources.of(load_target("pimcomp")) == Resources(144, 64, 200.0, 64.0, 25.6)
    assert window_time(load_target("pimcomp"), 8, 128) == BUILT


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 4), st.floats(0, 60, width=16))
def test_rounds_take_what_the_machine_counts(
    windows: int, copies: int, row_blocks: int, start_ns: float
) -> None:
    """Scheduler and simulator have the same formula, each on its own."""
    tiny = load_target("tiny")
    timing = tiny.timing.model_copy(update={"t_start_ns": start_ns})
    target = tiny.model_copy(update={"timing": timing})
    matrix = dense(target, 32 * row_blocks, 2, 4, False)
    tiles = tuple(
        replace(tile, array=tile.array + copy * row_blocks, copy=copy)
        for copy in range(copies)
        for tile in matrix.tiles
    )
    counted = product_cost(replace(matrix, tiles=tiles, copies=copies), target)
    rounds = Rounds(copies, row_blocks, 80.0, start_ns)
    assert rounds.time(windows) == pytest.approx(counted.time(windows))


@pytest.mark.parametrize(
    ("target", "columns", "nanoseconds"),
    [
        ("isaac", 128, 8 * 100.0),  # 128 conversions of 0.78125 ns take as long as a step
        ("isaac", 8, 8 * 100.0),
        ("dcim22", 64, 8 * 2.488),
    ],
)
def test_time_of_a_window(target: str, columns: int, nanoseconds: float) -> None:
    assert window_time(load_target(target), 8, columns) == pytest.approx(nanoseconds)


def test_few_converters_make_a_window_longer() -> None:
    """NeuRRAM takes 4 input bits a step; 256 columns on 64 converters are 4 rounds of 3 us."""
    few = load_target("neurram").model_copy(update={"adc": Converter(bits=10, per_array=64)})
    assert window_time(few, 8, 256) == pytest.approx(2 * 4 * 3000.0)
