"""Calibration data, target descriptions and programs are files that may be hostile, too."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support.command_line import MODELS
from support.forked_cli import PEAK_KIB, ForkedCli

MODEL = MODELS / "fmnist_mlp.onnx"


@pytest.fixture(scope="module")
def cli() -> Iterator[ForkedCli]:
    with ForkedCli() as server:
        yield server


def header(shape: tuple[int, ...]) -> bytes:
    """The beginning of a .npy file: 128 bytes that claim an array."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def archive(member: bytes, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as made:
        made.writestr("calib.npy", member)
    return data.getvalue()


def objects() -> bytes:
    data = io.BytesIO()
    np.save(data, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return data.getvalue()


def lying_archive() -> bytes:
    """An archive whose directory says that its member is small."""
    data = archive(bytes(1 << 20))
    return data.replace(struct.pack("<I", 1 << 20), struct.pack("<I", 1 << 10))


@pytest.mark.parametrize(
    ("name", "data", "exit_code"),
    [
        ("huge.npy", lambda: header((1 << 34,)), 3),
        ("wrap.npy", lambda: header((1 << 32, 1 << 32)), 3),
        ("negative.npy", lambda: header((-4, 4)), 3),
        ("deep.npy", lambda: header((1, 1)).replace(b"(1, 1)", b"(" * 40), 3),
        ("objects.npy", objects, 3),
        ("bomb.npz", lambda: archive(bytes(1 << 28)), 6),
        ("liar.npz", lying_archive, 3),
        ("stored.npz", lambda: archive(header((1 << 34,)), zipfile.ZIP_STORED), 3),
        ("cut.npz", lambda: archive(bytes(1000))[:-30], 3),
        ("text.npz", lambda: b"hello", 3),
    ],
)
def test_calibration_data(
    cli: ForkedCli, tmp_path: Path, name: str, data: Callable[[], bytes], exit_code: int
) -> None:
    path = tmp_path / name
    path.write_bytes(data())
    output = tmp_path / "o.imc"
    run = cli.run("compile", MODEL, "--target", "isaac", "--calib", path, "-o", output)
    assert run.exit_code == exit_code, run.stderr
    assert len(run.errors) == 1
    assert "Traceback" not in run.stderr
    assert run.peak_kib < PEAK_KIB
    assert not output.exists()


@pytest.mark.parametrize(
    "text",
    [
        "a=" + "[" * 5000,
        "a=" + "[" * 5000 + "]" * 5000,
        "\n".join(".".join(f"k{i}" for _ in range(400)) + f".v{i} = 1" for i in range(2000)),
        ".".join("a" * 4000) + " = 1",
        "schema = '\x1b[31m'",
        "\xff",
        "rows = " + "9" * 5000,
    ],
    ids=["open", "deep", "dotted", "long key", "escape", "latin", "long number"],
)
def test_target_files(cli: ForkedCli, tmp_path: Path, text: str) -> None:
    path = tmp_path / "chip.toml"
    path.write_bytes(text.encode("latin-1"))
    run = cli.run("check", MODEL, "--target", path)
    assert run.exit_code == 3, run.stderr
    assert len(run.errors) == 1
    assert "Traceback" not in run.stderr
    assert "\x1b" not in run.stderr
    assert run.peak_kib < PEAK_KIB


@pytest.fixture(scope="module")
def program(cli: ForkedCli, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("program") / "o.imc"
    run = cli.run("compile", MODEL, "--target", "isaac", "--calib", "random", "-q", "-o", path)
    assert run.exit_code == 0
    return path.read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: data[:7],
        lambda data: data[: len(data) // 2],
        lambda data: data + b"\0",
        lambda data: struct.pack("<Q", 1 << 60) + data[8:],
        lambda data: data[:8] + b"[" * 5000 + data[5008:],
        lambda data: struct.pack("<Q", 5000) + b"[" * 5000,
        lambda data: bytes(reversed(data)),
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    ],
)
def test_programs(
    cli: ForkedCli, tmp_path: Path, program: bytes, change: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "p.imc"
    path.write_bytes(change(program))
    for verb in ("inspect", "disasm"):
        run = cli.run(verb, path)
        assert run.exit_code == 3, run.stderr
        assert len(run.errors) == 1
        assert "Traceback" not in run.stderr
        assert run.peak_kib < PEAK_KIB
