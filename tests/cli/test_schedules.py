"""``--schedule``: rows stream through the layers, and the program stays the network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command_line import imcc

MODELS = Path(__file__).parents[2] / "models"


@pytest.mark.parametrize("mode", ["latency", "throughput"])
@pytest.mark.parametrize(
    ("model", "target"), [("fmnist_resnet8", "isaac"), ("fmnist_mobilenet_bn", "dcim22")]
)
def test_streamed_programs_are_the_network(
    tmp_path: Path, model: str, target: str, mode: str
) -> None:
    path, program = MODELS / f"{model}.onnx", tmp_path / "p.imc"
    done = imcc("compile", path, "--target", target, "--schedule", mode, "-o", program, "--json")
    assert done.exit_code == 0, done.output
    found = imcc("verify", program, "--model", path, "--samples", "4", "--layerwise")
    assert found.exit_code == 0, found.output
    assert imcc("check", path, "--target", target, "--schedule", mode).exit_code == 0


def test_streaming_is_faster_and_takes_less_local_memory(tmp_path: Path) -> None:
    """ResNet-8 lies on isaac many times over."""
    figures = {}
    for mode in ("layer-by-layer", "latency"):
        program = tmp_path / f"{mode}.imc"
        done = imcc(
            "compile", MODELS / "fmnist_resnet8.onnx", "--target", "isaac", "--schedule", mode,
            "-o", program, "--json",
        )  # fmt: skip
        local = json.loads(done.stdout)["local_bytes"]
        profile = json.loads(imcc("profile", program, "--json").stdout)
        figures[mode] = local, profile["latency_cycles"], profile["interval_cycles"]
    whole, streamed = figures["layer-by-layer"], figures["latency"]
    assert streamed[0] < whole[0]
    assert streamed[1] < whole[1] / 100
    assert streamed[2] < whole[2] / 100


def test_unknown_schedules_are_usage_errors(tmp_path: Path) -> None:
    done = imcc("compile", MODELS / "fmnist_mlp.onnx", "--target", "isaac", "--schedule", "fast")
    assert done.exit_code == 2


def test_table_says_what_is_reloaded(tmp_path: Path) -> None:
    """Two cores of seven arrays; the network takes 23."""
    sizes = ("chip.mesh_rows=1", "chip.mesh_cols=2", "core.arrays=7")
    command: list[str | Path] = ["compile", MODELS / "fmnist_resnet8.onnx", "--target", "isaac"]
    command += ["--schedule", "latency", "-o", tmp_path / "m.imc"]
    command += [part for size in sizes for part in ("--set", size)]
    lines = {line[:19].strip(): line[19:] for line in imcc(*command).stdout.splitlines()}
    figures = json.loads(imcc(*command, "--json").stdout)
    reload = figures["reload"]
    assert lines["stages"].startswith(f"{reload['stages']}, because the weights do not fit")
    assert lines["each input writes"].startswith(
        f"{reload['bytes']} bytes to {reload['cells']} cells, one of them up to "
    )
    assert lines["global memory"].startswith(f"{figures['spilled_bytes']} bytes of results wait")


def test_table_and_profile_say_how_many_inputs_are_on_their_way(tmp_path: Path) -> None:
    program = tmp_path / "m.imc"
    command: list[str | Path] = ["compile", MODELS / "fmnist_resnet8.onnx", "--target", "pimcomp"]
    command += ["--schedule", "throughput", "--set", "timing.noc_bytes_per_cycle=0.5"]
    command += ["-o", program]
    lines = {line[:16].strip(): line[16:] for line in imcc(*command).stdout.splitlines()}
    phases = json.loads(imcc(*command, "--json").stdout)["phases"]
    assert lines["phases"].startswith(f"{phases}, each for another input at a time")
    assert f"{phases}: as many inputs are on their way" in imcc("profile", program).stdout
    profile = json.loads(imcc("profile", program, "--json").stdout)
    assert profile["phases"] == phases
    assert profile["latency_cycles"] > (phases - 1) * profile["interval_cycles"]
    verified = imcc("verify", program, "--model", MODELS / "fmnist_resnet8.onnx")
    assert verified.exit_code == 0


def test_table_of_a_network_that_fits_says_nothing_of_stages(tmp_path: Path) -> None:
    result = imcc("compile", MODELS / "fmnist_mlp.onnx", "--target", "isaac",
                  "-o", tmp_path / "m.imc")  # fmt: skip
    assert "stages" not in result.stdout
    assert "wait there" not in result.stdout


def test_table_and_profile_say_that_inputs_overlap(tmp_path: Path) -> None:
    program = tmp_path / "m.imc"
    command: list[str | Path] = ["compile", MODELS / "fmnist_resnet8.onnx", "--target", "isaac"]
    command += ["--set", "chip.mesh_rows=2", "--set", "chip.mesh_cols=2"]
    command += ["--schedule", "throughput", "-o", program]
    lines = {line[:16].strip(): line[16:] for line in imcc(*command).stdout.splitlines()}
    lags = json.loads(imcc(*command, "--json").stdout)["lags"]
    assert lags > 0
    assert lines["inputs"] == f"overlap: a core works on up to {lags + 1} at a time"
    assert lines["inputs"] in imcc("profile", program).stdout
    profile = json.loads(imcc("profile", program, "--json").stdout)
    assert profile["lags"] == lags
    assert profile["latency_cycles"] > profile["interval_cycles"]


def test_a_note_says_what_takes_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program of the bundled model is short; the limit is lowered to that of a long one."""
    monkeypatch.setattr("imcc.compiler.options._MOST_INSTRUCTIONS", (100, 100_000))
    path, program = MODELS / "fmnist_lenet.onnx", tmp_path / "p.imc"
    command: list[str | Path] = ["compile", path, "--target", "isaac", "--schedule", "latency"]
    command += ["-o", program]
    quick, slow = imcc(*command), imcc(*command, "-O3")
    assert quick.exit_code == slow.exit_code == 0
    assert "with -O3 each has arrays of its own" in " ".join((quick.stdout + quick.stderr).split())
    assert "-O3" not in slow.stdout + slow.stderr
