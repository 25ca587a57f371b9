"""Quantization: calibration, the rewrite to codes, export and its witness onnxruntime."""

from __future__ import annotations

from .calibration import Method, Statistics, calibrate, value_range
from .export import export_qdq
from .quantize import Options, quantize_graph
from .readers import random_batches, sample_batches
from .witness import OnnxRuntimeWitness

__all__ = [
    "Method",
    "OnnxRuntimeWitness",
    "Options",
    "Statistics",
    "calibrate",
    "export_qdq",
    "quantize_graph",
    "random_batches",
    "sample_batches",
    "value_range",
]
