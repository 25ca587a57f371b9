"""The rules of the timing model, each on a program small enough to be timed by hand.

On `tiny` the vector unit has 8 lanes, memories and links pass 16 bytes a cycle, a hop takes a
cycle, one window of a product 80 cycles and writing a row 100. Setting a stream of one axis takes
2 cycles of issue, so `len(code) - 1` is the cycle of the last of some instructions that do not
wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from support.timed_program import dense, program, stream

from imcc.isa import Instruction, Origin, Target, ValidationError, load_target
from imcc.isa.fields import ElementType, Space
from imcc.isa.instructions import (
    Barrier,
    Copy,
    Dim,
    Fill,
    Host,
    Load,
    Loop,
    Lut,
    Mvm,
    Nop,
    Recv,
    Send,
    Softmax,
    Step,
    Stream,
    Write,
)
from imcc.runtime.timing import Profile, profile

U8, U32, I32 = ElementType.U8, ElementType.U32, ElementType.I32
LOCAL, GLOBAL = Space.LOCAL, Space.GLOBAL
Code = Sequence[Instruction]


def chip(window: int) -> Target:
    tiny = load_target("tiny")
    return tiny.model_copy(update={"core": tiny.core.model_copy(update={"issue_window": window})})


WINDOWED, ONE_BY_ONE = chip(4), chip(1)


def latency(target: Target, *cores: Code, arrays: Sequence[int] = ()) -> int:
    """The latency of one input; matrix i of 8 x 2 weights lies on array `arrays[i]`."""
    return run(target, *cores, arrays=arrays).latency_cycles


def run(target: Target, *cores: Code, arrays: Sequence[int] = (), inputs: int = 1) -> Profile:
    small = dense(target, 8, 2, 4, False)
    matrices = tuple(
        replace(small, tiles=tuple(replace(t, array=array) for t in small.tiles))
        for array in arrays
    )
    coded = {core: list(code) for core, code in enumerate(cores) if code}
    return profile(program(target, coded, matrices), inputs)


def products(*bases: int, windows: int = 10) -> list[Instruction]:
    """Streams 2 * i (8 inputs a window) and 2 * i + 1 (its results, 256 bytes behind)."""
    code: list[Instruction] = []
    for i, base in enumerate(bases):
        code += stream(2 * i, LOCAL, U8, base, windows, 8)
        code += stream(2 * i + 1, LOCAL, I32, base + 256, windows, 2)
    return code


TWO = [*products(0, 1024), Mvm(1, 0, 0, 1, 0), Mvm(3, 2, 1, 1, 0)]


def test_products_on_different_arrays_overlap() -> None:
    first = len(TWO) - 2
    assert latency(WINDOWED, TWO, arrays=(0, 1)) == first + 1 + 800
    assert latency(chip(2), TWO, arrays=(0, 1)) == first + 1 + 800


def test_with_a_window_of_one_nothing_overlaps() -> None:
    assert latency(ONE_BY_ONE, TWO, arrays=(0, 1)) == len(TWO) - 2 + 800 + 800


def test_products_on_one_array_follow_each_other() -> None:
    """Two matrices may share an array."""
    assert latency(WINDOWED, TWO, arrays=(5, 5)) == len(TWO) - 2 + 800 + 800


def test_the_window_bounds_what_is_under_way() -> None:
    code = [*products(0, 1024, 2048), *(Mvm(2 * i + 1, 2 * i, i, 1, 0) for i in range(3))]
    first = len(code) - 3
    assert latency(chip(3), code, arrays=(0, 1, 2)) == first + 2 + 800
    assert latency(chip(2), code, arrays=(0, 1, 2)) == first + 800 + 800


@pytest.mark.parametrize(
    ("space", "element", "base", "waits"),
    [
        (LOCAL, U8, 256, True),  # what the product writes
        (LOCAL, U8, 79, True),  # the last byte that it reads
        (LOCAL, U8, 80, False),
        (LOCAL, U8, 255, False),
        (GLOBAL, U8, 256, False),  # the same address of the other memory
        (LOCAL, I32, 256 + 76, True),  # the last result
        (LOCAL, I32, 256 + 80, False),
    ],
)
def test_a_write_waits_for_older_reads_and_writes(
    space: Space, element: ElementType, base: int, waits: bool
) -> None:
    """Ten windows read bytes 0 to 79 and write bytes 256 to 335."""
    code = [*products(0), Stream(9, space, element, base), Mvm(1, 0, 0, 1, 0), Fill(9, 0)]
    issue = len(code) - 2
    code += [] if waits else stream(8, LOCAL, U8, 4096, 16)
    assert latency(WINDOWED, code, arrays=(0,)) == issue + 800 + (1 if waits else 0)


@pytest.mark.parametrize(("base", "offset"), [(0, 256), (4096, 256 - 4096), (335, 0)])
def test_a_write_waits_where_its_offset_moves_it(base: int, offset: int) -> None:
    code = [*products(0), Stream(9, LOCAL, U8, base), Mvm(1, 0, 0, 1, 0), Fill(9, 0, offset)]
    assert latency(WINDOWED, code, arrays=(0,)) == len(code) - 2 + 800 + 1
    code = [*code[:-1], *stream(8, LOCAL, U8, 4096, 8), Fill(9, 0, offset + 80)]
    assert latency(WINDOWED, code, arrays=(0,)) == len(code) - 4 + 800


def test_a_read_waits_for_an_older_write_but_not_for_a_read() -> None:
    def loads(base: int) -> list[Instruction]:
        code = [*products(0), *stream(8, LOCAL, U8, 4096, 8), *stream(9, LOCAL, U8, base, 8)]
        return [*code, Mvm(1, 0, 0, 1, 0), Copy(8, 9)]

    issue = len(loads(0)) - 2
    assert latency(WINDOWED, loads(256), arrays=(0,)) == issue + 800 + 1
    assert latency(WINDOWED, loads(0), arrays=(0,)) == issue + 800


def test_ranges_of_streams_are_bounds() -> None:
    """Bytes between the results of a product: none is shared, but the ranges meet."""
    code = [
        *stream(0, LOCAL, U8, 0, 10, 8),
        Stream(1, LOCAL, I32, 256),
        Dim(1, 4, 10, 16),
        Dim(1, 5, 2, 4),
        *stream(2, LOCAL, U8, 256 + 8, 4),
        Mvm(1, 0, 0, 1, 0),
        Fill(2, 0),
    ]
    assert latency(WINDOWED, code, arrays=(0,)) == len(code) - 2 + 800 + 1


SOFTMAX = [
    *stream(0, LOCAL, U8, 0, 10, 10),
    *stream(1, LOCAL, U8, 128, 10, 10),
    *stream(2, LOCAL, U32, 256, 100),
    *stream(3, LOCAL, U8, 1024, 10, 10),
]


def test_a_unit_works_on_one_instruction_at_a_time() -> None:
    """A softmax of 100 elements takes 4 * 13 cycles; it moves 600 bytes in 38."""
    code = [*SOFTMAX, Softmax(0, 1, 2, 255), Softmax(3, 1, 2, 255)]
    assert latency(WINDOWED, code) == len(code) - 2 + 52 + 52


@pytest.mark.parametrize(("size", "end"), [(100, 52), (104, 52), (160, 38 + 20), (320, 38 + 40)])
def test_units_share_the_port_of_the_local_memory(size: int, end: int) -> None:
    """A copy beside a softmax begins to move its bytes when those of the softmax have passed."""
    copies = [*stream(8, LOCAL, U8, 4096, size), *stream(9, LOCAL, U8, 8192, size)]
    code = [*SOFTMAX, *copies, Softmax(0, 1, 2, 255), Copy(8, 9)]
    assert latency(WINDOWED, code) == len(code) - 2 + end


LOAD = [*stream(0, LOCAL, U8, 0, 160), *stream(1, GLOBAL, U8, 8192, 160), Load(0, 1)]


def test_cores_share_the_global_memory() -> None:
    assert latency(WINDOWED, LOAD) == 4 + 10
    assert latency(WINDOWED, LOAD, LOAD) == 4 + 10 + 10
    assert latency(WINDOWED, LOAD, LOAD, LOAD) == 4 + 10 + 10 + 10


def test_the_global_memory_serves_in_order_of_time() -> None:
    """Core 0 comes a cycle later than core 1, so core 1 is first."""
    origins = (Origin(0, 0, 6, ("late",)), Origin(1, 0, 5, ("early",)))
    cores = {0: [Nop(), *LOAD], 1: LOAD}
    found = profile(program(WINDOWED, cores, (), origins), 1)
    spans = {layer.name: (layer.first, layer.last) for layer in found.layers}
    assert spans == {"early": (4, 14), "late": (5, 24)}
    assert {layer.bottleneck for layer in found.layers} == {"global memory"}


def test_vector_operands_in_global_memory_pass_it() -> None:
    """A table of 256 bytes takes 16 cycles, 8 elements one cycle of the lanes."""
    table = [
        *stream(0, LOCAL, U8, 0, 8),
        *stream(1, LOCAL, U8, 8, 8),
        *stream(2, GLOBAL, U8, 0, 256),
    ]
    code = [*table, Lut(0, 1, 2)]
    assert latency(WINDOWED, code) == 6 + 16
    assert latency(WINDOWED, code, code) == 6 + 32


def send(peer: int) -> list[Instruction]:
    return [*stream(0, LOCAL, U8, 0, 160), Send(0, peer, 1)]


def recv(peer: int) -> list[Instruction]:
    return [*stream(0, LOCAL, U8, 0, 160), Recv(0, peer, 1)]


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ((0, 2), (1, 3), True),  # 1 to 2
        ((0, 2), (3, 1), False),  # the other direction
        ((0, 33), (1, 65), True),  # along the row first: both down from 1 to 33
        ((0, 33), (32, 34), False),
    ],
)
def test_transfers_share_links(one: tuple[int, int], other: tuple[int, int], shared: bool) -> None:
    """160 bytes take a link for 10 cycles; both routes have two hops, on 32 columns."""
    cores: dict[int, list[Instruction]] = {}
    for sender, receiver in (one, other):
        cores |= {sender: send(receiver), receiver: recv(sender)}
    found = profile(program(WINDOWED, cores), 1)
    assert found.latency_cycles == 2 + 10 + 2 + (10 if shared else 0)


def test_transfers_do_not_wait_for_what_else_passes_the_port() -> None:
    """The link from 1 to 2 is free at cycle 12; core 3 fills from 5 to 15, and receives beside."""
    cores = {0: send(2), 2: recv(0), 1: send(3), 3: [*recv(1), *stage(160)]}
    found = profile(program(WINDOWED, cores), 1)
    assert found.latency_cycles == 12 + 10 + 2
    assert found.cycles == (10 + 2) + (12 + 10 + 2 - 12) + 10


def test_transfers_wait_for_each_other_at_the_port() -> None:
    """What core 1 sends and what it receives pass its port one behind the other."""
    both = [*recv(0), *stream(8, LOCAL, U8, 4096, 160), Send(8, 2, 1)]
    found = profile(program(WINDOWED, {0: send(1), 1: both, 2: recv(1)}), 1)
    # From 0 to 1 in cycles 2 to 12; the send comes at 5, and its bytes pass behind those.
    assert found.latency_cycles == 12 + 10


def test_what_comes_behind_a_transfer_passes_the_port_after_it() -> None:
    """The bytes of a fill that begins while core 1 receives, from 2 to 12, pass behind these."""
    behind = [*recv(0), *stage(160)]
    found = profile(program(WINDOWED, {0: send(1), 1: behind}), 1)
    assert found.latency_cycles == 12 + 10


def test_a_transfer_waits_for_both_sides() -> None:
    """A fill of 1600 bytes keeps the receiver away; the sender goes on with other work."""
    late = [*stream(0, LOCAL, U8, 0, 1600), Fill(0, 0), *stream(1, LOCAL, U8, 0, 16), Recv(1, 0, 1)]
    early = [
        *stream(0, LOCAL, U8, 0, 16),
        Send(0, 1, 1),
        *stream(1, LOCAL, U8, 64, 1600),
        Fill(1, 0),
    ]
    found = run(WINDOWED, early, late)
    # The sender fills from cycle 5 to 105. The receiver comes at 102, and the transfer, which the
    # fill does not hold up, takes a cycle and a hop.
    assert found.latency_cycles == 5 + 100
    assert found.cycles == 100 + 100 + (1 + 1)
    (receiver,) = (use for use in found.cores if use.core == 1)
    assert dict(receiver.waits)["memory conflict with local memory port"] == 102 - 5


def test_a_core_waits_for_data_from_another() -> None:
    late = [*stream(0, LOCAL, U8, 0, 1600), Fill(0, 0), Send(0, 1, 1)]
    early = [*stream(0, LOCAL, U8, 0, 1600), Recv(0, 0, 1), Fill(0, 0)]
    found = run(WINDOWED, late, early)
    # The send begins at 102, takes 100 cycles and a hop; the fill of core 1 waits from cycle 3.
    assert found.latency_cycles == 102 + 101 + 100
    (use,) = (use for use in found.cores if use.core == 1)
    assert dict(use.waits)["data from core 0"] == 102 - 3
    assert dict(use.waits)["memory conflict with network port in"] == 101
    assert dict(found.critical_path) == {
        "instruction issue": 2, "local memory port": 200, "network": 101
    }  # fmt: skip


def stage(size: int) -> list[Instruction]:
    return [*stream(1, LOCAL, U8, 4096, size), Fill(1, 0)]


@pytest.mark.parametrize(("target", "transfer"), [(WINDOWED, 10), (ONE_BY_ONE, 11)])
@pytest.mark.parametrize(("before", "after"), [(1600, 4800), (160, 1600)])
def test_the_slower_second_stage_sets_the_interval(
    target: Target, transfer: int, before: int, after: int
) -> None:
    """It receives 160 bytes, which pass its port in 10 cycles; the transfer ends a hop later.

    The first stage is always ready before, and streams are set while the last input ends.
    """
    found = run(target, [*stage(before), *send(1)], [*recv(0), *stage(after)], inputs=5)
    assert found.interval_cycles == transfer + after // 16
    assert found.inputs_per_second == pytest.approx(1e9 / found.interval_cycles)


def test_the_slower_first_stage_sets_the_interval() -> None:
    """It sends 16 bytes, which take its port for a cycle, and fills."""
    slow = [
        *stream(1, LOCAL, U8, 4096, 4800),
        *stream(0, LOCAL, U8, 0, 16),
        Send(0, 1, 1),
        Fill(1, 0),
    ]
    fast = [*stream(0, LOCAL, U8, 0, 16), Recv(0, 0, 1), *stage(160)]
    found = run(WINDOWED, slow, fast, inputs=4)
    assert found.interval_cycles == 1 + 300


def test_the_next_input_follows_while_the_last_one_ends() -> None:
    """The arrays are busy all the time; only before the first input streams are to be set."""
    found = run(WINDOWED, TWO, arrays=(0, 1), inputs=3)
    assert found.interval_cycles == 800
    assert found.total_cycles == found.latency_cycles + 2 * 800


CELLS: list[Instruction] = stream(9, GLOBAL, U8, 0, 32)  # 8 rows of 16 cells of 2 bits


def test_writes_at_the_beginning_are_setup_in_loops_too() -> None:
    code = [
        *CELLS,
        Loop(3, 2),
        Write(0, 9, 0, 0, 16),
        Step(9, 32),
        *products(0),
        Mvm(1, 0, 0, 1, 0),
    ]
    found = run(WINDOWED, code, arrays=(0,))
    assert (found.setup.cycles, found.setup.cells) == (3 * 800, 3 * 128)
    assert found.latency_cycles == len(products(0)) + 800


def test_cells_written_between_products_take_time() -> None:
    """Array 1 is written while array 0 works, and its product waits for that."""
    late = [Mvm(1, 0, 0, 1, 0), Write(1, 9, 0, 0, 16), Mvm(3, 2, 1, 1, 0)]
    code = [*CELLS, Write(0, 9, 0, 0, 16), *products(0, 1024), *late]
    found = run(WINDOWED, code, arrays=(0, 1))
    issue = len(products(0, 1024))
    assert found.setup.cycles == 800
    assert found.latency_cycles == issue + 1 + 800 + 800
    assert dict(found.components)["cell writing"] == 128


def test_a_core_that_writes_an_array_again_has_no_setup() -> None:
    code = [
        *CELLS,
        Write(0, 9, 0, 0, 16),
        *products(0, 1024),
        Mvm(1, 0, 0, 1, 0),
        Write(0, 9, 0, 0, 16),
        Mvm(3, 2, 0, 1, 0),
    ]
    found = run(WINDOWED, code, arrays=(0,), inputs=2)
    assert (found.setup.cycles, found.setup.cells) == (0, 0)
    assert found.latency_cycles == 2 + 4 * 800
    assert found.interval_cycles == 4 * 800


def test_what_is_written_before_a_reused_array_stays_setup() -> None:
    """Arrays 1 and 0 are written first; array 0 is written again, and array 1 is not."""
    code = [
        *CELLS,
        Write(1, 9, 0, 0, 16),
        Write(0, 9, 0, 0, 16),
        *products(0, 1024),
        Mvm(1, 0, 0, 1, 0),
        Write(0, 9, 0, 0, 16),
        Mvm(3, 2, 0, 1, 0),
    ]
    found = run(WINDOWED, code, arrays=(0,), inputs=2)
    assert (found.setup.cycles, found.setup.cells) == (800, 128)
    assert dict(found.components)["cell writing"] == 2 * 128
    behind = [*code[:-2], Write(0, 9, 0, 0, 16), Write(1, 9, 0, 0, 16), code[-1]]
    assert run(WINDOWED, behind, arrays=(0,), inputs=2).setup.cells == 0


def test_the_host_waits_and_takes_no_time() -> None:
    code = [*products(0), Mvm(1, 0, 0, 1, 0), Host(0), *stream(2, LOCAL, U8, 4096, 16), Fill(2, 0)]
    issue = len(products(0))
    assert latency(WINDOWED, code, arrays=(0,)) == issue + 800 + 1 + 2 + 1


def test_nothing_passes_a_barrier() -> None:
    """Core 1 comes to the barrier at once, and its fill waits for core 0 all the same."""
    slow = [*stream(0, LOCAL, U8, 0, 1600), Fill(0, 0), Barrier(1)]
    fast = [Barrier(1), *stream(0, LOCAL, U8, 0, 32), Fill(0, 0)]
    assert latency(WINDOWED, slow, fast) == 2 + 100 + 2


def test_cores_that_wait_for_ever_are_named() -> None:
    with pytest.raises(ValidationError) as caught:
        run(WINDOWED, recv(1), recv(0))
    assert str(caught.value) == (
        "deadlock: these cores wait for each other, or for a core that has ended: "
        "core 0 at 2: recv s0, c1, 1; core 1 at 2: recv s0, c0, 1"
    )


def test_a_stream_must_be_set() -> None:
    for code in ([Fill(3, 0)], [Dim(3, 5, 4, 1)]):
        with pytest.raises(ValidationError, match="core 0 at 0: stream s3 is used before it is"):
            run(WINDOWED, code)


def test_leakage_is_power_times_time() -> None:
    """Two cores of 16 arrays with 4 converters each, and the global memory."""
    found = run(WINDOWED, LOAD, LOAD, inputs=3)
    milliwatts = 2 * (16 * (0.01 + 4 * 0.1) + 1.0 + 0.5 + 2.0) + 10.0
    assert sum(power for _, power in found.leakage_mw) == pytest.approx(milliwatts)
    assert found.leakage_uj == pytest.approx(milliwatts * 1e-3 * found.latency_us)
    assert found.interval_leakage_uj == pytest.approx(milliwatts * 1e-3 * found.interval_us)


def test_area_is_that_of_the_whole_chip() -> None:
    area = dict(run(WINDOWED, LOAD).area_mm2)
    assert area["arrays"] == pytest.approx(512 * 16 * 0.001)
    assert area["converters"] == pytest.approx(512 * 16 * 4 * 0.002)
    cores = sum(area[name] for name in ("local memory", "vector unit", "network"))
    assert cores == pytest.approx(512 * (0.1 + 0.05 + 0.2))
    assert area["global memory"] == 5.0


def test_chips_without_figures_have_neither() -> None:
    bare = WINDOWED.model_copy(update={"leakage": None, "area": None})
    found = run(bare, LOAD)
    assert (found.leakage_mw, found.area_mm2, found.leakage_uj) == ((), (), 0.0)
