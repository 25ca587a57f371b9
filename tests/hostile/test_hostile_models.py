"""No model file, however hostile, makes imcc crash, hang, or take much memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from support import hostile_models as hostile
from support.forked_cli import PEAK_KIB, ForkedCli, Run

INPUT, UNSUPPORTED, LIMIT = 3, 4, 6
SHOWN = 2000  # characters of one error at most

NAME = (
    "../../etc/passwd \x1b]0;owned\x07\u202e\u200b\U000e0041 <script>alert(1)</script> "
    "=cmd|' /C calc'!A0 [/conv1]"
)


@pytest.fixture(scope="module")
def cli() -> Iterator[ForkedCli]:
    with ForkedCli() as server:
        yield server


def both(cli: ForkedCli, model: Path) -> tuple[Run, Run]:
    """``imcc check`` and ``imcc compile``, both without traceback and with little memory."""
    output = model.with_suffix(".imc")
    arguments = (model, "--target", "isaac")
    check = cli.run("check", *arguments)
    made = cli.run("compile", *arguments, "--calib", "random", "-q", "-o", output)
    for run in (check, made):
        assert "Traceback" not in run.stderr + run.stdout
        assert run.peak_kib < PEAK_KIB
    assert made.exit_code == 0 or not output.exists()
    return check, made


@pytest.mark.parametrize(
    ("data", "exit_code"),
    [
        pytest.param(lambda: b"", INPUT, id="empty file"),
        pytest.param(lambda: bytes(range(256)) * 8, INPUT, id="no model"),
        pytest.param(hostile.recursive, INPUT, id="function that calls itself"),
        pytest.param(hostile.laughs, LIMIT, id="functions of 2^28 nodes"),
        pytest.param(hostile.mutual, INPUT, id="functions that call each other"),
        pytest.param(hostile.wide, LIMIT, id="functions of 1000^10 nodes"),
        pytest.param(hostile.convolved, LIMIT, id="convolution of constants"),
        pytest.param(hostile.doubled, LIMIT, id="activation doubled 60 times"),
        pytest.param(hostile.wide_pads, LIMIT, id="wide padding"),
        pytest.param(hostile.wide_window, LIMIT, id="wide window"),
        pytest.param(partial(hostile.wide_input, 1, 2**31 - 1, 2**31 - 1), LIMIT, id="wide input"),
        pytest.param(partial(hostile.wide_input, 1, 3, 200_000, 200_000), LIMIT, id="large input"),
        pytest.param(partial(hostile.wide_input, 1, -4), INPUT, id="negative input"),
        pytest.param(hostile.endless_loop, INPUT, id="endless loop"),
        pytest.param(hostile.twice_given, INPUT, id="data in two fields"),
        pytest.param(hostile.no_outputs, INPUT, id="no outputs"),
        pytest.param(hostile.fixed, UNSUPPORTED, id="nothing to compute"),
        pytest.param(hostile.referring, INPUT, id="attribute without value"),
        pytest.param(hostile.many_attributes, INPUT, id="many attributes"),
        pytest.param(partial(hostile.reshaped, -1, -1), INPUT, id="two open extents"),
        pytest.param(partial(hostile.named, "a" * 900_000), LIMIT, id="long name"),
        pytest.param(hostile.constant_of_shape, LIMIT, id="ConstantOfShape"),
        pytest.param(hostile.expand, LIMIT, id="Expand"),
        pytest.param(hostile.range_, LIMIT, id="Range"),
        pytest.param(hostile.tile_, LIMIT, id="Tile"),
        pytest.param(hostile.padded, LIMIT, id="Pad"),
        pytest.param(hostile.one_hot, LIMIT, id="OneHot"),
        pytest.param(hostile.many_constants, LIMIT, id="many constants"),
        pytest.param(partial(hostile.weight, [2**31, 2**31]), INPUT, id="2^62 elements"),
        pytest.param(partial(hostile.weight, [2**32, 2**32]), INPUT, id="2^64 elements"),
        pytest.param(partial(hostile.weight, [-4]), INPUT, id="negative extent"),
        pytest.param(partial(hostile.weight, [-2, -2]), INPUT, id="negative extents"),
        pytest.param(partial(hostile.weight, [1] * 9), INPUT, id="nine axes"),
        pytest.param(hostile.sparse, UNSUPPORTED, id="sparse weight"),
        pytest.param(hostile.sparse_constant, UNSUPPORTED, id="sparse constant"),
        pytest.param(partial(hostile.nested, 30), LIMIT, id="30 graphs deep"),
        pytest.param(partial(hostile.nested, 300), INPUT, id="300 graphs deep"),
        pytest.param(hostile.long_text, LIMIT, id="long text"),
        pytest.param(hostile.cycle, INPUT, id="cycle"),
        pytest.param(hostile.duplicate, INPUT, id="duplicate name"),
        pytest.param(partial(hostile.external, ("location", "/dev/zero")), INPUT, id="device"),
    ],
)
def test_one_clear_error(
    cli: ForkedCli, tmp_path: Path, data: Callable[[], bytes], exit_code: int
) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(data())
    check, made = both(cli, model)
    assert made.exit_code == exit_code, made.stderr
    assert check.exit_code == (1 if exit_code == UNSUPPORTED else exit_code), check.stderr
    assert len(made.errors) == len(check.errors) == 1
    assert "  --> model.onnx" in made.stderr or f"  --> {model}" in made.stderr
    assert len(made.stderr) < SHOWN


def test_loops_in_loops(cli: ForkedCli, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(hostile.scans())
    check, made = both(cli, model)
    assert made.exit_code in (INPUT, UNSUPPORTED, LIMIT)
    assert check.exit_code in (1, INPUT, LIMIT)
    assert len(made.errors) == len(check.errors) == 1


def test_graphs_in_graphs_up_to_the_limit(cli: ForkedCli, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(hostile.nested(8))
    assert [run.exit_code for run in both(cli, model)] == [0, 0]


def test_long_chains_are_no_problem(cli: ForkedCli, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(hostile.chain(50_000))
    assert cli.run("check", model, "--target", "isaac").exit_code == 0


def test_a_limit_can_be_changed(cli: ForkedCli, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(hostile.chain(5))
    arguments = ("check", model, "--target", "isaac", "--limit")
    assert cli.run(*arguments, "nodes=5").exit_code == 0
    refused = cli.run(*arguments, "nodes=4")
    assert refused.exit_code == LIMIT
    assert "the model has 5 nodes, the limit is 4" in refused.stderr
    assert "--limit nodes=" in refused.stderr


@pytest.mark.parametrize("item", ["nods=4", "nodes=x", "nodes=0", "nodes"])
def test_a_wrong_limit_is_a_usage_error(cli: ForkedCli, tmp_path: Path, item: str) -> None:
    assert (
        cli.run("check", tmp_path / "m.onnx", "--target", "isaac", "--limit", item).exit_code == 2
    )


@pytest.mark.parametrize("data", [partial(hostile.named, NAME), hostile.undecodable])
@pytest.mark.parametrize("form", ["human", "json", "github", "sarif"])
def test_names_do_not_reach_the_terminal(
    cli: ForkedCli, tmp_path: Path, data: Callable[[], bytes], form: str
) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(data())
    arguments = (model, "--target", "isaac", "--diagnostics-format", form)
    for run in (
        cli.run("check", *arguments),
        cli.run("check", *arguments, "--json"),
        cli.run("compile", *arguments, "--calib", "random", "-o", tmp_path / "o.imc"),
        cli.run("inspect", model),
    ):
        assert run.exit_code in (0, 1, INPUT, UNSUPPORTED)
        shown = run.stdout + run.stderr
        assert "Traceback" not in shown
        assert all(char == "\n" or char.isprintable() for char in shown)
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".imc") == [
        "model.onnx"
    ]
