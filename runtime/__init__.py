"""The machine that runs programs bit for bit, and says what they cost."""

from __future__ import annotations

from .crossbar import Crossbar
from .decode import Probe
from .errors import MachineError
from .golden import Comparison, compare
from .machine import Machine
from .rounds import run_in_rounds
from .timing import LayerCost, Profile, Timeline, profile, timeline
from .trace import Trace, TraceLine, trace

__all__ = [
    "Comparison",
    "Crossbar",
    "LayerCost",
    "Machine",
    "MachineError",
    "Probe",
    "Profile",
    "Timeline",
    "Trace",
    "TraceLine",
    "compare",
    "profile",
    "run_in_rounds",
    "timeline",
    "trace",
]
