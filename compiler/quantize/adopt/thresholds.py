"""Output stages that switch codes at the same accumulators as the model's own quantizer.

A quantizer behind a product with scales and offsets gives code j from a threshold on. Products
of few bits have few accumulators, so a threshold that is off by a fraction of one moves codes. The
output stage has an integer bias; counting `shift` bits below one accumulator makes the bias as fine
as it has to be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .scaling import Scaling

# Every doubling is an instruction; 2^-15 of the largest difference of 8-bit codes is what float32
# holds. Normalizations of codes need that: one of their accumulators is several steps.
MOST_SHIFT = 15
_EXACT = 1 << 24
_LARGEST_BIAS = 1 << 30
_TIE = 1e-6
# Share of accumulators, if all were equally likely, that may lie at a moved threshold.
_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class OutputStage:
    """``code = round((2^shift * acc + bias) * 2^-shift * step / scale)`` for each channel.

    `step` is the real value of one accumulator, above 0.
    """

    step: NDArray[np.float64]
    bias: NDArray[np.int32]
    shift: int


def fit(scaling: Scaling, scale: float, codes: tuple[int, int], reach: int) -> OutputStage:
    """The stage with the least shift for ``rint((factor * acc + offset) / scale)``.

    `codes` are the lowest and the highest code less the zero point, `reach` the largest
    accumulator. Factors are above 0. Every threshold lies at the same accumulator as in the
    model, or so few that less than 1 of 10,000 accumulators are touched; where that would take
    more than `MOST_SHIFT` bits or than float32 has, the finest stage that has them.
    """
    found = _stage(scaling, 0)
    for shift in range(MOST_SHIFT + 1):
        if (reach << shift) >= _EXACT and shift:
            break
        found = _stage(scaling, shift)
        if _moved(scaling, found, scale, codes, reach) <= _TOLERANCE:
            break
    return found


def fit_sign(scaling: Scaling, scale: float, reach: int) -> OutputStage:
    """The stage whose codes are saturated on both sides: ``factor * acc + offset >= 0`` or not.

    Twice the accumulator less an odd number is never 0, and one step of it is one code.
    """
    first = np.ceil(-scaling.offset / scaling.factor)
    first = np.clip(first, -reach, reach + 1)
    bias = (1 - 2 * first).astype(np.int32)
    return OutputStage(np.full(len(bias), 2.0 * scale), bias, 1)


def _stage(scaling: Scaling, shift: int) -> OutputStage:
    counts = np.rint(np.ldexp(scaling.offset / scaling.factor, shift))
    bias = np.clip(counts, -_LARGEST_BIAS, _LARGEST_BIAS).astype(np.int32)
    return OutputStage(scaling.factor, bias, shift)


def _moved(
    scaling: Scaling, stage: OutputStage, scale: float, codes: tuple[int, int], reach: int
) -> float:
    """The largest share of accumulators of a channel that get another code than they should."""
    low, high = codes
    edges = np.arange(low + 1, high + 1)[:, np.newaxis] - 0.5
    wanted = (edges * scale - scaling.offset) / scaling.factor
    made = edges * scale / stage.step - np.ldexp(stage.bias.astype(np.float64), -stage.shift)
    # An edge on an accumulator is a tie. Where both have it float32 decides on both sides; where
    # only the stage has it, rounding to even codes may decide otherwise than the model.
    uncertain = np.abs(made - np.rint(made)) < _TIE
    tied = (np.abs(wanted - np.rint(wanted)) < _TIE) & (np.abs(wanted - made) < _TIE)
    first, second = (np.clip(np.ceil(t), -reach, reach + 1) for t in (wanted, made))
    moved = np.where(tied, 0, np.abs(first - second) + (uncertain & (np.abs(made) <= reach)))
    return float(moved.sum(axis=0).max(initial=0)) / (2 * reach + 1)
