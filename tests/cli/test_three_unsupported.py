"""A model with three unsupported operators: one run names all, in one order for any hash seed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

_MAIN = """
import sys
from click.testing import CliRunner
from imcc.compiler.cli import cli
for line in sys.stdin.read().splitlines():
    result = CliRunner().invoke(cli, line.split())
    print(result.exit_code, result.stderr, sep="\\n", end="\\0")
"""
_COMMANDS = """\
check m.onnx --target isaac
compile m.onnx --target isaac --calib random
compile m.onnx --target isaac --calib random --strict
compile m.onnx --target isaac --calib random --diagnostics-format json"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    nodes = [
        helper.make_node("Foo", ["x"], ["a"], "/block/foo", domain="com.acme"),
        helper.make_node("NonZero", ["x"], ["b"], "/block/nonzero"),
        helper.make_node("Bar", ["a", "b"], ["y"], "/head/bar", domain="com.acme"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.acme", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.save(model, tmp_path / "m.onnx")
    return tmp_path


def outcomes(folder: Path, seed: str) -> list[tuple[int, str]]:
    """Exit code and standard error of each command."""
    done = subprocess.run(
        [sys.executable, "-c", _MAIN],
        input=_COMMANDS,
        cwd=folder,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    parts = [part.split("\n", 1) for part in done.stdout.split("\0")[:-1]]
    return [(int(code), text) for code, text in parts]


def test_all_are_named_with_reason_and_remedy_in_the_order_of_the_graph(folder: Path) -> None:
    first, *others = [outcomes(folder, seed) for seed in ("0", "1", "42", "31337")]
    assert all(other == first for other in others)
    (check, *compiles) = first
    assert check[0] == 1
    assert [code for code, _ in compiles] == [4, 4, 4]
    for _, text in (check, *compiles[:2]):
        blocks = text.split("error[IMC0401]: ")[1:]
        assert [re.findall(r"node '(.+?)'", block) for block in blocks] == [
            ["/block/foo"],
            ["/block/nonzero"],
            ["/head/bar"],
        ]
        assert all("= because: " in block and "= help: " in block for block in blocks)
        assert text.endswith("3 errors. (imcc explain IMC0401)\n")
    assert len(compiles[2][1].splitlines()) == 3
    assert [path.name for path in folder.iterdir()] == ["m.onnx"]
