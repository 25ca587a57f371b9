"""Parts of the network that the host computes, as ONNX models."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InputError
from ..op import Array, Op, OpError, Stage, op
from ..requant import dequantize, quantize
from ..type_text import describe_type
from ..types import TensorType

if TYPE_CHECKING:
    import onnxruntime

_FATAL_ONLY = 4  # errors are raised as well
_SESSIONS = 64


@op("host", Stage.ANY)
class Host(Op):
    """A part of the network that onnxruntime computes in floats, sample by sample.

    `model` is a serialized ONNX model with static shapes. Its inputs are the operands in order,
    its outputs the results; elements are in the same order, in shapes that may differ from those
    of the graph. Codes are dequantized before, and results that are to be codes quantized behind.
    """

    model: bytes
    inputs: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The types that the node was made for."""
        if tuple(operands) != self.inputs:
            found, wanted = (", ".join(map(describe_type, t)) for t in (operands, self.inputs))
            raise OpError(f"operands are {found}; the model was made for {wanted}")
        return self.outputs

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """One run of the model a sample; raises `InputError` where onnxruntime fails."""
        session = open_session(self.model)
        counts = [len(x) // t.shape[0] for x, t in zip(inputs, types, strict=True) if t.shape]
        samples = [
            self._sample(session, [_sample(x, t, i) for x, t in zip(inputs, types, strict=True)])
            for i in range(max(counts, default=1))
        ]
        if len(samples) == 1:
            return samples[0]
        return tuple(np.concatenate(parts) for parts in zip(*samples, strict=True))

    def _sample(
        self, session: onnxruntime.InferenceSession, arrays: Sequence[Array]
    ) -> tuple[Array, ...]:
        feeds = {
            entry.name: _value(array, type_, _dtype(entry.type)).reshape(entry.shape)
            for entry, array, type_ in zip(session.get_inputs(), arrays, self.inputs, strict=True)
        }
        try:
            found = session.run(None, feeds)
        except Exception as error:  # onnxruntime's errors have no common class
            raise InputError(f"onnxruntime cannot run a part of the network: {error}") from error
        return tuple(
            _result(np.asarray(array), type_)
            for array, type_ in zip(found, self.outputs, strict=True)
        )


@lru_cache(_SESSIONS)
def open_session(model: bytes) -> onnxruntime.InferenceSession:
    """A session that computes the same on every computer: one thread, no optimizations."""
    import onnxruntime  # costs 100 ms, and few networks need it

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _sample(array: Array, type_: TensorType, index: int) -> Array:
    """The part of an array that belongs to one sample; constants are the same for all."""
    if array.shape == type_.shape:
        return array
    size = type_.shape[0]
    return array[index * size : (index + 1) * size]


def _value(array: Array, type_: TensorType, dtype: np.dtype[np.generic]) -> Array:
    """What the host has: of codes the real values, to the nearest if it has whole numbers."""
    if type_.quant is None:
        return array.astype(dtype)
    real = dequantize(array, type_.quant)
    return (real if dtype.kind == "f" else np.rint(real)).astype(dtype)


def _result(array: Array, type_: TensorType) -> Array:
    shaped = array.reshape(type_.shape)
    if type_.quant is None:
        return shaped.astype(type_.dtype.numpy, copy=False)
    return quantize(shaped.astype(np.float32), type_.quant)


def _dtype(name: str) -> np.dtype[np.generic]:
    """The NumPy type of ``tensor(float)``."""
    element = name.removeprefix("tensor(").removesuffix(")")
    return np.dtype({"float": "float32", "double": "float64"}.get(element, element))
