from __future__ import annotations

import re
import subprocess
import sys

import pytest
from support.command_line import imcc

from imcc.compiler.cli.main import COMMANDS

HEAVY = ("numpy", "onnx", "onnxruntime", "pydantic", "networkx", "lark")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from imcc.compiler.cli import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        f"sys.stderr.write(','.join(m for m in {HEAVY!r} if m in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_a_screen(name: str) -> None:
    result = imcc(name, "-h")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) <= 60


@pytest.mark.parametrize("name", COMMANDS)
def test_listed_by_the_group(name: str) -> None:
    assert re.search(rf"^\W*{name} +{COMMANDS[name].split()[0]}", imcc("--help").output, re.M)


def test_version_names_every_format() -> None:
    names = [line.split()[0] for line in imcc("--version").output.splitlines()]
    assert names == ["imcc", "isa", "container", "onnx", "onnxruntime", "numpy"]


def test_unknown_command_is_a_usage_error() -> None:
    result = imcc("compil")
    assert result.exit_code == 2
    assert "compile" in result.output
