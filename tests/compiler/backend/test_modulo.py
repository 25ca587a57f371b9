"""Modulo schedules keep what jobs wait for, and no resource does two things at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from imcc.compiler.backend import emit_with_probes
from imcc.compiler.backend.ordering.attempt import Times
from imcc.compiler.backend.ordering.fills import fills_cut_at
from imcc.compiler.backend.ordering.items import items_by_core
from imcc.compiler.backend.ordering.jobs import Job, jobs
from imcc.compiler.backend.ordering.modulo import Modulo
from imcc.compiler.backend.ordering.needs import Needs
from imcc.compiler.backend.ordering.play import Play
from imcc.compiler.cli.chip import load_chip
from imcc.compiler.driver import compile_model
from imcc.compiler.mapping import TileOptions
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode, map_apart, on_mesh, schedule_apart
from imcc.isa import walk
from imcc.isa.cost import Unit
from imcc.isa.instructions import Fill

MODEL = Path(__file__).parents[3] / "models" / "fmnist_resnet8.onnx"


@cache
def scheduled() -> tuple[Sequence[Job], Needs, Sequence[Times], int]:
    """A residual network on four cores, for the shortest period of a few."""
    chip = load_chip("isaac", ("chip.mesh_rows=2", "chip.mesh_cols=2"))
    quantized = compile_model(MODEL, chip, CompileOptions()).quantized
    placed = map_apart(quantized, chip, TileOptions(), ScheduleMode.THROUGHPUT)
    assert placed is not None
    plan, places = schedule_apart(*on_mesh(placed))
    program, _ = emit_with_probes(plan)
    found = jobs(items_by_core(program, (), fills_cut_at(places)), in_order=False)
    Play(found, chip).run()
    needs = Needs(found, chip, places)
    modulo = Modulo(found, needs, [None] * len(found))
    for factor in (1.1, 1.3, 1.6, 2.0, 3.0):
        period = int(needs.busiest * factor)
        times = modulo.begins(period)
        if times is not None:
            return found, needs, times, period
    pytest.fail("no period is long enough")


def test_jobs_begin_behind_what_they_wait_for() -> None:
    found, _, times, _ = scheduled()
    number = {id(job): index for index, job in enumerate(found)}
    for index, job in enumerate(found):
        for other in job.then:
            assert times[index].end <= times[number[id(other)]].begin


def test_no_resource_does_two_things_at_a_time() -> None:
    """Neither for one input nor for several, one every period."""
    _, needs, times, period = scheduled()
    taken: dict[int, np.ndarray] = defaultdict(lambda: np.zeros(period, np.int64))
    for need, one in zip(needs.each, times, strict=True):
        for resource, cycles in need.held:
            taken[resource][np.arange(one.begin, one.begin + cycles) % period] += 1
    assert max(int(busy.max()) for busy in taken.values()) == 1
    assert max(int(busy.sum()) for busy in taken.values()) <= needs.busiest


def test_no_input_has_a_place_for_longer_than_a_period() -> None:
    _, needs, times, period = scheduled()
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for need, one in zip(needs.each, times, strict=True):
        for place in need.places:
            first[place] = min(first.get(place, one.begin), one.begin)
            last[place] = max(last.get(place, one.end), one.end)
    assert all(last[place] - begin <= period for place, begin in first.items())


def test_the_busiest_resource_is_what_the_arrays_do_at_least() -> None:
    found, needs, _, _ = scheduled()
    work: dict[tuple[int, int], int] = defaultdict(int)
    for job in found:
        for (core, _), item in zip(job.places, job.items, strict=True):
            if item.cost is not None and item.cost.unit is Unit.ARRAYS:
                for array in item.cost.arrays:
                    work[core, array] += item.cost.cycles
    assert needs.busiest >= max(work.values())


def test_fills_are_cut_where_places_end() -> None:
    """The same bytes are filled, and no fill reaches over the beginning of a place."""
    chip = load_chip("isaac", ("chip.mesh_rows=2", "chip.mesh_cols=2"))
    placed = map_apart(
        compile_model(MODEL, chip, CompileOptions()).quantized,
        chip,
        TileOptions(),
        ScheduleMode.THROUGHPUT,
    )
    assert placed is not None
    plan, places = schedule_apart(*on_mesh(placed))
    program, _ = emit_with_probes(plan)
    cut, several = fills_cut_at(places), 0
    for core, code in program.cores.items():
        starts = np.array([place.address for place in places[core]])
        for operation in walk(core, code):
            parts = tuple(cut(operation))
            if not isinstance(operation.instruction, Fill):
                assert parts == (operation,)
                continue
            several += len(parts) > 1
            spans = [part.streams["dst"].extent for part in parts]
            low, high = operation.streams["dst"].extent
            assert (spans[0][0], spans[-1][1]) == (low, high)
            assert all(one[1] == two[0] for one, two in pairwise(spans))
            for begin, end in spans if len(spans) > 1 else ():
                assert not ((begin < starts) & (starts < end)).any()
    assert several
