"""Options of the schedule."""

from __future__ import annotations

from enum import StrEnum


class ScheduleMode(StrEnum):
    """What the order of the work is good for.

    `layer-by-layer` runs each operation to its end before the next. `latency` and `throughput`
    cut operations in runs of rows that follow each other through the layers.
    """

    LAYERS = "layer-by-layer"
    LATENCY = "latency"
    THROUGHPUT = "throughput"
