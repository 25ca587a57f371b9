"""The machine that runs programs bit for bit, and says what they cost."""

from __future__ import annotations

from .crossbar import Crossbar
from .decode import Probe
from .errors import MachineError
from .machine import Machine

__all__ = ["Crossbar", "Machine", "MachineError", "Probe"]
