"""Calibration samples for onnxruntime's quantizer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """A few samples, one after the other."""

    def __init__(self, name: str, samples: NDArray[np.float32]) -> None:
        self._batches: Iterator[dict[str, NDArray[np.float32]]] = iter(
            [{name: samples[i : i + 8]} for i in range(0, len(samples), 8)]
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._batches, None)
