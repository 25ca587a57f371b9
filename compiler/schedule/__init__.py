"""Order, memory and transfers: from a tiled graph to a schedule."""

from __future__ import annotations

from .layout import Layout, plain_layout
from .schedule import memory_check, schedule
from .task import Buffer, Schedule, Scratch, Task, Transfer

__all__ = [
    "Buffer",
    "Layout",
    "Schedule",
    "Scratch",
    "Task",
    "Transfer",
    "memory_check",
    "plain_layout",
    "schedule",
]
