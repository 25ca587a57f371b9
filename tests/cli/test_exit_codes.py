from __future__ import annotations

from pathlib import Path

import pytest
from support.command_line import MODELS, imcc

from imcc.compiler import errors
from imcc.compiler.cli.diagnostics import all_codes, describe
from imcc.compiler.data import DataError, MissingCalibrationError
from imcc.isa import errors as isa

LENET = MODELS / "fmnist_lenet.onnx"


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (errors.InputError("x"), "IMC0100", 3),
        (FileNotFoundError(2, "No such file", "f"), "IMC0101", 3),
        (MissingCalibrationError("x"), "IMC0102", 3),
        (DataError("x"), "IMC0103", 3),
        (isa.TargetError("x"), "IMC0110", 3),
        (isa.AssemblyError("x"), "IMC0120", 3),
        (isa.EncodingError("x"), "IMC0120", 3),
        (isa.ContainerError("x"), "IMC0130", 3),
        (isa.ValidationError("x"), "IMC0131", 3),
        (errors.UnsupportedError("x"), "IMC0400", 4),
        (errors.CapacityError("x"), "IMC0500", 5),
        (errors.LimitError("x"), "IMC0600", 6),
        (MemoryError(), "IMC0600", 6),
        (errors.VerificationError("x"), "IMC0700", 70),
        (ZeroDivisionError("x"), "IMC0700", 70),
    ],
)
def test_every_error_has_its_code(error: Exception, code: str, exit_code: int) -> None:
    found = describe(error)
    assert (found.code.name, found.exit_code) == (code, exit_code)
    assert found.render().startswith(f"error[{code}]: ")


def test_codes_are_unique_and_explained() -> None:
    names = [code.name for code in all_codes()]
    assert len(names) == len(set(names))
    for name in names:
        explained = imcc("explain", name)
        assert explained.exit_code == 0
        assert name in explained.stdout


def test_a_defect_is_reported_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imcc.isa.builtin_targets", lambda: 1 // 0)
    result = imcc("target", "list")
    assert result.exit_code == 70
    assert result.stderr.startswith("error[IMC0700]: ZeroDivisionError: ")
    assert "--debug" in result.stderr
    assert isinstance(imcc("target", "list", "--debug").exception, ZeroDivisionError)


def test_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> tuple[str, ...]:
        raise KeyboardInterrupt

    monkeypatch.setattr("imcc.isa.builtin_targets", interrupted)
    result = imcc("target", "list")
    assert result.exit_code == 130
    assert result.stderr == "interrupted; nothing was written\n"


def test_ir_is_printed_to_standard_error(tmp_path: Path) -> None:
    result = imcc("opt", LENET, "--pass-pipeline", "quantize", "--print-ir-after-all",
                  "--print-ir-before", "quantize", "--timing",
                  "--print-ir-tree-dir", tmp_path / "tree")  # fmt: skip
    assert result.exit_code == 0
    titles = [line for line in result.stderr.splitlines() if line.startswith("// -----")]
    assert titles == ["// ----- before quantize -----", "// ----- after quantize -----"]
    assert "quantize" in result.stderr.splitlines()[-2]
    assert sorted(path.name for path in (tmp_path / "tree").iterdir()) == [
        "00_input.mlir",
        "01_quantize.mlir",
    ]
    assert result.stdout.startswith('"builtin.module"')


def test_graph_text_goes_on_where_it_stopped(tmp_path: Path) -> None:
    folded, rest, whole = (tmp_path / name for name in ("a.mlir", "b.mlir", "c.mlir"))
    data = MODELS / "fmnist.npz"
    passes = "fold-constants,canonicalize"
    assert imcc("opt", LENET, "--pass-pipeline", passes, "-o", folded).exit_code == 0
    one = imcc("opt", folded, "--pass-pipeline", "quantize", "--calib", data, "-o", rest)
    two = imcc("opt", LENET, "--pass-pipeline", f"{passes},quantize", "--calib", data, "-o", whole)
    assert (one.exit_code, two.exit_code) == (0, 0)
    assert rest.read_text() == whole.read_text()


def test_crash_reproducer_replays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "crash.mlir"
    with monkeypatch.context() as patch:
        patch.setattr("imcc.compiler.passes.tile.tile", lambda *_: 1 // 0)
        failed = imcc("opt", LENET, "--pass-pipeline", "quantize,tile", "--target", "isaac",
                      "--crash-reproducer", kept)  # fmt: skip
    assert failed.exit_code == 70
    assert "ZeroDivisionError" in failed.stderr
    replayed = imcc("opt", "--run-reproducer", kept, "--target", "isaac")
    assert replayed.exit_code == 0
    assert "imcc.tiled" in replayed.stdout
