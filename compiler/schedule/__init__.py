"""Order, memory and transfers: from a tiled graph to a schedule."""

from __future__ import annotations

from .apart import OwnPlace
from .bound import schedule_bounds
from .layout import Layout, plain_layout
from .mapped import map_apart, map_for
from .memory_check import memory_check
from .options import ScheduleMode
from .schedule import Places, on_mesh, schedule, schedule_apart
from .sharing import sharing
from .task import Buffer, Schedule, Scratch, Task, Transfer

__all__ = [
    "Buffer",
    "Layout",
    "OwnPlace",
    "Places",
    "Schedule",
    "ScheduleMode",
    "Scratch",
    "Task",
    "Transfer",
    "map_apart",
    "map_for",
    "memory_check",
    "on_mesh",
    "plain_layout",
    "schedule",
    "schedule_apart",
    "schedule_bounds",
    "sharing",
]
