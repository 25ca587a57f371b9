"""Rules of the whole repository that no single part can keep by itself."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from imcc.compiler.passes import builtin_passes
from imcc.compiler.report.reference import FOLDER, PAGES

ROOT = Path(__file__).parents[1]
PARTS = ("isa", "compiler", "runtime")
SOURCES = sorted(path for part in PARTS for path in (ROOT / part).rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
SEES_BOTH = ("compiler/cli/", "compiler/verify/")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[str]:
    """Absolute names of the modules that a file imports, also inside functions."""
    package = ("imcc", *path.relative_to(ROOT).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *filter(None, [node.module])))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def crossing(part: str, *forbidden: str) -> list[str]:
    prefixes = tuple(f"imcc.{name}" for name in forbidden)
    return [
        f"{relative(path)} imports {name}"
        for path in SOURCES
        if relative(path).startswith(part) and not relative(path).startswith(SEES_BOTH)
        for name in imports(path)
        if name.startswith(prefixes)
    ]


def test_isa_imports_nothing_of_imcc() -> None:
    assert crossing("isa/", "compiler", "runtime") == []


def test_the_machine_is_independent_of_the_compiler() -> None:
    assert crossing("runtime/", "compiler") == []


def test_only_the_command_line_and_verification_see_both_sides() -> None:
    assert crossing("compiler/", "runtime") == []


def test_no_file_imports_a_part_without_its_package() -> None:
    wrong = [
        f"{relative(path)} imports {name}"
        for path in (*SOURCES, *sorted((ROOT / "tests").rglob("*.py")))
        for name in imports(path)
        if name.split(".")[0] in PARTS
    ]
    assert wrong == []


@pytest.mark.parametrize("part", PARTS)
def test_the_package_links_to_the_folders(part: str) -> None:
    link = ROOT / "src" / "imcc" / part
    assert link.is_symlink()
    assert link.readlink() == Path("../..") / part


def test_files_are_short() -> None:
    lines = {relative(path): path.read_text(encoding="utf-8").count("\n") for path in SOURCES}
    assert {name: count for name, count in lines.items() if count > MAX_FILE_LINES} == {}


def test_functions_are_short() -> None:
    long = [
        f"{relative(path)}:{node.lineno} {node.name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        and (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert long == []


@pytest.mark.parametrize("name", PAGES)
def test_reference_page_is_current(name: str) -> None:
    assert (ROOT / FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), "run: make docs"


def test_every_pass_has_a_filecheck_test() -> None:
    texts = [path.read_text() for path in (ROOT / "tests" / "filecheck").rglob("*.mlir")]
    runs = [re.split(r"[^a-z0-9-]+", text.splitlines()[0]) for text in texts]
    missing = [cls.name for cls in builtin_passes() if not any(cls.name in run for run in runs)]
    assert missing == []


def test_links_in_documents_lead_somewhere() -> None:
    broken = []
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{relative(page)}: {target}")
    assert broken == []


def test_no_machine_path_is_in_a_tracked_file() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    pattern = re.compile(r"(?<![\w.])/(?:home|root|Users|work)/\w")
    found = [
        name
        for name in filter(None, listed.stdout.split("\0"))
        if (ROOT / name).suffix in {".py", ".md", ".toml", ".json", ".mlir", ""}
        and (ROOT / name).is_file()
        and pattern.search((ROOT / name).read_text(encoding="utf-8", errors="ignore"))
    ]
    assert found == []
