from __future__ import annotations

import ast
from pathlib import Path

import pytest

import imcc.isa

ROOT = Path(imcc.isa.__file__).parent


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.name))
def test_isa_imports_nothing_of_imcc_but_itself(path: Path) -> None:
    depth = len(path.relative_to(ROOT).parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level <= depth, f"{path}:{node.lineno} leaves the package"
            names = [node.module or ""] if node.level == 0 else []
        assert not [name for name in names if name.split(".")[0] == "imcc"], f"{path}"


def test_the_public_door_is_sorted_and_complete() -> None:
    names = imcc.isa.__all__
    assert len(names) == len(set(names))
    assert all(hasattr(imcc.isa, name) for name in names)
