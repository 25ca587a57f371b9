"""imcc: from ONNX to in-memory-computing instructions, and back to numbers that prove them right.

The parts are :mod:`imcc.isa` (the contract), :mod:`imcc.compiler` (ONNX to program) and
:mod:`imcc.runtime` (the machine that runs a program bit for bit).
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imcc import compiler, isa, runtime
    from imcc.compiler import compile

__all__ = ["__version__", "compile", "compiler", "isa", "runtime"]

__version__ = "0.1.0"

_PARTS = ("isa", "compiler", "runtime")


def __getattr__(name: str) -> Any:
    """Import the parts on first use, so that ``import imcc`` and ``imcc --help`` stay fast."""
    if name in _PARTS:
        _check_links()
        return importlib.import_module(f"imcc.{name}")
    if name == "compile":
        return importlib.import_module("imcc.compiler").compile
    raise AttributeError(f"module 'imcc' has no attribute {name!r}")


def _check_links() -> None:
    """Say what is wrong where a clone was made without symbolic links."""
    missing = [part for part in _PARTS if find_spec(f"imcc.{part}") is None]
    if missing:
        raise ImportError(
            f"imcc.{missing[0]} is not a package: src/imcc/{missing[0]} must be a symbolic link to "
            f"../../{missing[0]}. Clone again with `git -c core.symlinks=true clone`, or install "
            "a wheel, which needs no links."
        )
