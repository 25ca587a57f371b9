"""A model in onnxruntime: one thread, errors only, sample by sample where its batch is fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnxruntime

from ..ir import Array

_FATAL_ONLY = 4  # errors are raised as well
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
# Types as onnxruntime names them.
_DTYPES: dict[str, np.dtype[np.generic]] = {
    "tensor(float16)": np.dtype(np.float16),
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
    "tensor(bool)": np.dtype(np.bool_),
    **{f"tensor({name})": np.dtype(name) for name in _INTEGERS},
}


class OnnxSession:
    """An inference session that takes batches of any size.

    `options` say what onnxruntime optimizes, but for `disabled` optimizers; threads and logging
    are set here.
    """

    def __init__(
        self,
        model: str | bytes,
        options: onnxruntime.SessionOptions,
        disabled: Sequence[str] = (),
    ) -> None:
        options.intra_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        self._session = onnxruntime.InferenceSession(
            model,
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=list(disabled),
        )
        entries = self._session.get_inputs()
        self._types = {entry.name: _DTYPES[entry.type] for entry in entries}
        shapes = [entry.shape for entry in entries]
        self._single = any(shape and shape[0] == 1 for shape in shapes)
        self._outputs = [entry.name for entry in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs [b, ...] by name; inputs are converted to the types of the model."""
        inputs = {
            name: array.astype(self._types[name], copy=False) for name, array in inputs.items()
        }
        count = len(next(iter(inputs.values())))
        if not self._single or count == 1:
            return self._run(inputs)
        parts = [
            self._run({name: array[i : i + 1] for name, array in inputs.items()})
            for i in range(count)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in self._outputs}

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        results = self._session.run(self._outputs, dict(inputs))
        return {
            name: np.asarray(result) for name, result in zip(self._outputs, results, strict=True)
        }
