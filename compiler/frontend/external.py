"""External tensor data: files beside the model, and nothing else.

A location is relative, without ``..`` and NUL. What it resolves to, symbolic links included, lies
in the directory in which the model is found or in the one in which it really is: the second makes
content-addressed caches work, in which model and data are links into one folder. Files are mapped,
not read, and must be regular, without a second hard link, and long enough.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

_KEYS = frozenset({"location", "offset", "length", "checksum"})


class TensorError(Exception):
    """A tensor that is not what it claims to be; carries the code of the diagnostic."""

    def __init__(self, text: str, code: str = "IMC0207") -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class ExternalData:
    """Finds external data for a model; `model` is its path, None if it came without one."""

    model: Path | None

    def bytes_of(self, tensor: TensorProto, size: int) -> NDArray[np.uint8]:
        """The `size` bytes of a tensor, mapped read-only."""
        path, offset = self.place_of(tensor, size)
        return np.memmap(path, np.uint8, "r", offset, (size,)) if size else np.empty(0, np.uint8)

    def place_of(self, tensor: TensorProto, size: int) -> tuple[Path, int]:
        """The file of a tensor of `size` bytes and the offset in it; both are checked."""
        fields = _fields(tensor)
        offset = _number(fields, "offset", 0)
        length = _number(fields, "length", size)
        if length != size:
            raise _refused(f"length is {length} bytes, the tensor has {size}")
        path = self._resolve(fields.get("location", ""))
        available = path.stat().st_size
        if offset + length > available:
            raise _refused(
                f"{length} bytes at offset {offset} are asked for, the file has {available}"
            )
        return path, offset

    def _resolve(self, location: str) -> Path:
        if self.model is None:
            raise _refused("the model was given without a path, so there is no folder to look in")
        parts = PurePosixPath(location).parts
        if not location or "\0" in location or "\\" in location:
            raise _refused(f"location {location!r} is not a relative path")
        if (
            ".." in parts
            or PurePosixPath(location).is_absolute()
            or PureWindowsPath(location).drive
        ):
            raise _refused(f"location {location!r} leaves the folder of the model")
        logical = self.model.absolute().parent
        folders = [logical.resolve(), self.model.resolve().parent]
        try:
            path = (logical / location).resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise _refused(f"location {location!r} cannot be opened: {_reason(error)}") from error
        if not any(path.is_relative_to(folder) for folder in folders):
            raise _refused(f"location {location!r} is a link that leaves the folder of the model")
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _refused(f"location {location!r} is not a regular file")
        # CVE-2026-34446: a file with two names may belong into another folder.
        if status.st_nlink > 1 and path != self.model.resolve():
            raise _refused(
                f"location {location!r} has {status.st_nlink} hard links, so that it may be a file "
                "of another folder; copy it"
            )
        return path


def _fields(tensor: TensorProto) -> dict[str, str]:
    fields: dict[str, str] = {}
    for entry in tensor.external_data:
        if entry.key not in _KEYS or entry.key in fields:
            raise _refused(f"key {entry.key!r} is not known or occurs twice")
        fields[entry.key] = entry.value
    return fields


def _number(fields: dict[str, str], key: str, default: int) -> int:
    text = fields.get(key, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise _refused(f"{key} is {text!r}, it must be a number that is not negative")
    return int(text)


def _refused(text: str) -> TensorError:
    return TensorError(f"external data refused: {text}", "IMC0208")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "a loop of links"
