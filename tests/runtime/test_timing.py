"""Cycles and energy against values worked out by hand and the published cost formula."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, prod

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from support.hand_program import hand_program
from support.random_networks import NetworkMaker
from support.timed_program import dense, matrix, program, stream

from imcc.compiler.backend import emit
from imcc.compiler.ir import Graph
from imcc.compiler.ir.ops.quantized import QConv, QMatMul
from imcc.compiler.mapping import TileOptions, tile
from imcc.compiler.schedule import memory_check, schedule
from imcc.isa import Instruction, Matrix, Origin, Target, Tile, load_target
from imcc.isa.fields import ElementType, Rounding, Space
from imcc.isa.instructions import (
    Accumulate,
    Add,
    Barrier,
    Copy,
    Dim,
    Fill,
    Load,
    Loop,
    Lut,
    Max,
    Mvm,
    Recv,
    Send,
    Setq,
    Softmax,
    Step,
    Store,
    Stream,
    Sum,
    Write,
)
from imcc.isa.target import RequantMode
from imcc.runtime.timing import Profile, product_cost, profile

TINY = load_target("tiny")
ISAAC = load_target("isaac")
U8, I32 = ElementType.U8, ElementType.I32
LOCAL, GLOBAL = Space.LOCAL, Space.GLOBAL


def product(target: Target, weights: Matrix, windows: int = 1) -> Profile:
    """The profile of nothing but one product."""
    code = [
        *stream(0, LOCAL, U8, 0, windows, weights.rows),
        *stream(1, LOCAL, I32, 1 << 14, windows, weights.cols),
        Mvm(1, 0, 0, 1, 0),
    ]
    return profile(program(target, {0: code}, (weights,)))


def test_a_full_product_on_isaac() -> None:
    """128 x 128 weights of 8 bits, 8-bit inputs: 4 arrays of 128 columns, 8 steps of 100 ns."""
    found = product(ISAAC, dense(ISAAC, 128, 128, 4, False))
    conversions = 8 * 128 * 4
    assert found.conversions == conversions
    assert found.cycles == 960
    # Two streams of two axes are set before.
    assert found.latency_cycles == 6 + 960
    assert found.latency_us == pytest.approx(966 / 1200)
    assert found.macs == 128 * 128
    assert dict(found.components) == pytest.approx(
        {
            "converters": conversions * 1.667,
            "row drivers": 8 * 4 * 128 * 0.41667,
            "arrays": 8 * 4 * 30.0,
            "shift and add": conversions * 0.021,
            "vector unit": 0.0,
            "local memory": (128 + 4 * 128) * 1.071,
            "global memory": 0.0,
            "network": 0.0,
            "cell writing": 0.0,
        }
    )
    assert found.energy_uj * 1e6 == pytest.approx(sum(dict(found.components).values()))
    assert found.tops_per_watt == pytest.approx(2 * 128 * 128 / (found.energy_uj * 1e6))


@given(
    target=st.sampled_from([TINY, ISAAC]),
    rows=st.integers(1, 300),
    cols=st.integers(1, 40),
    windows=st.integers(1, 50),
    differential=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_the_published_cost_formula(
    target: Target, rows: int, cols: int, windows: int, differential: bool
) -> None:
    """Conversions, energy and time as first-order models of layers give them."""
    slices, steps, signs = 4, 8, 2 if differential else 1
    weights = dense(target, rows, cols, slices, differential)
    found = product(target, weights, windows)
    n_row = ceil(rows / target.array.rows)
    n_col = ceil(cols * slices * signs / target.array.cols)
    conversions = windows * steps * n_row * cols * slices * signs
    energy = target.energy
    components = dict(found.components)
    assert found.conversions == conversions
    assert found.macs == windows * rows * cols
    assert components["converters"] == pytest.approx(conversions * energy.e_adc_pj)
    assert components["shift and add"] == pytest.approx(conversions * energy.e_shift_add_pj)
    driven = windows * steps * n_col * rows
    assert components["row drivers"] == pytest.approx(driven * energy.e_row_step_pj)
    reads = windows * steps * n_row * n_col
    assert components["arrays"] == pytest.approx(reads * energy.e_array_step_pj)
    widest = min(cols * slices * signs, target.array.cols)
    adc_ns = ceil(widest / target.adc.per_array) * target.timing.t_adc_ns
    step_ns = max(target.timing.t_step_ns, adc_ns)
    cycles = windows * steps * step_ns * target.timing.clock_mhz / 1000
    assert found.cycles == ceil(round(cycles, 6))


def test_converters_can_be_slower_than_the_array() -> None:
    """32 columns through 4 converters: 8 rounds of 1 ns; a step of 1 ns is hidden behind them."""
    fast = TINY.model_copy(update={"timing": TINY.timing.model_copy(update={"t_step_ns": 1.0})})
    weights = dense(fast, 32, 8, 4, False)
    assert product(fast, weights).cycles == 8 * 8
    assert product(TINY, weights).cycles == 8 * 10


def test_row_blocks_in_one_array_follow_each_other() -> None:
    tiles = [Tile(array, row, 0, row, 16, 0, 4, 0) for array, row in ((0, 0), (1, 16))]
    apart = matrix(TINY, 32, 4, 1, tiles)
    together = replace(apart, tiles=tuple(replace(t, array=0) for t in tiles))
    assert product(TINY, apart).cycles == 8 * 10
    assert product(TINY, together).cycles == 2 * 8 * 10
    assert product(TINY, together).energy_uj == product(TINY, apart).energy_uj


def test_strips_beside_each_other_are_read_together() -> None:
    tiles = [Tile(0, 0, col, 0, 16, col, 4, 0) for col in (0, 4)]
    cost = product_cost(matrix(TINY, 16, 8, 1, tiles), TINY)
    assert (cost.nanoseconds, cost.array_steps, cost.row_steps) == (80.0, 8, 8 * 16)
    assert (cost.conversions, cost.shift_adds, cost.macs) == (8 * 8, 8 * 8, 16 * 8)


def test_analog_subtraction_shares_read_and_conversion() -> None:
    tiles = [
        Tile(0, 0, 0, 0, 16, 0, 4, 0, negative=False),
        Tile(0, 16, 0, 0, 16, 0, 4, 0, negative=True),
    ]
    analog = product_cost(matrix(TINY, 16, 4, 1, tiles, analog=True), TINY)
    digital = product_cost(matrix(TINY, 16, 4, 1, tiles), TINY)
    assert (analog.conversions, digital.conversions) == (8 * 4, 8 * 8)
    assert (analog.row_steps, digital.row_steps) == (8 * 32, 8 * 32)
    assert (analog.array_steps, digital.array_steps) == (8, 16)
    assert (analog.nanoseconds, digital.nanoseconds) == (80.0, 160.0)
    assert analog.macs == digital.macs == 64


def test_digital_arrays_have_no_converters() -> None:
    target = load_target("dcim22")
    weights = dense(target, 256, 32, 8, False)
    found = product(target, weights)
    assert found.conversions == 0
    assert dict(found.components)["converters"] == 0
    assert product_cost(weights, target).shift_adds == 8 * 32 * 8
    assert found.cycles == ceil(8 * 2.488 * 402 / 1000)


def test_block_diagonal_weights_count_once() -> None:
    tiles = [Tile(0, 4 * g, 2 * g, 4 * g, 4, 2 * g, 2, 0) for g in range(3)]
    cost = product_cost(matrix(TINY, 12, 6, 1, tiles), TINY)
    assert cost.macs == 3 * 4 * 2
    assert cost.array_steps == 3 * 8


def test_copies_take_windows_in_turn() -> None:
    """7 windows on 3 copies take the time of 3, and the energy of 7."""
    tiles = [Tile(copy, 0, 0, 0, 16, 0, 4, 0, copy=copy) for copy in range(3)]
    one = matrix(TINY, 16, 4, 1, tiles[:1])
    three = replace(one, tiles=tuple(tiles), copies=3)
    single, shared = product(TINY, one, 7), product(TINY, three, 7)
    assert (single.cycles, shared.cycles) == (7 * 80, 3 * 80)
    assert shared.energy_uj == single.energy_uj
    assert (shared.macs, shared.conversions) == (single.macs, single.conversions)


def test_copies_on_one_array_wait_for_each_other() -> None:
    tiles = tuple(Tile(0, 0, 4 * copy, 0, 16, 0, 4, 0, copy=copy) for copy in range(2))
    both = replace(matrix(TINY, 16, 4, 1, list(tiles)), copies=2)
    assert product(TINY, both, 6).cycles == 6 * 80


SETUP: list[Instruction] = [
    *stream(0, LOCAL, U8, 0, 100),
    *stream(1, LOCAL, U8, 256, 100),
    *stream(2, GLOBAL, U8, 8192, 100),
    *stream(3, LOCAL, I32, 512, 100),
    *stream(4, LOCAL, I32, 1024, 100),
    *stream(5, LOCAL, U8, 2048, 10),
    *stream(6, LOCAL, I32, 2048, 10),
    Stream(7, LOCAL, ElementType.U32, 4000),
    Dim(7, 5, 3, 4),
    *stream(8, LOCAL, U8, 0, 10, 10),
    Setq(0, 0, 255, Rounding.FLOAT24),
]


@pytest.mark.parametrize(
    ("instruction", "cycles", "local", "global_", "vector"),
    [
        (Load(0, 2), 7, 100, 100, 0),
        (Store(2, 0), 7, 100, 100, 0),
        (Copy(0, 1), 13, 200, 0, 0),
        (Fill(3, 0), 25, 400, 0, 0),
        (Accumulate(3, 3, 4), 75, 1200, 0, 100),
        (Lut(0, 1, 2), 13, 200, 100, 100),
        (Add(0, 0, 1, 7), 20, 312, 0, 100),
        (Max(5, 8, 1), 13, 110, 0, 100),
        (Sum(6, 8, 1), 13, 140, 0, 100),
        (Softmax(0, 8, 3, 255), 52, 600, 0, 400),
    ],
)
def test_one_operation(
    instruction: Instruction, cycles: int, local: int, global_: int, vector: int
) -> None:
    """On `tiny`: 8 lanes, 16 bytes a cycle of every memory; the slowest of the three counts."""
    found = profile(program(TINY, {0: [*SETUP, instruction]}))
    components = dict(found.components)
    assert found.cycles == cycles
    assert found.latency_cycles == len(SETUP) + cycles
    assert components["local memory"] == pytest.approx(local * 0.5)
    assert components["global memory"] == pytest.approx(global_ * 5.0)
    assert components["vector unit"] == pytest.approx(vector * 0.25)
    assert found.layers[0].bytes_moved == local + global_


def test_repeated_operands_are_read_once() -> None:
    repeated = [*SETUP, Dim(4, 5, 100, 0), Accumulate(3, 3, 4)]
    found = profile(program(TINY, {0: repeated}))
    assert found.layers[0].bytes_moved == 400 + 400 + 4


def test_accumulating_reads_what_is_there() -> None:
    weights = dense(TINY, 8, 4, 4, False)
    code = [*stream(0, LOCAL, U8, 0, 8), *stream(1, LOCAL, I32, 64, 4), Mvm(1, 0, 0, 1, 0)]
    plain = profile(program(TINY, {0: code}, (weights,)))
    added = profile(program(TINY, {0: [*code[:-1], Mvm(1, 0, 0, 1, 1)]}, (weights,)))
    assert plain.layers[0].bytes_moved == 8 + 16
    assert added.layers[0].bytes_moved == 8 + 32


def exchange(size: int, peer: int) -> dict[int, list[Instruction]]:
    sender: list[Instruction] = [*stream(0, LOCAL, U8, 0, size), Send(0, peer, 1)]
    return {0: sender, peer: [*stream(0, LOCAL, U8, 0, size), Recv(0, 0, 1)]}


@pytest.mark.parametrize(("peer", "hops"), [(1, 1), (31, 31), (32, 1), (33, 2), (65, 3)])
def test_hops_are_manhattan_distances(peer: int, hops: int) -> None:
    """On a mesh of 32 columns, 16 bytes and one hop a cycle."""
    found = profile(program(TINY, exchange(160, peer)))
    assert found.latency_cycles == 2 + 10 + hops
    assert dict(found.components)["network"] == pytest.approx(160 * hops * 0.5)
    assert dict(found.components)["local memory"] == pytest.approx(2 * 160 * 0.5)


def test_an_exchange_starts_when_both_are_there() -> None:
    cores = exchange(16, 1)
    cores[0][:0] = [*stream(1, LOCAL, U8, 0, 1600), Fill(1, 0)]  # 100 cycles before, from 2 on
    cores[1] += [*stream(1, LOCAL, U8, 0, 48), Fill(1, 0)]  # 3 cycles after
    origins = (Origin(1, 0, 3, ("receive",)), Origin(1, 3, 6, ("after",)))
    found = profile(program(TINY, cores, (), origins))
    assert found.latency_cycles == 102 + 2 + 3
    assert found.interval_cycles == 100 + 1 + 2  # fill, send issues, two cycles of issue behind
    spans = {layer.name: (layer.first, layer.last) for layer in found.layers}
    assert spans == {"(no node)": (2, 102), "receive": (102, 104), "after": (104, 107)}


def test_a_barrier_aligns_all_cores() -> None:
    def fill(count: int) -> list[Instruction]:
        return [*stream(0, LOCAL, U8, 0, count), Fill(0, 0)]

    cores = {c: [*fill(n), Barrier(1), *fill(16)] for c, n in ((0, 160), (1, 16), (2, 320))}
    found = profile(program(TINY, cores))
    # Core 2 fills from cycle 2 to 22, comes to the barrier and sets a stream in two cycles.
    assert found.latency_cycles == 2 + 20 + 1 + 2 + 1
    assert found.cycles == 10 + 1 + 20 + 3


def test_writing_cells_is_setup() -> None:
    """8 rows of 16 cells of 2 bits on each of two cores, 100 ns a row at 1 GHz."""
    write: list[Instruction] = [*stream(0, GLOBAL, U8, 0, 32), Write(0, 0, 0, 0, 16)]
    found = profile(program(TINY, {0: [*write, *write], 1: write}))
    assert found.setup.cells == 3 * 8 * 16
    assert found.setup.cycles == 2 * 800
    assert found.setup.energy_pj == pytest.approx(3 * (8 * 16 * 1.0 + 32 * 5.0))
    assert (found.latency_cycles, found.energy_uj, found.layers) == (0, 0.0, ())
    assert found.tops_per_watt == 0


def test_layers_of_a_program_by_hand() -> None:
    found = profile(hand_program(), inputs=1)
    layers = {layer.name: layer for layer in found.layers}
    assert list(layers) == ["/layer1/conv + /layer1/relu", "(no node)"]
    layer = layers["/layer1/conv + /layer1/relu"]
    # One window through 16 columns (4 rounds of 4 converters fit in a step of 10 ns).
    assert (layer.windows, layer.macs, layer.conversions) == (1, 8, 8 * 16)
    assert layer.cycles == 80
    assert found.setup.cells == 4 * 16
    # Core 0: load at 4, mvm at 7, requant at 87, barrier at 88, send at 89, for 2 cycles.
    # Core 1: five more set streams and loop, so lut at 94. Its table takes 16 cycles in global
    # memory, twice; store 1.
    assert found.latency_cycles == 94 + 2 * 16 + 1


def weight_products(graph: Graph) -> int:
    """Multiplications with weights, counted on the graph."""
    total = 0
    for node in graph.nodes:
        shapes = [operand.type.shape for operand in node.operands]
        outputs = prod(node.results[0].type.shape)
        if isinstance(node.op, QConv):
            total += outputs * prod(shapes[1][1:])
        elif isinstance(node.op, QMatMul):
            total += outputs * shapes[0][-1]
    return total


@pytest.mark.parametrize("name", ["isaac", "neurram", "dcim22", "tiny"])
@given(seed=st.integers(0, 1 << 30), length=st.integers(1, 5))
@settings(max_examples=6, deadline=None)
def test_compiled_networks(name: str, seed: int, length: int) -> None:
    target = load_target(name)
    graph = NetworkMaker(seed, RequantMode.FLOAT24, 8).make(length)
    tiled = tile(graph, target, TileOptions(), memory_check(graph, target))
    found = profile(emit(schedule(tiled)))
    grouped = any(isinstance(node.op, QConv) and node.op.group > 1 for node in graph.nodes)
    counted = weight_products(graph)
    assert found.macs >= counted if grouped else found.macs == counted
    assert sum(cycles for _, cycles in found.critical_path) == found.latency_cycles
    assert found.total_cycles >= found.latency_cycles + found.interval_cycles
    energy = sum(layer.energy_pj for layer in found.layers)
    assert found.energy_uj * 1e6 == pytest.approx(energy)
    assert max(layer.last for layer in found.layers) <= found.latency_cycles
    assert all(0 < use.active_cycles <= found.total_cycles for use in found.cores)
    assert all(0 <= use.utilization <= use.peak <= 1 for use in found.resources)
    assert all(layer.first <= layer.last for layer in found.layers)


def test_long_programs_are_profiled() -> None:
    body: list[Instruction] = [Accumulate(0, 1, 2), Step(0, 4)]
    code = [
        *(i for register in range(3) for i in stream(register, LOCAL, I32, 64 * register, 8)),
        Loop(20_000, len(body)),
        *body,
    ]
    found = profile(program(TINY, {0: code}), inputs=2)
    # 32 bytes each of three operands through the port, 16 a cycle; 6 instructions and the loop.
    assert found.latency_cycles == 7 + 6 * 20_000
    # Of the next input's 7 cycles of issue, 4 pass while the last `accumulate` (6 cycles) runs.
    assert found.interval_cycles == 3 + 6 * 20_000
