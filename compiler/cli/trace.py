"""A timeline in the JSON form that ui.perfetto.dev and chrome://tracing open.

Every core is a process and every unit or array of it a thread; links and the global memory are
the threads of process 0. Slices are complete events, and on one thread they do not overlap.
Times are in microseconds.
"""

from __future__ import annotations

import json

from imcc.runtime import Timeline
from imcc.runtime.timing import Slice, Track

from .text import Json, sanitize

# Picoseconds: finer than any clock, coarse enough that ends and beginnings print alike.
_DIGITS = 6


def trace_json(timeline: Timeline, clock_mhz: float) -> str:
    """One JSON object; equal timelines give equal text."""
    threads = {track: number for number, track in enumerate(timeline.tracks, 1)}
    events = [_process_name(core) for core in dict.fromkeys(t.core for t in threads)]
    events += [_thread_name(track, number) for track, number in threads.items()]
    events += [_event(one, threads[one.track], clock_mhz) for one in timeline.slices]
    document: dict[str, Json] = {
        "displayTimeUnit": "ns",
        "otherData": {"schema": "imcc.trace/1", "target": timeline.profile.target},
        "traceEvents": events,
    }
    return json.dumps(document, ensure_ascii=True, separators=(",", ":"))


def _process(core: int | None) -> int:
    return 0 if core is None else core + 1


def _process_name(core: int | None) -> dict[str, Json]:
    name = "chip" if core is None else f"core {core}"
    return {"ph": "M", "name": "process_name", "pid": _process(core), "args": {"name": name}}


def _thread_name(track: Track, number: int) -> dict[str, Json]:
    return {
        "ph": "M",
        "name": "thread_name",
        "pid": _process(track.core),
        "tid": number,
        "args": {"name": track.name},
    }


def _event(one: Slice, thread: int, clock_mhz: float) -> dict[str, Json]:
    start, end = (round(cycle / clock_mhz, _DIGITS) for cycle in (one.first, one.end))
    return {
        "ph": "X",
        "name": one.mnemonic,
        "pid": _process(one.track.core),
        "tid": thread,
        "ts": start,
        "dur": round(end - start, _DIGITS),
        "args": {
            "nodes": sanitize(one.layer),
            "core": one.core,
            "instruction": one.pc,
            "input": one.input,
            "cycles": one.end - one.first,
        },
    }
