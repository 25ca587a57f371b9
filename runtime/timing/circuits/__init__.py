"""A circuit estimate of one array: energy, delay and area of a product, part by part.

    AnalogArray, DigitalArray ─estimate▶ Estimate
                              ─derive▶ TargetNumbers, for `[timing]` and `[energy]` of a target

The formulas are those of ZigZag's model of in-memory computing (KU Leuven), whose published values
for one 128 x 128 product of 8 by 8 bits they give exactly. `silicon` and `chips` compare them with
measured chips; `docs/reference/silicon.md` is the table.
"""

from __future__ import annotations

from .analog import AnalogArray, Drive
from .derive import TargetNumbers, derive
from .digital import DigitalArray
from .estimate import Estimate, Part
from .technology import Technology

__all__ = [
    "AnalogArray",
    "DigitalArray",
    "Drive",
    "Estimate",
    "Part",
    "TargetNumbers",
    "Technology",
    "derive",
]
