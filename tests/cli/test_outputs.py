from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.command_line import MODELS, imcc
from support.exported_models import type_by_attribute

from imcc.isa import load_program, save_program
from imcc.isa.instructions import Setq


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundled model compiled for a chip."""
    path = tmp_path_factory.mktemp("program") / "lenet.imc"
    result = imcc("compile", MODELS / "fmnist_lenet.onnx", "--target", "isaac", "-o", path)
    assert result.exit_code == 0, result.output
    return path


@pytest.mark.parametrize("schedule", ["layer-by-layer", "throughput"])
def test_same_bytes_for_any_folder_hash_seed_and_threads(tmp_path: Path, schedule: str) -> None:
    made = []
    for seed, jobs in (("0", "1"), ("1", "2"), ("77", "1")):
        folder = tmp_path / seed
        folder.mkdir()
        (folder / "m.onnx").write_bytes((MODELS / "watch_cnn1d_bn.onnx").read_bytes())
        command = [sys.executable, "-c", "from imcc.compiler.cli import main; main()", "compile"]
        command += ["m.onnx", "--target", "isaac", "--calib", str(MODELS / "watch.npz"), "-j", jobs]
        command += ["--emit", "imc,imcasm,mlir,qdq", "-q", "--schedule", schedule]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run(command, cwd=folder, env=environment, check=True)
        made.append({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
    assert sorted(made[0]) == ["m.imc", "m.imcasm", "m.mlir", "m.onnx", "m.qdq.onnx"]
    assert made[0] == made[1] == made[2]


def test_disassembly_assembles_to_the_same_bytes(program: Path, tmp_path: Path) -> None:
    text, back = tmp_path / "p.imcasm", tmp_path / "back.imc"
    assert imcc("disasm", program, "-o", text).exit_code == 0
    assert imcc("asm", text, "-o", back).exit_code == 0
    assert back.read_bytes() == program.read_bytes()
    assert imcc("disasm", back).output == text.read_text()


def test_failed_command_leaves_the_old_output(tmp_path: Path) -> None:
    output = tmp_path / "old.imc"
    output.write_bytes(b"old")
    result = imcc("compile", MODELS / "fmnist_mlp.onnx", "--target", "tiny", "--set",
                  "chip.mesh_rows=1", "--set", "chip.mesh_cols=1", "--set", "core.arrays=1",
                  "-o", output)  # fmt: skip
    assert result.exit_code == 5
    assert output.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["old.imc"]


def test_unwritable_output_is_bad_input(tmp_path: Path, program: Path) -> None:
    result = imcc("disasm", program, "-o", tmp_path / "missing" / "p.imcasm")
    assert result.exit_code == 3
    assert "missing" in result.stderr


def test_output_has_ordinary_permissions(program: Path) -> None:
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(program.stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize(
    "arguments",
    [
        ("target", "list"),
        ("target", "show", "tiny"),
        ("ops",),
        ("inspect", MODELS / "fmnist_lenet.onnx"),
        ("compile", MODELS / "fmnist_lenet.onnx", "--target", "isaac", "-o", "made.imc"),
    ],
)
def test_json_is_one_object_with_a_schema(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = imcc(*arguments, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["schema"].startswith(f"imcc.{arguments[0]}")


def test_compile_prints_a_row_a_layer(tmp_path: Path) -> None:
    result = imcc("compile", MODELS / "fmnist_mlp.onnx", "--target", "isaac",
                  "-o", tmp_path / "m.imc")  # fmt: skip
    assert result.exit_code == 0
    assert result.stderr == ""
    layers = result.stdout.split("\n\n")[0].splitlines()
    assert layers[0].split()[0] == "layer"
    assert [line.split()[0] for line in layers[1:]] == ["/fc1/Gemm", "/fc2/Gemm", "/fc3/Gemm"]


def test_run_writes_what_the_machine_computes(program: Path, tmp_path: Path) -> None:
    result = imcc("run", program, "--input", MODELS / "fmnist.npz", "--samples", "4",
                  "-o", tmp_path / "y.npz")  # fmt: skip
    assert result.exit_code == 0, result.output
    with np.load(tmp_path / "y.npz") as outputs:
        assert outputs["logits"].shape == (4, 10)
        labels = np.load(MODELS / "fmnist.npz")["y"][:4]
        np.testing.assert_array_equal(outputs["logits"].argmax(axis=1), labels)


def test_profile_adds_up(program: Path) -> None:
    arguments = ("run", program, "--input", MODELS / "fmnist.npz", "--samples", "1", "--profile")
    profile = json.loads(imcc(*arguments, "--json").stdout)["profile"]
    total = sum(layer["energy_pj"] for layer in profile["layers"])
    assert total == pytest.approx(profile["energy_uj"] * 1e6)
    # 4 x 4 windows at once in 8 x 8 pixels, and 1 x 2 in 5 x 6: all of that lies on cells.
    first, second = 7 * 7 * (8 * 8 * 16 * 6), 10 * 5 * (5 * 6 * 6 * 2 * 16)
    assert profile["macs"] == first + second + 48000 + 10080 + 840
    assert "latency" in imcc(*arguments).stdout


def test_verify_says_no_with_exit_code_one(program: Path, tmp_path: Path) -> None:
    model = MODELS / "fmnist_lenet.onnx"
    good = imcc("verify", program, "--model", model, "--samples", "4", "--accuracy-samples", "8")
    assert good.exit_code == 0, good.output
    assert good.stdout.splitlines()[-1] == "verified"
    loaded = load_program(program)
    (core,) = loaded.cores
    code = list(loaded.cores[core])
    found = [(at, i) for at, i in enumerate(code) if isinstance(i, Setq)]
    at, stage = found[-2]
    code[at] = replace(stage, low=stage.low + 9)
    wrong = tmp_path / "wrong.imc"
    save_program(replace(loaded, cores={core: tuple(code)}), wrong)
    bad = imcc("verify", wrong, "--model", model, "--samples", "4", "--json")
    assert bad.exit_code == 1
    answer = json.loads(bad.stdout)
    assert not answer["passed"]
    inside, at_output, *_ = answer["comparisons"]
    assert inside["first"] == "/fc1/Gemm + /relu3/Relu"  # the stage serves fc1 and fc2
    assert at_output["first"] == "/fc3/Gemm"
    assert at_output["differences"] > 0
    assert "compiling again gives another program" in bad.stderr


def test_verify_notes_that_onnxruntime_refuses_the_model(tmp_path: Path) -> None:
    model, program = tmp_path / "m.onnx", tmp_path / "m.imc"
    model.write_bytes(type_by_attribute().SerializeToString())
    assert imcc("compile", model, "--target", "isaac", "-o", program).exit_code == 0
    said = "onnxruntime cannot load this model with its optimizations"
    found = imcc("verify", program, "--model", model, "--samples", "2")
    assert found.exit_code == 0
    assert f"note: {said}" in found.stderr
    found = imcc("verify", program, "--model", model, "--samples", "2", "--json")
    assert said in json.loads(found.stdout)["notes"][0]


def test_verify_warns_of_another_model(program: Path) -> None:
    """The same network with batch normalization gives the same program, from another file."""
    result = imcc("verify", program, "--model", MODELS / "fmnist_lenet_bn.onnx", "--samples", "2",
                  "--accuracy-samples", "0")  # fmt: skip
    assert "the model is not the file that the program was compiled from" in result.stderr
