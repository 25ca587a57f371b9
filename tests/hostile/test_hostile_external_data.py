"""External data comes from regular files beside the model, and from nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from support.hostile_models import external

from imcc.compiler.errors import InputError
from imcc.compiler.frontend import import_onnx

DATA = np.arange(16, dtype=np.float32).tobytes()


def model_at(folder: Path, *fields: tuple[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    path.write_bytes(external(*fields))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        import_onnx(path)
    assert [problem.code for problem in caught.value.diagnostics] == ["IMC0208"]
    return str(caught.value)


@pytest.mark.parametrize(
    "location",
    ["../secret", "junk/../../secret", "{absolute}", "/dev/zero", "", ".", "a\0b", "..\\secret"],
)
def test_locations_that_leave_the_folder(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret").write_bytes(DATA)
    location = location.format(absolute=tmp_path / "secret")
    assert "external data refused" in refusal(model_at(tmp_path / "m", ("location", location)))


@pytest.mark.parametrize("kind", ["link", "folder link", "hard link", "pipe", "folder", "loop"])
def test_files_that_are_something_else(tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secrets" / "w"
    secret.parent.mkdir()
    secret.write_bytes(DATA)
    location = "inner/w" if kind == "folder link" else "w"
    model = model_at(tmp_path / "m", ("location", location))
    beside = model.parent / "w"
    match kind:
        case "link":
            beside.symlink_to(secret)
        case "folder link":
            (model.parent / "inner").symlink_to(secret.parent)
        case "hard link":
            beside.hardlink_to(secret)
        case "pipe":
            os.mkfifo(beside)
        case "folder":
            beside.mkdir()
        case "loop":
            beside.symlink_to(beside)
    assert "external data refused" in refusal(model)


@pytest.mark.parametrize(
    "field",
    [
        ("length", "1" + "0" * 15),
        ("length", "32"),
        ("length", "-64"),
        ("offset", "-8"),
        ("offset", "8"),
        ("offset", "9" * 19),
        ("offset", "1e1"),
        ("__class__", "x"),
        ("location", "w"),
    ],
)
def test_fields_that_lie(tmp_path: Path, field: tuple[str, str]) -> None:
    (tmp_path / "w").write_bytes(DATA)
    assert "external data refused" in refusal(model_at(tmp_path, ("location", "w"), field))


def test_a_cache_of_links_is_read(tmp_path: Path) -> None:
    """As the hub of Hugging Face lays out its cache: names are links into a folder of blobs."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "main"
    real = model_at(blobs, ("location", "w"))
    (blobs / "1234").write_bytes(DATA)
    snapshot.mkdir(parents=True)
    (snapshot / "model.onnx").symlink_to(real)
    (snapshot / "w").symlink_to(blobs / "1234")
    graph = import_onnx(snapshot / "model.onnx")
    assert any(array.tobytes() == DATA for array in graph.constants.values())
