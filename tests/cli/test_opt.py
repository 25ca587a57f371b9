"""``imcc opt``: every flag, and going on with text that imcc has written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.command_line import MODELS, imcc

from imcc.compiler.ir import read_graph
from imcc.compiler.options import CompileOptions
from imcc.compiler.passes import Pipeline

LENET = MODELS / "fmnist_lenet_bn.onnx"
PASSES = "fold-constants,fold-batch-norm,quantize{weight-bits=8}"
NOTE = "note: calibration: random, seed 0, 64 samples"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """The float graph as `opt` writes it, with no data beside it."""
    path = tmp_path / "m.mlir"
    result = imcc("opt", LENET, "-o", path)
    assert (result.exit_code, result.stderr) == (0, "")
    return path


def titles(stderr: str) -> list[str]:
    return re.findall(r"^// ----- (.*) -----$", stderr, re.M)


def test_opt_goes_on_with_its_own_text(text: Path, tmp_path: Path) -> None:
    result = imcc("opt", text, "--pass-pipeline", PASSES, "-o", tmp_path / "q.mlir")
    assert result.exit_code == 0
    assert result.stderr.startswith(NOTE)
    names = {node.op.name for node in read_graph(tmp_path / "q.mlir").nodes}
    assert {"qconv", "qmatmul"} <= names
    assert not names & {"conv", "matmul", "batch_normalization"}


def test_opt_reads_what_compile_emits(tmp_path: Path) -> None:
    made = imcc("compile", MODELS / "fmnist_lenet.onnx", "--target", "isaac", "-q",
                "--emit", "mlir", "-o", tmp_path / "m.imc")  # fmt: skip
    assert made.exit_code == 0
    emitted = tmp_path / "m.mlir"
    result = imcc("opt", emitted, "--pass-pipeline", PASSES)
    assert result.exit_code == 0
    assert result.stdout == emitted.read_text()
    assert result.stderr == "note: quantize: the graph is quantized already and stays as it is\n"


def test_random_calibration_follows_the_seed(text: Path) -> None:
    arguments = ("opt", text, "--pass-pipeline", PASSES)
    outputs = [imcc(*arguments, "--seed", seed).stdout for seed in ("0", "0", "1")]
    assert outputs[0] == outputs[1] != outputs[2]
    chosen = imcc(*arguments, "--calib", "random")
    assert (chosen.stdout, chosen.stderr) == (outputs[0], "")
    real = imcc(*arguments, "--calib", MODELS / "fmnist.npz")
    assert real.stderr == ""
    assert real.stdout != outputs[0]


def test_no_note_where_nothing_is_calibrated(text: Path) -> None:
    assert imcc("opt", text, "--pass-pipeline", "fold-constants").stderr == ""


def test_printing(text: Path) -> None:
    pipeline = ("opt", text, "--pass-pipeline", "fold-constants,fold-batch-norm")
    changed = titles(imcc(*pipeline, "--print-ir-after-change").stderr)
    assert changed == ["after fold-constants: no change", "after fold-batch-norm"]
    every = titles(imcc(*pipeline, "--print-ir-after-all").stderr)
    assert every == ["after fold-constants", "after fold-batch-norm"]
    one = titles(imcc(*pipeline, "--print-ir-after", "fold-batch-norm").stderr)
    assert one == ["after fold-batch-norm"]
    first = titles(imcc(*pipeline, "--print-ir-before", "fold-constants").stderr)
    assert first == ["before fold-constants"]


def test_tree(text: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    imcc("opt", text, "--pass-pipeline", "fold-constants", "--print-ir-tree-dir", tree)
    assert sorted(p.name for p in tree.iterdir()) == ["00_input.mlir", "01_fold-constants.mlir"]


def test_timing_has_a_row_a_pass(text: Path) -> None:
    result = imcc("opt", text, "--pass-pipeline", "fold-constants,fold-batch-norm", "--timing")
    rows = [line.split()[0] for line in result.stderr.splitlines()]
    assert rows == ["read", "fold-constants", "fold-batch-norm", "total"]


def test_compile_times_every_stage(tmp_path: Path) -> None:
    result = imcc("compile", LENET, "--target", "isaac", "--timing", "-O0", "-q",
                  "--calib", "random", "-o", tmp_path / "m.imc")  # fmt: skip
    lines = result.stderr.splitlines()
    passes = [pass_.name for pass_ in Pipeline.parse(CompileOptions(level=0).passes()).passes]
    stages = ["import", "data", *passes, "tile", "schedule", "emit", "validate", "total"]
    assert [line.split()[0] for line in lines] == stages
    seconds = [float(line.split()[1]) for line in lines]
    assert sum(seconds[:-1]) == pytest.approx(seconds[-1], abs=1e-3)


def test_target_and_tile(text: Path) -> None:
    pipeline = ("--pass-pipeline", f"{PASSES},tile")
    assert "imcc.tiled" in imcc("opt", text, *pipeline, "--target", "isaac").stdout
    missing = imcc("opt", text, *pipeline)
    assert missing.exit_code == 3
    assert "needs a target" in missing.stderr


def test_standard_input(text: Path) -> None:
    from click.testing import CliRunner

    from imcc.compiler.cli import cli

    # Large constants are in the file; only a graph that is one text can be piped.
    result = CliRunner().invoke(cli, ["opt", "-"], input=text.read_text())
    assert result.exit_code == 0
    assert result.stdout == text.read_text()


def test_no_verification_between_passes(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr("imcc.compiler.passes.pipeline.verify", calls.append)
    arguments = ("opt", text, "--pass-pipeline", "fold-constants")
    assert imcc(*arguments, "--no-verify-each").exit_code == 0
    assert calls == []
    assert imcc(*arguments, "--verify-each").exit_code == 0
    assert len(calls) == 1


def test_debug_shows_the_exception(text: Path) -> None:
    shown = imcc("opt", text, "--pass-pipeline", "tile", "--debug")
    assert "needs a target" in str(shown.exception)


def test_either_a_file_or_a_reproducer(text: Path) -> None:
    assert imcc("opt").exit_code == 2
    assert imcc("opt", text, "--run-reproducer", text).exit_code == 2


@pytest.mark.parametrize("verb", ["asm", "inspect"])
def test_assembly_errors_name_the_file(tmp_path: Path, verb: str) -> None:
    bad = tmp_path / "bad.imcasm"
    bad.write_text(".foo\n")
    result = imcc(verb, bad)
    assert result.exit_code == 3
    assert result.stderr.startswith(f"error[IMC0120]: {bad}: the text is not a program: ")
