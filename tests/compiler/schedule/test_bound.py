"""Bounds of networks that are compiled, against those of a study of PIMCOMP on its chip."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from support.command_line import MODELS, imcc
from support.hand_program import hand_program
from support.mesh_programs import compiled as on_mesh
from support.topologies import topology

from imcc.compiler.driver import Compilation, compile_model
from imcc.compiler.errors import InputError
from imcc.compiler.mapping import KernelUnfolding
from imcc.compiler.mapping.bound_notes import read_bounds
from imcc.compiler.mapping.bounds import Resources
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode
from imcc.compiler.schedule.bound import layers_of
from imcc.runtime.timing import profile


@cache
def compiled(network: str) -> Compilation:
    # PIMCOMP has one window at a time.
    options = CompileOptions(schedule=ScheduleMode.LATENCY, unfolding=KernelUnfolding.IM2COL)
    return compile_model(topology(network).SerializeToString(), "pimcomp", options, "random")


@pytest.mark.parametrize(
    ("network", "products", "windows", "crossbars", "row_reads"),
    [("resnet18", 21, 30_234, 727, 132_500), ("squeezenet1_1", 26, 37_042, 108, 50_962)],
)
def test_products_are_those_that_the_study_counts(
    network: str, products: int, windows: int, crossbars: int, row_reads: int
) -> None:
    layers = layers_of(compiled(network).tiled)
    assert len(layers) == products
    assert sum(layer.windows for layer in layers) == windows
    assert sum(layer.arrays for layer in layers) == crossbars
    assert sum(layer.windows * layer.row_blocks for layer in layers) == row_reads


@pytest.mark.parametrize(
    ("network", "issue", "period", "latency"),
    [("resnet18", 184.0, 19, 36), ("squeezenet1_1", 70.8, 7, 24)],
)
def test_bounds_of_the_study(network: str, issue: float, period: int, latency: int) -> None:
    """`period` and `latency` are in windows of 0.8 us; input and output pass in 4.7 us."""
    bounds = compiled(network).bounds
    assert bounds is not None
    for bound, windows in ((bounds.latency, latency), (bounds.interval, period)):
        assert round(bound.issue / 1000, 1) == issue
        assert bound.replication == pytest.approx(800 * windows)
        assert round(bound.memory / 1000, 1) == 4.7
        assert (bound.network, bound.term) == (0.0, "issue")


def test_no_program_is_faster_than_its_bounds() -> None:
    for network in ("resnet18", "squeezenet1_1"):
        compilation = compiled(network)
        assert compilation.bounds is not None
        times = profile(compilation.program)
        assert times.latency_us * 1000 >= compilation.bounds.latency.value
        assert times.interval_us * 1000 >= compilation.bounds.interval.value


@pytest.mark.parametrize(
    ("name", "cores"), [("fmnist_resnet8", 2), ("fmnist_mobilenet", 2), ("fmnist_lenet", 4)]
)
def test_no_program_on_a_mesh_is_faster_than_dependence_allows(name: str, cores: int) -> None:
    compilation = on_mesh(name, cores, cores, ScheduleMode.LATENCY)
    assert compilation.bounds is not None
    taken = profile(compilation.program).latency_us * 1000
    assert 0 < compilation.bounds.latency.dependence <= taken
    assert compilation.bounds.interval.dependence == 0


def test_dependence_is_no_less_than_replication_in_parts() -> None:
    """What all products take between a window each of those before and behind, in real numbers."""
    tiled, bounds = compiled("squeezenet1_1").tiled, compiled("squeezenet1_1").bounds
    assert bounds is not None
    layers, arrays = layers_of(tiled), Resources.of(tiled.target).arrays

    def fits(time: float) -> bool:
        spans = [time - layer.before - layer.after for layer in layers]
        return min(spans) > 0 and arrays >= sum(
            layer.arrays * max(1.0, layer.windows * layer.window_time / span)
            for layer, span in zip(layers, spans, strict=True)
        )

    times = np.linspace(0, bounds.latency.replication, 10_001)
    relaxed = times[np.argmax([fits(time) for time in times])]
    assert bounds.latency.dependence >= 0.98 * relaxed


def test_bounds_are_in_the_program() -> None:
    compilation = compiled("squeezenet1_1")
    noted, found = read_bounds(compilation.program), compilation.bounds
    assert noted is not None
    assert found is not None
    assert noted.latency == replace(found.latency, replicas=())
    assert noted.interval == replace(found.interval, replicas=())


def test_programs_whose_rows_do_not_stream_have_none() -> None:
    found = compile_model(MODELS / "fmnist_mlp.onnx", "isaac")
    assert found.bounds is None
    assert read_bounds(found.program) is None


@pytest.mark.parametrize(
    "note", ["", "[]", "{}", '{"latency": 1, "interval": 1}', '{"latency": {"replication": "x"}}']
)
def test_damaged_notes(note: str) -> None:
    program = replace(hand_program(), notes=(("bounds", note),))
    with pytest.raises(InputError, match=r"note .bounds. is damaged: .*; compile the model again"):
        read_bounds(program)


def test_commands_put_times_beside_bounds(tmp_path: Path) -> None:
    program = tmp_path / "p.imc"
    command = ("compile", MODELS / "fmnist_resnet8.onnx", "--schedule", "latency", "-o", program)
    made = json.loads(imcc(*command, "--target", "isaac", "--json").stdout)["bounds"]
    found = json.loads(imcc("profile", program, "--json").stdout)
    assert found["bounds"] == made
    latency = made["latency"]
    assert latency["bound_us"] == max(latency[f"{latency['term']}_us"], latency["memory_us"])
    shown = re.search(
        r"latency / bound +([0-9.]+) times the bound, ", imcc("profile", program).stdout
    )
    assert shown is not None
    ratio = found["latency_us"] / latency["bound_us"]
    assert float(shown[1]) == pytest.approx(ratio, abs=0.0051)  # a tie may go either way
    table = imcc(*command, "--target", "isaac").stdout
    assert f"latency bound   {latency['bound_us']:.4g} us (replication" in table


def test_notes_from_before_there_was_dependence() -> None:
    terms = '{"issue":2,"memory":3,"network":1,"replication":5}'
    note = f'{{"interval":{terms},"latency":{terms}}}'
    found = read_bounds(replace(hand_program(), notes=(("bounds", note),)))
    assert found is not None
    assert (found.latency.dependence, found.latency.value, found.latency.term) == (
        0.0,
        5.0,
        "replication",
    )
