"""Discrete Fourier transforms. Complex numbers have a last axis of extent 2, real ones of 1.

``X[k] = sum_n x[n] exp(-2 pi i k n / L)`` over the length L; the inverse has the other sign and
the factor 1 / L. One-sided transforms of real signals keep ``floor(L / 2) + 1`` elements.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import TensorType
from .checks import expect_count, expect_vector
from .real import expect_real, working_type


@op("dft", Stage.FLOAT)
class DFT(Op):
    """Transform along one axis, cut off or padded with zeros to `length`.

    One-sided: forwards only half of the result is kept, backwards the operand is such a half and
    the result is real.
    """

    axis: int
    length: int
    inverse: bool = False
    one_sided: bool = False

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The operand with another extent of the axis, complex or real."""
        expect_count(operands, 1)
        expect_real(operands)
        (x,) = operands
        if not 0 <= self.axis < x.rank - 1 or x.shape[-1] not in (1, 2) or self.length < 1:
            raise OpError(
                f"{list(x.shape)} must end in an axis of extent 1 or 2, axis {self.axis} comes "
                f"before it, and length {self.length} is at least 1"
            )
        shape = list(x.shape)
        halved = self.one_sided and not self.inverse
        shape[self.axis] = self.length // 2 + 1 if halved else self.length
        shape[-1] = 1 if self.one_sided and self.inverse else 2
        return (x.with_shape(tuple(shape)),)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Axis 0 is not transformed."""
        return "" if self.axis else "axis 0 is the batch, it is transformed here"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Fast transforms, for float16 in float32."""
        x = inputs[0]
        signal = _complex(x)
        if self.inverse and self.one_sided:
            real = np.fft.irfft(signal, self.length, self.axis)
            return (real[..., None].astype(x.dtype),)
        transform = np.fft.ifft if self.inverse else np.fft.fft
        result = transform(signal, self.length, self.axis)
        if self.one_sided:
            result = np.take(result, range(self.length // 2 + 1), self.axis)
        return (_pairs(result, x.dtype),)


@op("stft", Stage.FLOAT)
class STFT(Op):
    """Transforms of overlapping frames of a signal ``[N, T, 1 or 2]``: ``[N, frames, K, 2]``.

    Operands: the signal[, a window ``[length]`` by which each frame is multiplied]. A frame starts
    every `step` elements.
    """

    step: int
    length: int
    one_sided: bool = True

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """``[N, frames, K, 2]``."""
        expect_count(operands, 1, 2)
        expect_real(operands)
        x = operands[0]
        if x.rank != 3 or x.shape[2] not in (1, 2) or (self.one_sided and x.shape[2] == 2):
            raise OpError(f"the signal {list(x.shape)} must be [N, T, 1], or [N, T, 2] two-sided")
        if self.step < 1 or not 1 <= self.length <= x.shape[1]:
            raise OpError(f"step {self.step} and length {self.length} do not fit {x.shape[1]}")
        if len(operands) == 2:
            expect_vector(operands[1], self.length, "the window")
        frames = (x.shape[1] - self.length) // self.step + 1
        bins = self.length // 2 + 1 if self.one_sided else self.length
        return (x.with_shape((x.shape[0], frames, bins, 2)),)

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Fast transforms of all frames at once."""
        signal = _complex(inputs[0])
        frames = np.lib.stride_tricks.sliding_window_view(signal, self.length, axis=1)
        frames = frames[:, :: self.step]
        if len(inputs) == 2:
            frames = frames * inputs[1]
        result = np.fft.fft(frames, axis=2)
        if self.one_sided:
            result = result[:, :, : self.length // 2 + 1]
        return (_pairs(result, inputs[0].dtype),)


def _complex(x: Array) -> Array:
    wide = x.astype(working_type(x.dtype))
    return wide[..., 0] if x.shape[-1] == 1 else wide[..., 0] + np.complex64(1j) * wide[..., 1]


def _pairs(x: Array, dtype: np.dtype[np.generic]) -> Array:
    return np.stack([x.real, x.imag], axis=-1).astype(dtype)
