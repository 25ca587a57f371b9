from __future__ import annotations

import re
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from imcc.compiler.errors import InputError
from imcc.compiler.ir import DType, Graph, GraphBuilder, TensorType, parse_graph, rebuild
from imcc.compiler.ir.ops.linear import MatMul
from imcc.compiler.ir.ops.unary import Relu, Tanh
from imcc.compiler.passes import (
    CrashReproducer,
    Pass,
    PassContext,
    PassError,
    Pipeline,
    PrintIR,
    Statistics,
    Timing,
    TreeDump,
    pipeline,
    read_reproducer,
)


@dataclass(frozen=True)
class Harden(Pass):
    """Every tanh becomes a relu; fails if told so."""

    name: ClassVar[str] = "harden"

    fail: bool = False

    def run(self, graph: Graph, context: PassContext) -> Graph:
        if self.fail:
            raise KeyError("tanh")
        return rebuild(
            graph,
            lambda builder, node, operands: (
                builder.add(Relu(), operands, node.result.name, node.origin)
                if isinstance(node.op, Tanh)
                else None
            ),
        )


def graph() -> Graph:
    builder = GraphBuilder("net")
    x = builder.input("x", TensorType(DType.F32, (1, 9)))
    w = builder.constant(np.ones((9, 9), np.float32), "w")
    product = builder.add(MatMul(), [x, w], "product")
    return builder.finish([builder.add(Tanh(), [product], "y")], ["y"])


def test_timing_has_a_line_a_pass_and_the_total() -> None:
    timing = Timing()
    Pipeline((Harden(), Harden()), (timing,)).run(graph())
    lines = timing.table().split("\n")
    assert [line.split()[0] for line in lines] == ["harden", "harden", "total"]
    assert all(re.search(r"\d+\.\d{4} s", line) for line in lines)
    assert sum(seconds for _, seconds in timing.seconds) > 0


def printed(passes: tuple[Pass, ...], **options: object) -> str:
    stream = StringIO()
    Pipeline(passes, (PrintIR(stream, **options),)).run(graph())  # type: ignore[arg-type]
    return stream.getvalue()


def titles(text: str) -> list[str]:
    return re.findall(r"// ----- (.*) -----", text)


def test_graphs_are_printed_before_and_after_passes_by_name() -> None:
    text = printed((Harden(),), before_passes=["harden"], after_passes=["harden"])
    assert titles(text) == ["before harden", "after harden"]
    before, after = text.split("// ----- after")
    assert "imcc.tanh" in before
    assert "imcc.tanh" not in after
    assert "dialect_resources" not in text


def test_all_graphs_or_only_those_that_changed_are_printed() -> None:
    assert titles(printed((Harden(), Harden()), after_all=True)) == ["after harden"] * 2
    changes = printed((Harden(), Harden()), after_all=True, only_changes=True)
    assert titles(changes) == ["after harden", "after harden: no change"]
    assert changes.count("builtin.module") == 1
    assert printed((Harden(),), after_passes=["other"]) == ""


def test_what_a_failing_pass_was_given_is_printed() -> None:
    stream = StringIO()
    with pytest.raises(PassError):
        Pipeline((Harden(True),), (PrintIR(stream, after_all=True),)).run(graph())
    assert titles(stream.getvalue()) == ["harden{fail=true} failed on"]


def test_tree_dump_writes_a_file_a_pass(tmp_path: Path) -> None:
    Pipeline((Harden(), Harden()), (TreeDump(tmp_path / "dump"),)).run(graph())
    found = {path.name: path.read_text() for path in (tmp_path / "dump").iterdir()}
    assert sorted(found) == ["00_input.mlir", "01_harden.mlir", "02_harden.mlir"]
    assert "imcc.tanh" in found["00_input.mlir"]
    assert "imcc.relu" in found["01_harden.mlir"]


def test_statistics_count_operators() -> None:
    statistics = Statistics()
    Pipeline((Harden(), Harden()), (statistics,)).run(graph())
    assert statistics.table() == "harden  relu +1, tanh -1\nharden  no change"


def test_a_crash_can_be_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "crash.mlir"
    passes = (Harden(), Harden(True), Harden())
    with pytest.raises(PassError) as first:
        Pipeline(passes, (CrashReproducer(path),)).run(graph())
    assert path.read_text().startswith(
        "// imcc-opt --pass-pipeline 'harden{fail=true},harden'\n// KeyError: 'tanh'\n"
    )
    monkeypatch.setattr(pipeline, "find_pass", lambda name: Harden)
    again, given = read_reproducer(path)
    assert again.passes == passes[1:]
    assert given.same_as(Harden().run(graph(), PassContext()))
    with pytest.raises(PassError) as second:
        again.run(given)
    assert str(second.value).partition("failed")[2] == str(first.value).partition("failed")[2]


def test_no_reproducer_without_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "crash.mlir"
    Pipeline((Harden(),), (CrashReproducer(path),)).run(graph())
    assert not path.exists()


def test_a_file_that_is_no_reproducer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.mlir"
    with pytest.raises(InputError, match="cannot be read as text"):
        read_reproducer(path)
    path.write_text("// RUN: something\n")
    with pytest.raises(InputError, match=r"net\.mlir:1: the first line must be // imcc-opt"):
        read_reproducer(path)


def test_printed_graphs_are_graphs(tmp_path: Path) -> None:
    stream = StringIO()
    Pipeline((Harden(),), (PrintIR(stream, after_all=True),)).run(graph())
    result = parse_graph(stream.getvalue(), graph().constants)
    assert result.same_as(Harden().run(graph(), PassContext()))
