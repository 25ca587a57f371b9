"""What a chip may have besides: starts one by one, a bus, words of one size, slow vector units.

On `tiny` a window of a product of 8 rows takes 80 cycles and memories and links pass 16 bytes a
cycle; the vector unit has 8 lanes. Setting a stream of n axes takes n + 1 cycles of issue.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.timed_program import dense, program, stream

from imcc.isa import Instruction, Target, load_target
from imcc.isa.fields import ElementType, Space
from imcc.isa.instructions import Accumulate, Copy, Fill, Load, Mvm, Recv, Send
from imcc.runtime.timing import profile, timeline

U8, I32 = ElementType.U8, ElementType.I32
LOCAL, GLOBAL = Space.LOCAL, Space.GLOBAL


def chip(**changes: dict[str, object]) -> Target:
    """The target `tiny` with values changed, by table."""
    tables = load_target("tiny").tables()
    for table, values in changes.items():
        tables[table] |= values
    return Target.from_tables(tables, "tiny, changed")


def mvm(rows: int, windows: int) -> list[Instruction]:
    return [
        *stream(0, LOCAL, U8, 0, windows, rows),
        *stream(1, LOCAL, I32, 1 << 14, windows, 2),
        Mvm(1, 0, 0, 1, 0),
    ]


def product_cycles(target: Target, rows: int, copies: int, windows: int) -> int:
    """Cycles of one product of `rows` x 2 weights from its issue to its end."""
    once = dense(target, rows, 2, 4, False)
    count = len({tile.array for tile in once.tiles})
    tiles = tuple(
        replace(tile, array=tile.array + copy * count, copy=copy)
        for copy in range(copies)
        for tile in once.tiles
    )
    matrix = replace(once, tiles=tiles, copies=copies)
    code = mvm(rows, windows)
    latency = profile(program(target, {0: code}, (matrix,)), 1).latency_cycles
    return latency - (len(code) - 1)


@pytest.mark.parametrize(
    ("rows", "copies", "windows", "cycles"),
    [
        (32, 1, 1, 80),  # one start
        (64, 1, 1, 30 + 80),  # two row blocks
        (64, 1, 3, 80 + 80 + 30 + 80),  # the arrays are slower than two starts
        (128, 1, 2, 120 + 90 + 80),  # four starts are slower than the arrays
        (64, 3, 6, 6 * 30 + 5 * 30 + 80),
        (64, 3, 7, 6 * 30 + 6 * 30 + 30 + 80),  # a last round of one window
    ],
)
def test_row_blocks_start_one_by_one(rows: int, copies: int, windows: int, cycles: int) -> None:
    target = chip(timing={"t_start_ns": 30.0, "local_bytes_per_cycle": 1e6})
    assert product_cycles(target, rows, copies, windows) == cycles


@pytest.mark.parametrize(
    ("t_start_ns", "windows", "bottleneck"),
    [(30.0, 1, "arrays"), (30.0, 5, "arrays"), (50.0, 1, "starts of row blocks")],
)
def test_what_takes_longer_is_the_bottleneck(
    t_start_ns: float, windows: int, bottleneck: str
) -> None:
    """Two row blocks and a window of 80 ns: 60 ns of starts a window, or 100."""
    target = chip(timing={"t_start_ns": t_start_ns})
    found = profile(program(target, {0: mvm(64, windows)}, (dense(target, 64, 2, 4, False),)), 1)
    assert found.layers[0].bottleneck == bottleneck
    assert found.critical_path[0][0] == bottleneck


def test_starts_of_one_core_take_turns() -> None:
    """Two products of two row blocks, on arrays of their own, issue a cycle apart."""
    target = chip(timing={"t_start_ns": 30.0, "local_bytes_per_cycle": 1e6})
    first = dense(target, 64, 2, 4, False)
    second = replace(first, tiles=tuple(replace(t, array=t.array + 2) for t in first.tiles))
    other = [*stream(2, LOCAL, U8, 0, 1, 64), *stream(3, LOCAL, I32, 1 << 12, 1, 2)]
    code = [*other, *mvm(64, 1), Mvm(3, 2, 1, 1, 0)]
    found = timeline(program(target, {0: code}, (first, second)), 1)
    issue = len(code) - 2
    assert found.profile.latency_cycles == issue + 60 + 30 + 80
    starts = [(s.first, s.end) for s in found.slices if s.track.name == "starts of row blocks"]
    assert starts == [(issue, issue + 60), (issue + 60, issue + 120)]
    (use,) = (u for u in found.profile.resources if u.name == "starts of row blocks")
    assert use.busy_cycles == 120


def transfers() -> dict[int, list[Instruction]]:
    """Cores 0 and 1 send 160 bytes each, to cores 2 and 3."""
    out, in_ = stream(0, LOCAL, U8, 0, 160), stream(0, LOCAL, U8, 0, 160)
    sends = {core: [*out, Send(0, core + 2, 0)] for core in (0, 1)}
    return sends | {core: [*in_, Recv(0, core - 2, 0)] for core in (2, 3)}


def test_a_bus_carries_one_transfer_at_a_time() -> None:
    """On the mesh, the routes 0 to 2 and 1 to 3 share the link from 1 to 2 as well."""
    apart = {0: transfers()[0], 2: transfers()[2]}
    bus = chip(chip={"network": "bus"})
    assert profile(program(load_target("tiny"), apart), 1).latency_cycles == 2 + 10 + 2
    assert profile(program(bus, apart), 1).latency_cycles == 2 + 10 + 1
    assert profile(program(bus, transfers()), 1).latency_cycles == 2 + 10 + 10 + 1
    found = timeline(program(bus, transfers()), 1)
    assert [(s.first, s.end) for s in found.slices if s.track.name == "bus"] == [(2, 12), (12, 22)]


def test_a_bus_is_shared_by_cores_that_have_links_of_their_own_on_a_mesh() -> None:
    cores = {
        core: [*stream(0, LOCAL, U8, 0, 160), Send(0, core + 1, 0)]
        if core % 2 == 0
        else [*stream(0, LOCAL, U8, 0, 160), Recv(0, core - 1, 0)]
        for core in range(4)
    }
    assert profile(program(load_target("tiny"), cores), 1).latency_cycles == 2 + 10 + 1
    bus = chip(chip={"network": "bus"})
    assert profile(program(bus, cores), 1).latency_cycles == 2 + 10 + 10 + 1


def test_elements_of_any_type_are_words_of_one_size() -> None:
    """160 codes and 160 accumulators count 320 bytes each: 20 cycles, copied 40."""
    words = chip(timing={"element_bytes": 2})
    for element in (U8, I32):
        load = [*stream(0, LOCAL, element, 0, 160), *stream(1, GLOBAL, element, 8192, 160)]
        copy = [*stream(0, LOCAL, element, 0, 160), *stream(1, LOCAL, element, 8192, 160)]
        assert profile(program(words, {0: [*load, Load(0, 1)]}), 1).latency_cycles == 4 + 20
        assert profile(program(words, {0: [*copy, Copy(0, 1)]}), 1).latency_cycles == 4 + 40
    sent = profile(program(words, transfers()), 1)
    assert dict(sent.components)["network"] == pytest.approx((2 + 2) * 320 * 0.5)


def test_vector_units_may_take_several_cycles() -> None:
    code = [*stream(0, LOCAL, I32, 0, 2, 12), *stream(1, LOCAL, I32, 512, 2, 12)]
    add = [*code, *stream(2, LOCAL, I32, 1024, 2, 12), Accumulate(2, 0, 1)]
    fast = chip(timing={"local_bytes_per_cycle": 1e6})
    slow = chip(core={"vector_cycles": 10}, timing={"local_bytes_per_cycle": 1e6})
    assert profile(program(fast, {0: add}), 1).latency_cycles == 9 + 3
    assert profile(program(slow, {0: add}), 1).latency_cycles == 9 + 30


def test_fills_are_moved_in_words() -> None:
    words = chip(timing={"element_bytes": 2})
    fill = [*stream(0, LOCAL, U8, 0, 160), Fill(0, 0)]
    assert profile(program(words, {0: fill}), 1).latency_cycles == 2 + 20
