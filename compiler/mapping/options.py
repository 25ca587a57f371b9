"""Options of mapping."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AdcPolicy(StrEnum):
    """How row blocks and converter ranges are chosen where converters have few bits.

    `lossless` drives only as many rows at once as the converter can tell apart for any input;
    where that would take more than four times the row blocks, the matrix is treated as
    `saturating`. `saturating` drives all rows and covers four standard deviations of the column
    sums; `covering` drives all rows and covers every column sum that can occur.
    """

    LOSSLESS = "lossless"
    SATURATING = "saturating"
    COVERING = "covering"


class KernelUnfolding(StrEnum):
    """How many windows of a convolution are computed at once.

    `auto` chooses parallel windows for each convolution by what they cost; `im2col` has one window
    at a time everywhere.
    """

    AUTO = "auto"
    IM2COL = "im2col"


@dataclass(frozen=True)
class TileOptions:
    """`spread` is the largest number of products with weights on one core; 0 is no limit."""

    adc: AdcPolicy = AdcPolicy.LOSSLESS
    spread: int = 0
    unfolding: KernelUnfolding = KernelUnfolding.AUTO

    def __post_init__(self) -> None:
        """Raise `ValueError` for a negative spread."""
        if self.spread < 0:
            raise ValueError(f"spread is {self.spread}; it must be 0 (no limit) or more")
