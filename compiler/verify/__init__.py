"""The proof that a program is right: four definitions of one network, compared bit for bit."""

from __future__ import annotations

from .compare import Comparison
from .layers import LayerCheck
from .verification import Accuracy, Verification, verify_program

__all__ = ["Accuracy", "Comparison", "LayerCheck", "Verification", "verify_program"]
