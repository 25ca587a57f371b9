"""Every command and every line of Python in the README and the tutorial runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from imcc.compiler.cli import cli

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/tutorial.md")


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


@pytest.fixture(autouse=True)
def _in_a_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").symlink_to(ROOT / "models")
    (tmp_path / "build").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_commands_run(page: str) -> None:
    commands = [
        line.removeprefix("$ ")
        for block in blocks(page, "console")
        for line in block.splitlines()
        if line.startswith("$ ")
    ]
    assert commands
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "imcc"
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, f"{command}\n{result.output}"


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_python_runs(page: str) -> None:
    names: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, page, "exec"), names)


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.M):
        assert re.search(rf"^{name}:.*## ", makefile, re.M)
