"""Networks as PyTorch exports them, with random weights: see tests/topologies/README.md."""

from __future__ import annotations

from math import prod, sqrt
from pathlib import Path
from zlib import crc32

import numpy as np
import onnx
from onnx import ModelProto, TensorProto
from onnx.helper import tensor_dtype_to_np_dtype
from onnx.numpy_helper import from_array

from imcc.compiler.ir import Array

FOLDER = Path(__file__).parents[1] / "topologies"


def names() -> list[str]:
    """All networks, by name."""
    return sorted(path.stem for path in FOLDER.glob("*.onnx"))


def topology(name: str) -> ModelProto:
    """A network whose weights are random, and the same at each call."""
    model = onnx.load(FOLDER / f"{name}.onnx")
    for tensor in model.graph.initializer:
        if prod(tensor.dims) and not _has_data(tensor):
            dtype = tensor_dtype_to_np_dtype(tensor.data_type)
            values = _random(tensor.name, tuple(tensor.dims)).astype(dtype)
            tensor.CopyFrom(from_array(values, tensor.name))
    return model


def _has_data(tensor: TensorProto) -> bool:
    fields = ("raw_data", "float_data", "int32_data", "int64_data", "double_data")
    return any(len(getattr(tensor, field)) for field in fields)


def _random(name: str, shape: tuple[int, ...]) -> Array:
    """Matrices and kernels that keep the variance of their input; variances near 1."""
    random = np.random.default_rng(crc32(name.encode()))
    normal = random.standard_normal(shape, np.float32)
    if len(shape) > 1:
        inputs = prod(shape[1:]) if len(shape) > 2 else max(shape)
        return np.asarray(normal * np.float32(sqrt(2 / inputs)))
    if "var" in name:
        return random.uniform(0.5, 1.5, shape)
    centre = 1 if "weight" in name else 0
    return np.asarray(centre + 0.1 * normal)
