"""When cells are written: after their array is free, before they are read, a few at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imcc.compiler.backend import emit_with_probes, order_instructions
from imcc.compiler.backend.reload import reloads
from imcc.compiler.cli.chip import load_chip
from imcc.compiler.driver import compile_model
from imcc.compiler.ir.ops.tiled import Tiled
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import Schedule, ScheduleMode
from imcc.isa import Instruction, Role, validate, walk
from imcc.isa.instructions import Barrier, Mvm, Recv, Send, Store, Write, WriteMatrix
from imcc.isa.setup import setup_end

MODELS = Path(__file__).parents[3] / "models"
WINDOW = 6


def made(mode: ScheduleMode, arrays: int, cores: int = 2) -> Schedule:
    sizes = ("chip.mesh_rows=1", f"chip.mesh_cols={cores}", f"core.arrays={arrays}")
    chip = load_chip("isaac", (*sizes, f"core.issue_window={WINDOW}"))
    return compile_model(
        MODELS / "fmnist_resnet8.onnx", chip, CompileOptions(schedule=mode)
    ).schedule


def used(schedule: Schedule) -> list[tuple[int, int, int, int]]:
    """(task, stage, core, array) of every product and every array that it reads."""
    return [
        (index, task.stage, shard.core, tile.array)
        for index, task in enumerate(schedule.tasks)
        if isinstance(task.node.op, Tiled)
        for shard in task.node.op.plan.shards
        for tile in shard.matrix.tiles
    ]


@pytest.mark.parametrize("arrays", [4, 9])
@pytest.mark.parametrize("mode", ScheduleMode)
def test_cells_are_written_between_the_stages_that_use_them(
    mode: ScheduleMode, arrays: int
) -> None:
    schedule = made(mode, arrays)
    uses, writes = used(schedule), reloads(schedule)
    assert max(stage for _, stage, _, _ in uses) > 0
    for place, several in writes.items():
        for write in several:
            stage = write.task.stage
            for place_of in write.arrays:
                own = [(i, s) for i, s, core, array in uses if (core, array) == place_of]
                assert all(index < place for index, s in own if s < stage)
                assert place <= min(index for index, s in own if s == stage)


def test_no_more_writes_behind_a_product_than_half_the_window() -> None:
    schedule = made(ScheduleMode.LATENCY, 9)
    phases = [task.phase for task in schedule.tasks]
    starts = {0} | {i for i in range(1, len(phases)) if phases[i] > phases[i - 1]}
    inside = {
        place: Counter(write.shard.core for write in several if write.number is not None)
        for place, several in reloads(schedule).items()
        if place not in starts
    }
    assert inside
    assert max(max(counts.values(), default=0) for counts in inside.values()) <= WINDOW // 2


def test_what_stays_is_written_first() -> None:
    schedule = made(ScheduleMode.LATENCY, 9)
    stages = Counter(place for place in {(c, a, s) for _, s, c, a in used(schedule)})
    several = Counter((core, array) for core, array, _ in stages)
    first = [any(several[array] > 1 for array in write.arrays) for write in reloads(schedule)[0]]
    assert first == sorted(first)


@pytest.mark.parametrize(("arrays", "cores", "stays"), [(7, 3, False), (18, 1, True)])
@pytest.mark.parametrize("mode", [ScheduleMode.LATENCY, ScheduleMode.THROUGHPUT])
def test_ordering_leaves_setup_barriers_and_writes_where_they_belong(
    mode: ScheduleMode, arrays: int, cores: int, stays: bool
) -> None:
    program, probes = emit_with_probes(made(mode, arrays, cores))
    ordered, _ = order_instructions(program, probes)
    validate(ordered)
    matrices = program.matrices
    for core, code in program.cores.items():
        kept = ordered.cores[core]
        assert _done(core, kept[: setup_end(kept, matrices)]) == _done(
            core, code[: setup_end(code, matrices)]
        )
        assert list(_kinds(kept)) == list(_kinds(code))
        assert len(list(_kinds(code))) > 1
    assert not stays or any(setup_end(code, matrices) for code in program.cores.values())


def _done(core: int, code: tuple[Instruction, ...]) -> list[tuple[object, ...]]:
    """What instructions do, whichever registers they use."""
    return [
        (
            type(one.instruction),
            tuple(one.streams.items()),
            *(
                getattr(one.instruction, f.name)
                for f in one.instruction.layout
                if f.kind.role is Role.NONE
            ),
        )
        for one in walk(core, code)
    ]


def _kinds(code: tuple[Instruction, ...]) -> Iterator[Counter[str]]:
    """How many instructions of each kind stand between two barriers, without those of streams."""
    counts: Counter[str] = Counter()
    for one in code:
        if isinstance(one, Barrier):
            yield counts
            counts = Counter()
        if isinstance(one, Write | WriteMatrix | Mvm | Send | Recv | Store):
            counts[type(one).__name__] += 1
    yield counts


@pytest.mark.parametrize("mode", ScheduleMode)
def test_large_matrices_are_written_whole_where_rows_stream(mode: ScheduleMode) -> None:
    """What stays on its arrays for all inputs is, whatever the schedule."""
    schedule = made(mode, 9)
    stages = Counter(
        (core, array) for core, array, _ in {(c, a, s) for _, s, c, a in used(schedule)}
    )
    whole = Counter[bool]()
    for write in (one for several in reloads(schedule).values() for one in several):
        cells = {(write.shard.core, tile.array) for tile in write.shard.matrix.tiles}
        reused = {stages[array] > 1 for array in cells}
        large = 2 * len(cells) >= WINDOW and mode is not ScheduleMode.LAYERS
        assert (write.number is None) == (reused == {False} or (reused == {True} and large))
        whole[write.number is None] += 1
    assert whole[False]
    assert whole[True]


def test_a_small_window_has_no_room_for_whole_matrices() -> None:
    schedule = made(ScheduleMode.LATENCY, 4)
    target = schedule.target
    narrow = target.model_copy(update={"core": target.core.model_copy(update={"issue_window": 2})})
    writes = reloads(replace(schedule, target=narrow)).values()
    assert all(write.number is not None for several in writes for write in several)
