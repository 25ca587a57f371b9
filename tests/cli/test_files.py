"""What is no ordinary file: refused where it is read, and not replaced where it is written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.command_line import MODELS, imcc

MODEL = MODELS / "fmnist_mlp.onnx"
PARTS = ("compile", MODEL, "--target", "isaac", "--calib", "random")


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize("verb", ["check", "compile", "inspect", "opt"])
def test_only_regular_files_are_read(verb: str, kind: str) -> None:
    """A pipe without writer would be waited for, a device read without end."""
    path = Path("/dev/zero") if kind == "device" else Path("odd")
    if kind == "pipe":
        os.mkfifo(path)
    if kind == "folder":
        path.mkdir()
    target = ("--target", "isaac") if verb in ("check", "compile") else ()
    result = imcc(verb, path, *target)
    assert result.exit_code == 3
    assert "it is not a regular file" in result.stderr


def test_what_is_no_protocol_buffer_is_not_read_to_its_end() -> None:
    with Path("zeros.onnx").open("wb") as file:
        file.truncate(1900 << 20)
    result = imcc("check", "zeros.onnx", "--target", "isaac")
    assert result.exit_code == 3
    assert "not an ONNX model: its bytes cannot be parsed" in result.stderr


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (".", ".: the output cannot be written: Is a directory"),
        ("no/o.imc", "no/o.imc: the output cannot be written: No such file or directory"),
        ("/proc/o.imc", "/proc/o.imc: the file cannot be written: No such file or directory"),
    ],
)
def test_outputs_that_cannot_be_written(output: str, text: str) -> None:
    result = imcc(*PARTS, "-q", "-o", output)
    assert result.exit_code == 3
    assert text in result.stderr
    assert not list(Path().iterdir())


def test_that_the_output_cannot_be_written_is_said_before_compiling() -> None:
    result = imcc("compile", "missing.onnx", "--target", "isaac", "-o", "no/o.imc")
    assert "no/o.imc: the output cannot be written" in result.stderr


def test_devices_and_pipes_are_written_to() -> None:
    os.mkfifo("pipe")
    with Path("read").open("wb") as file, subprocess.Popen(["cat", "pipe"], stdout=file) as reader:
        assert imcc(*PARTS, "-q", "-o", "pipe").exit_code == 0
        assert reader.wait() == 0
    assert imcc(*PARTS, "-q", "-o", "o.imc").exit_code == 0
    assert Path("read").read_bytes() == Path("o.imc").read_bytes()
    assert Path("pipe").is_fifo()


def test_links_stay_links() -> None:
    Path("real.imc").write_bytes(b"old")
    Path("link.imc").symlink_to("real.imc")
    assert imcc(*PARTS, "-q", "-o", "link.imc").exit_code == 0
    assert Path("link.imc").is_symlink()
    assert Path("real.imc").read_bytes()[8:9] == b"{"


def test_a_program_on_standard_output_is_alone_there() -> None:
    result = imcc(*PARTS, "-o", "-")
    assert imcc(*PARTS, "-q", "-o", "o.imc").exit_code == 0
    assert result.stdout_bytes == Path("o.imc").read_bytes()
    assert "instructions" in result.stderr
    assert imcc(*PARTS, "-o", "-", "--json").exit_code == 2


_HANGING = """
import os, signal, sys
from pathlib import Path
from imcc.compiler.cli import main
Path.replace = lambda *_: os.kill(os.getpid(), {number})
sys.argv = ["imcc", "asm", "a.imcasm", "-o", "o.imc"]
main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_leave_nothing_behind(number: signal.Signals, code: int) -> None:
    """The signal comes while the temporary file is there."""
    assert imcc(*PARTS, "-q", "--emit", "imcasm", "-o", "a.imc").exit_code == 0
    script = _HANGING.format(number=int(number))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    assert [path.name for path in Path().iterdir()] == ["a.imcasm"]
