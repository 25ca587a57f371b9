"""Whether a model can be compiled for a target, where each operator runs, and by how much it fits.

Every answer comes from the functions that compile: the importer, `quantize`, `tile`, `schedule`.
"""

from __future__ import annotations

from .check import Check, Need, check_model, expect_no_hosts
from .operators import Operator, Where

__all__ = ["Check", "Need", "Operator", "Where", "check_model", "expect_no_hosts"]
