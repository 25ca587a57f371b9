"""Quantized models keep their quantization: Dequantize, operator, Quantize become one operator."""

from __future__ import annotations

from .adopter import adopt
from .site import Datapath

__all__ = ["Datapath", "adopt"]
