"""What the commands say about the parts of a network that the host computes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from support.command_line import MODELS, imcc
from support.host_models import bundled, with_middle, with_suffix
from support.host_networks import NETWORKS, model, node

_MAIN = "from imcc.compiler.cli import main; main()"
THREE = ["/middle/Hardmax_0", "/top", "/best"]


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def three() -> Path:
    """A network with three operators that the machine does not have."""
    made = with_middle(bundled("fmnist_lenet"), "/pool1/MaxPool_output_0", "Hardmax")
    path = Path("three.onnx")
    onnx.save(with_suffix(made), path)
    return path


def test_strict_names_all_of_them_in_one_run_and_one_order(three: Path) -> None:
    seen = set()
    for seed in ("0", "1", "2"):
        command = [sys.executable, "-c", _MAIN, "compile", str(three), "--strict"]
        done = subprocess.run(
            [*command, "--target", "isaac", "--calib", "random"],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 4
        seen.add(done.stderr)
    (text,) = seen
    assert re.findall(r"node '(.+?)'", text) == THREE
    assert text.count("= because:") == text.count("leave out --strict") == 3
    assert not Path("three.imc").exists()


def test_strict_names_what_not_even_the_host_can_do_beside_the_rest(three: Path) -> None:
    made = onnx.load(three)
    made.opset_import.append(helper.make_opsetid("com.acme", 1))
    made.graph.node.append(
        helper.make_node("Foo", ["logits"], ["foo"], name="/foo", domain="com.acme")
    )
    made.graph.output.append(helper.make_tensor_value_info("foo", 1, ["N", 10]))
    onnx.save(made, three)
    strict = imcc("compile", three, "--target", "isaac", "--calib", "random", "--strict")
    assert strict.exit_code == 4
    assert all(f"node '{name}'" in strict.stderr for name in (*THREE, "/foo"))
    loose = imcc("compile", three, "--target", "isaac", "--calib", "random")
    assert loose.exit_code == 4
    assert [name for name in (*THREE, "/foo") if f"node '{name}'" in loose.stderr] == ["/foo"]
    assert "is not a registered function/op" in loose.stderr


def test_shapes_that_depend_on_data_are_refused() -> None:
    made = model(
        [node("MatMul", "x w", "a"), node("NonZero", "a", "y")],
        {"x": (1, ["N", 4])},
        {"y": (7, [2, "K"])},
        {"w": np.eye(4, dtype=np.float32)},
    )
    onnx.save(made, "m.onnx")
    found = imcc("compile", "m.onnx", "--target", "isaac", "--calib", "random")
    assert found.exit_code == 4
    assert "those of its results depend on the data" in found.stderr


def test_check_says_what_runs_on_the_host(three: Path) -> None:
    found = json.loads(imcc("check", three, "--target", "isaac", "--json").stdout)
    on_host = {o["node"]: o["why"] for o in found["operators"] if o["where"] == "host"}
    assert sorted(on_host) == sorted(THREE)
    assert on_host["/top"] == "TopK has no integer form"
    assert {p["code"] for p in found["problems"]} == {"IMC0502"}
    assert found["passed"]
    assert not found["needs"][0]["short"]
    assert imcc("check", three, "--target", "isaac", "--strict").exit_code == 1


def test_compile_reports_the_share_and_inspect_the_partitions(three: Path) -> None:
    data = ("--calib", MODELS / "fmnist.npz")
    found = json.loads(imcc("compile", three, "--target", "isaac", *data, "--json").stdout)["host"]
    assert [row["node"] for row in found["nodes"]] == THREE
    assert (found["partitions"], found["macs"]) == (2, 0.0)
    text = imcc("compile", three, "--target", "isaac", *data).stdout
    assert "2 partitions of onnxruntime: 0.0% of the multiply-accumulates" in text
    listed = json.loads(imcc("inspect", "three.imc", "--json").stdout)
    assert [p["nodes"] for p in listed["host partitions"]] == ["/middle/Hardmax_0", "/top, /best"]
    ran = imcc(
        "run", "three.imc", "--input", MODELS / "fmnist.npz", "--samples", "4", "-o", "y.npz"
    )
    assert ran.exit_code == 0, ran.output
    with np.load("y.npz") as arrays:
        types = {name: str(arrays[name].dtype) for name in arrays.files}
    assert types == {"scores": "float32", "classes": "int64", "best": "int64"}


def test_products_on_the_host_count_as_work() -> None:
    """Two products of equal size, one with computed weights: half of the work is the host's."""
    made = model(
        [node("Conv", "x w", "a"), node("Conv", "x v", "b"), node("Add", "a b", "y")],
        {"x": (1, [1, 2, 6, 6]), "v": (1, [1, 2, 3, 3])},
        {"y": (1, [1, 1, 4, 4])},
        {"w": np.ones((1, 2, 3, 3), np.float32)},
    )
    onnx.save(made, "m.onnx")
    found = imcc("compile", "m.onnx", "--target", "isaac", "--calib", "random", "--json")
    share = json.loads(found.stdout)["host"]
    assert (share["macs"], share["partitions"]) == (0.5, 1)


def test_verify_compares_networks_with_host_parts() -> None:
    network = next(n for n in NETWORKS if n.name == "woven")
    onnx.save(network.model, "m.onnx")
    np.savez("m.npz", allow_pickle=False, **network.inputs)
    assert imcc("compile", "m.onnx", "--target", "isaac").exit_code == 0
    found = imcc("verify", "m.imc", "--model", "m.onnx", "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["passed"]
