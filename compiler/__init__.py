"""From ONNX to a program: import, passes, quantization, mapping, schedule, emission.

Names are imported on first use, so that the command line starts without NumPy and ONNX.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .driver import Compilation, compile, compile_model
    from .errors import (
        CapacityError,
        CompileError,
        InputError,
        LimitError,
        UnsupportedError,
        VerificationError,
    )
    from .frontend import import_onnx
    from .ir import Graph, evaluate, evaluate_all, parse_graph, print_graph
    from .options import CompileOptions
    from .passes import Pass, PassContext, Pipeline
    from .verify import verify_program

__all__ = [
    "CapacityError",
    "Compilation",
    "CompileError",
    "CompileOptions",
    "Graph",
    "InputError",
    "LimitError",
    "Pass",
    "PassContext",
    "Pipeline",
    "UnsupportedError",
    "VerificationError",
    "compile",
    "compile_model",
    "evaluate",
    "evaluate_all",
    "import_onnx",
    "parse_graph",
    "print_graph",
    "verify_program",
]

_HOMES = {
    ".driver": ("Compilation", "compile", "compile_model"),
    ".errors": (
        "CapacityError",
        "CompileError",
        "InputError",
        "LimitError",
        "UnsupportedError",
        "VerificationError",
    ),
    ".frontend": ("import_onnx",),
    ".ir": ("Graph", "evaluate", "evaluate_all", "parse_graph", "print_graph"),
    ".options": ("CompileOptions",),
    ".passes": ("Pass", "PassContext", "Pipeline"),
    ".verify": ("verify_program",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name], __name__), name)
