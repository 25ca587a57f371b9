"""What ``imcc --version`` prints."""

from __future__ import annotations

from importlib.metadata import version

import imcc
from imcc.isa.manifest import FORMAT
from imcc.isa.program import ISA_VERSION


def versions() -> list[tuple[str, str]]:
    """Names and versions of imcc, its formats and the libraries that decide results."""
    libraries = [(name, version(name)) for name in ("onnx", "onnxruntime", "numpy")]
    return [
        ("imcc", imcc.__version__),
        ("isa", ".".join(map(str, ISA_VERSION))),
        ("container", FORMAT),
        *libraries,
    ]
