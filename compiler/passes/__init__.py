"""Passes: from graph to graph, in pipelines with a text form."""

from __future__ import annotations

from .base import Pass, PassContext, Samples
from .instruments import (
    CrashReproducer,
    Instrument,
    PrintIR,
    Statistics,
    Timing,
    TreeDump,
    stage,
)
from .pipeline import PassError, Pipeline
from .registry import builtin_passes, find_pass
from .reproducer import read_reproducer

__all__ = [
    "CrashReproducer",
    "Instrument",
    "Pass",
    "PassContext",
    "PassError",
    "Pipeline",
    "PrintIR",
    "Samples",
    "Statistics",
    "Timing",
    "TreeDump",
    "builtin_passes",
    "find_pass",
    "read_reproducer",
    "stage",
]
