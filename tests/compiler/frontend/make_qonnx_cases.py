"""Writes qonnx_cases.npz with PyPI `qonnx` 1.0.0, which is no dependency of the project.

Run it in an environment of its own: `pip install qonnx==1.0.0`, `python make_qonnx_cases.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

RANDOM = np.random.default_rng(5)
F32 = np.float32
ARRAYS: dict[str, NDArray[Any]] = {}


def add(
    title: str,
    op_type: str,
    attributes: dict[str, Any],
    operands: tuple[ArrayLike, ...],
    x: NDArray[Any],
    y: ArrayLike,
) -> None:
    """Keep one case."""
    ARRAYS[f"{title}/what"] = np.asarray(json.dumps([op_type, attributes]))
    ARRAYS[f"{title}/x"], ARRAYS[f"{title}/y"] = x, np.asarray(y, F32)
    for index, operand in enumerate(operands, 1):
        ARRAYS[f"{title}/operand{index}"] = np.asarray(operand, F32)


def add_quant(
    title: str,
    scale: ArrayLike,
    zero: ArrayLike,
    bits: ArrayLike,
    signed: int,
    narrow: int = 0,
    mode: str = "ROUND",
) -> None:
    """A Quant of random numbers."""
    from qonnx.custom_op.general.quant import quant  # type: ignore[import-not-found]

    x = (RANDOM.standard_normal((1, 4, 16)) * 3).astype(F32)
    operands = np.asarray(scale, F32), np.asarray(zero, F32), np.asarray(bits, F32)
    y = quant(x, *operands, signed, narrow, mode)
    attributes = {"signed": signed, "narrow": narrow, "rounding_mode": mode}
    add(title, "Quant", attributes, operands, x, y)


def main() -> None:
    """Write the file."""
    from qonnx.custom_op.general.bipolar_quant import binary_quant  # type: ignore[import-not-found]
    from qonnx.custom_op.general.trunc import trunc_v1, trunc_v2  # type: ignore[import-not-found]

    for bits in (2, 3, 4, 8):
        add_quant(f"signed{bits}", 0.37, 0, bits, 1)
        add_quant(f"unsigned{bits}", 0.21, 0, bits, 0)
        add_quant(f"signed{bits}narrow", 0.5, 0, bits, 1, 1)
        add_quant(f"unsigned{bits}narrow", 0.5, 0, bits, 0, 1)
    add_quant("unsigned1", 0.7, 0, 1, 0)
    add_quant("signed12", 0.01, 0, 12, 1)
    add_quant("zero4", 0.3, 5, 4, 0)
    for mode in ("CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"):
        add_quant(f"round_{mode.lower()}", 0.5, 0, 4, 1, 0, mode)
    add_quant("channel", RANDOM.uniform(0.1, 0.9, (4, 1)), 0, 3, 1)
    x = RANDOM.standard_normal((1, 4, 16)).astype(F32)
    x[0, 0, :3] = 0.0
    add("bipolar", "BipolarQuant", {}, (0.5,), x, binary_quant(x, F32(0.5)))
    scale = RANDOM.uniform(0.1, 0.9, (4, 1)).astype(F32)
    add("bipolar_channel", "BipolarQuant", {}, (scale,), x, binary_quant(x, scale))
    for mode in ("FLOOR", "ROUND", "CEIL"):
        codes = RANDOM.integers(-100, 100, (1, 4, 16)).astype(F32)
        x, step, zero = codes * F32(0.25), F32(0.25), F32(0)
        y = trunc_v1(x, step, zero, F32(8), F32(5), mode)
        named: dict[str, Any] = {"rounding_mode": mode}
        add(f"trunc1_{mode.lower()}", "Trunc", named, (step, zero, 8, 5), x, y)
        y = trunc_v2(x, step, zero, F32(8), 0, 1, F32(2), np.asarray(4, F32), mode)
        named = {"rounding_mode": mode, "signed": 1, "narrow": 0}
        add(f"trunc2_{mode.lower()}", "Trunc", named, (step, zero, 8, 2, 4), x, y)
    path = Path(__file__).with_name("qonnx_cases.npz")
    np.savez_compressed(path, **ARRAYS)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
