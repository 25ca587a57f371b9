"""PIMCOMP's cost model, each rule on a program small enough to be timed by hand.

An element has 2 bytes. Per ns pass 25.6 bytes of the local memory or of the bus and 64 of the
global memory; a product of 128 x 128 takes 800 ns, and its LMV of 128 elements 2 * 10 ns.
"""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given
from support.timed_program import dense, program, stream
from support.topologies import topology

from imcc.compiler.driver import compile_model
from imcc.compiler.mapping import KernelUnfolding
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode
from imcc.isa import Instruction, Matrix, load_target
from imcc.isa.fields import ElementType, Space
from imcc.isa.instructions import (
    Accumulate,
    Barrier,
    Copy,
    Fill,
    Load,
    Lut,
    Max,
    Mvm,
    Recv,
    Send,
    Store,
    Write,
)
from imcc.runtime.timing.pimcomp import Evaluation, Rates, Slots, evaluate

CHIP = load_target("pimcomp")
U8, I32 = ElementType.U8, ElementType.I32
LOCAL, GLOBAL = Space.LOCAL, Space.GLOBAL
Code = list[Instruction]


def weights(rows: int, cols: int, copies: int = 1, first: int = 0) -> Matrix:
    """A matrix on arrays of its own, from array `first` on."""
    once = dense(CHIP, rows, cols, 1, False)
    count = len({tile.array for tile in once.tiles})
    tiles = tuple(
        replace(tile, array=first + tile.array + copy * count, copy=copy)
        for copy in range(copies)
        for tile in once.tiles
    )
    return replace(once, tiles=tiles, copies=copies)


def run(*cores: Code, matrices: tuple[Matrix, ...] = (), rates: Rates | None = None) -> Evaluation:
    return evaluate(program(CHIP, dict(enumerate(cores)), matrices), rates)


def mvm(matrix: int, rows: int, cols: int, windows: int = 1, accumulate: int = 0) -> Code:
    return [
        *stream(0, LOCAL, U8, 0, windows, rows),
        *stream(1, LOCAL, I32, 1 << 14, windows, cols),
        Mvm(1, 0, matrix, 1, accumulate),
    ]


def move(kind: type[Copy | Load | Store], count: int) -> Code:
    spaces = {Copy: (LOCAL, LOCAL), Load: (LOCAL, GLOBAL), Store: (GLOBAL, LOCAL)}[kind]
    return [*stream(2, spaces[0], U8, 0, count), *stream(3, spaces[1], U8, 0, count), kind(2, 3)]


def add(count: int) -> Code:
    vectors = [stream(register, LOCAL, I32, 1024 * register, count) for register in (4, 5, 6)]
    return [*(part for vector in vectors for part in vector), Accumulate(4, 5, 6)]


def send(count: int, peer: int) -> Code:
    return [*stream(7, LOCAL, U8, 0, count), Send(7, peer, 0)]


def recv(count: int, peer: int) -> Code:
    return [*stream(7, LOCAL, U8, 0, count), Recv(7, peer, 0)]


def test_the_first_product_of_a_group_moves_results_by_its_length() -> None:
    """It starts at 20, when its inputs are there; PIMCOMP adds 800 to 0 nevertheless."""
    assert run(mvm(0, 128, 8), matrices=(weights(128, 8),)).latency_ns == 800


def test_windows_on_the_same_arrays_follow_each_other() -> None:
    """Starts at 20, 820 and 1620."""
    found = run(mvm(0, 128, 8, 3), matrices=(weights(128, 8),))
    assert found.latency_ns == 1620 + 800
    assert (found.mvmuls, found.array_reads, found.adds) == (3, 3, 0)


def test_a_core_starts_an_array_group_each_200_ns() -> None:
    """Three copies: 20, 220, 420 and 820 (the first again); six: the last at 20 + 5 * 200."""
    three = run(mvm(0, 128, 8, 4), matrices=(weights(128, 8, copies=3),))
    assert three.latency_ns == 820 + 800
    six = run(mvm(0, 128, 8, 6), matrices=(weights(128, 8, copies=6),))
    assert six.latency_ns == 1020 + 800
    assert six.start_ns == 6 * 200


def test_crossbars_of_a_row_block_work_together() -> None:
    found = run(mvm(0, 128, 300), matrices=(weights(128, 300),))
    assert (found.latency_ns, found.mvmuls, found.array_reads) == (800, 1, 3)


def test_sums_of_row_blocks_are_added_up() -> None:
    """Starts at 20, 220 and 420; then two additions of 64 elements, 128 bytes each."""
    found = run(mvm(0, 384, 64), matrices=(weights(384, 64),))
    assert found.latency_ns == 420 + 800 + 2 * 20
    assert (found.mvmuls, found.adds) == (3, 2)
    again = run(mvm(0, 128, 64, accumulate=1), matrices=(weights(128, 64),))
    assert (again.latency_ns, again.adds) == (800 + 20, 1)


def test_diagonal_blocks_are_array_groups_whose_sums_stay_apart() -> None:
    blocks = weights(256, 16)
    tiles = tuple(replace(t, n=8 * (t.k // 128), cols=8) for t in blocks.tiles)
    diagonal = replace(blocks, tiles=tiles, block_rows=128, block_cols=8)
    found = run(mvm(0, 256, 16), matrices=(diagonal,))
    assert (found.latency_ns, found.mvmuls, found.adds) == (220 + 800, 2, 0)


def test_inputs_that_take_longer_than_200_ns_hold_starts_up() -> None:
    """At 0.64 bytes a ns an LMV takes 2 * 400: starts at 800 and 1600."""
    slow = Rates(local=0.64)
    found = run(mvm(0, 256, 8), matrices=(weights(256, 8),), rates=slow)
    assert found.latency_ns == 1600 + 800 + 10


def test_products_that_share_an_array_take_turns() -> None:
    low = weights(64, 8)
    high = replace(low, tiles=tuple(replace(t, row=64) for t in low.tiles))
    apart = weights(64, 8, first=1)
    code = [*mvm(0, 64, 8), Mvm(1, 0, 1, 1, 0)]
    assert run(code, matrices=(low, apart)).latency_ns == 10 + 200 + 800
    assert run(code, matrices=(low, high)).latency_ns == 10 + 800 + 800


def test_the_nominal_window() -> None:
    found = run(mvm(0, 128, 8, 2), matrices=(weights(128, 8),), rates=Rates(mvm_ns=4000))
    assert found.latency_ns == 20 + 4000 + 4000


@pytest.mark.parametrize(("elements", "time"), [(1, 10), (32, 10), (33, 20), (320, 100)])
def test_vector_instructions_take_64_bytes_in_10_ns(elements: int, time: int) -> None:
    assert run(add(elements)).latency_ns == time
    assert run([*add(elements), *add(elements)]).latency_ns == 2 * time


def test_reductions_count_the_elements_that_they_read() -> None:
    code = [*stream(0, LOCAL, U8, 0, 16), *stream(1, LOCAL, U8, 64, 16, 9), Max(0, 1, 1)]
    assert run(code).latency_ns == 10 * 5  # 16 * 9 * 2 bytes


def test_loads_prepare_inputs_and_results_wait_for_them() -> None:
    """100 elements are 200 bytes: 4 ns. Of a group the product starts behind its inputs."""
    assert run(move(Load, 100)).latency_ns == 4
    code = [*move(Load, 100), *mvm(0, 128, 8, 2)]
    assert run(code, matrices=(weights(128, 8),)).latency_ns == 4 + 20 + 800 + 800


def test_stores_follow_results() -> None:
    assert run([*add(32), *move(Store, 100)]).latency_ns == 10 + 4


def test_cores_share_the_global_memory() -> None:
    """Three loads of 4 ns; a store that comes at 10 finds it free."""
    loads = run(move(Load, 100), move(Load, 100), move(Load, 100))
    assert loads.latency_ns == 12
    assert loads.memory_ns == 12
    assert run(move(Load, 100), [*add(32), *move(Store, 100)]).latency_ns == 14


def test_copies_and_fills_before_a_product_prepare_it() -> None:
    """100 elements: fill 8 ns, copy 16. Before a product inputs wait for them, else results."""
    fill = [*stream(2, LOCAL, U8, 0, 100), Fill(2, 0)]
    assert run(move(Copy, 100)).latency_ns == 16
    assert run(fill).latency_ns == 8
    code = [*move(Copy, 100), *fill, *mvm(0, 128, 8, 2)]
    assert run(code, matrices=(weights(128, 8),)).latency_ns == 24 + 20 + 800 + 800


def test_a_group_ends_before_the_product_that_follows_work_on_results() -> None:
    """The second product starts at 810 + 16 + 20; results become 810 + 800."""
    matrices = (weights(128, 8), weights(128, 8, first=1))
    code = [*mvm(0, 128, 8), *add(32), *move(Copy, 100), *mvm(1, 128, 8)]
    assert run(code, matrices=matrices).latency_ns == 810 + 800
    twice = [*mvm(0, 128, 8), *add(32), *move(Copy, 100), *mvm(1, 128, 8, 2)]
    assert run(twice, matrices=matrices).latency_ns == 810 + 16 + 20 + 800 + 800


def test_a_load_behind_results_begins_a_group() -> None:
    assert run([*add(32), *move(Load, 100)]).latency_ns == 10 + 4
    assert run([*move(Copy, 100), *move(Load, 100)]).latency_ns == 4 + 16


def test_operands_in_global_memory_are_loaded_before() -> None:
    """A table of 256 elements: 8 ns."""
    code = [
        *stream(0, LOCAL, U8, 0, 32),
        *stream(1, LOCAL, U8, 64, 32),
        *stream(2, GLOBAL, U8, 0, 256),
        Lut(0, 1, 2),
    ]
    assert run(code).latency_ns == 8 + 10


def test_transfers_meet_at_the_later_side() -> None:
    """160 elements are 320 bytes: 13 ns on the bus, from 20 on."""
    found = run([*send(160, 1), *add(32)], [*add(64), *recv(160, 0)])
    assert found.latency_ns == 20 + 13 + 10
    assert found.bus_ns == 13


def test_all_transfers_share_one_bus() -> None:
    found = run(send(160, 2), send(160, 3), recv(160, 0), recv(160, 1))
    assert found.latency_ns == 2 * 13


def test_a_barrier_waits_for_the_latest() -> None:
    assert run([*add(64), Barrier(0)], [Barrier(0), *add(32)]).latency_ns == 20 + 10


def test_writing_cells_takes_no_time() -> None:
    code = [*stream(0, GLOBAL, U8, 0, 64), Write(0, 0, 0, 0, 64)]
    assert run([*code, *add(32)]).latency_ns == 10


def test_inputs_follow_each_other_on_each_core() -> None:
    """Core 0 works 20 ns, core 1 for 50 after the transfer of 13: it is the period."""
    found = run([*add(64), *send(160, 1)], [*recv(160, 0), *add(160)])
    assert found.latency_ns == 20 + 13 + 50
    assert found.period_ns == 13 + 50


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=25))
def test_slots_are_the_first_free_ones(asked: list[tuple[int, int]]) -> None:
    """Against one flag a nanosecond, as PIMCOMP has them."""
    slots, flags = Slots(), [False] * 400
    for time, count in asked:
        at = time
        for _ in range(count):
            while flags[at]:
                at += 1
            flags[at] = True
        assert slots.take(time, count) == (at + 1 - time if count else 0)
    assert [slots.is_taken(time) for time in range(400)] == flags
    assert slots.taken == sum(flags)


@pytest.mark.parametrize(
    ("network", "array_reads", "mvmuls"),
    [("squeezenet1_1", 59_412, 50_962), ("resnet18", 163_888, None)],
)
def test_a_compiled_network_reads_the_crossbars_that_pimcomp_reads(
    network: str, array_reads: int, mvmuls: int | None
) -> None:
    """Published: MVMUL and crossbar reads of an image.

    Of ResNet-18 the last layers take more than a core; split by outputs, their row blocks start
    on several cores.
    """
    options = CompileOptions(schedule=ScheduleMode.LATENCY, unfolding=KernelUnfolding.IM2COL)
    data = topology(network).SerializeToString()
    found = evaluate(compile_model(data, CHIP, options, "random").program, inputs=1)
    assert found.array_reads == array_reads
    assert found.mvmuls >= (mvmuls or 132_500)
    assert mvmuls in (None, found.mvmuls)
