"""FileCheck tests in process: each ``tests/filecheck/**/*.mlir`` is a test.

The first line is ``// RUN: imcc opt %s --pass-pipeline '...'``, optionally with
``--target NAME`` (a built-in target), ``--seed N`` (calibration samples: standard normal, from
this seed), ``--resources`` (print the data of large constants) or ``--expect-error`` (the checks
are made on the text of the error).
"""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from filecheck.finput import FInput
from filecheck.matcher import Matcher
from filecheck.options import Options
from filecheck.parser import Parser

from imcc.compiler.errors import CompileError
from imcc.compiler.ir import Array, Graph, print_graph, read_graph
from imcc.compiler.passes import PassContext, Pipeline
from imcc.isa.target import load_target

_RUN = "// RUN: imcc opt %s"
_SAMPLES = 16


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the files of FileCheck tests."""
    if file_path.suffix != ".mlir" or "filecheck" not in file_path.parts:
        return None
    return FileCheckFile.from_parent(parent, path=file_path)


class FileCheckFile(pytest.File):
    """A file with one test."""

    def collect(self) -> Iterator[pytest.Item]:
        """The only test of the file."""
        yield FileCheckItem.from_parent(self, name=self.path.stem)


class FileCheckError(Exception):
    """What the checks did not find, and where."""


class FileCheckItem(pytest.Item):
    """Runs the pipeline of a file and checks what it prints."""

    def runtest(self) -> None:
        """Fail with the report of FileCheck."""
        output = run_file(self.path)
        report = StringIO()
        with redirect_stdout(report), redirect_stderr(report):
            options = Options(match_filename=str(self.path))
            matcher = Matcher(options, FInput("<output>", output), Parser.from_opts(options))
            failed = matcher.run()
        if failed:
            raise FileCheckError(f"{report.getvalue()}\n--- output ---\n{output}")

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None
    ) -> str:
        """The report of FileCheck alone; other failures with their traceback."""
        if isinstance(excinfo.value, FileCheckError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the test is."""
        return self.path, 0, f"filecheck: {self.name}"


def run_file(path: Path) -> str:
    """What ``imcc opt`` prints for the RUN line of a file, or the text of its error."""
    arguments = _arguments(path)
    try:
        graph = read_graph(path)
        result = Pipeline.parse(arguments.pass_pipeline).run(graph, _context(graph, arguments))
    except CompileError as error:
        if not arguments.expect_error:
            raise
        return "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
    if arguments.expect_error:
        raise FileCheckError(f"an error was expected\n--- output ---\n{print_graph(result)}")
    return print_graph(result, resources=arguments.resources)


def _arguments(path: Path) -> Namespace:
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    if not first.startswith(_RUN):
        raise FileCheckError(f"{path}:1: the first line must begin with {_RUN!r}")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--pass-pipeline", default="")
    parser.add_argument("--target", type=load_target)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--resources", action="store_true")
    parser.add_argument("--expect-error", action="store_true")
    return parser.parse_args(shlex.split(first.removeprefix(_RUN)))


def _context(graph: Graph, arguments: Namespace) -> PassContext:
    if arguments.seed is None:
        return PassContext(arguments.target)

    def samples() -> Iterator[Mapping[str, Array]]:
        random = np.random.default_rng(arguments.seed)
        yield {
            value.name: random.standard_normal((_SAMPLES, *value.type.shape[1:]), np.float32)
            for value in graph.inputs
        }

    return PassContext(arguments.target, samples)
