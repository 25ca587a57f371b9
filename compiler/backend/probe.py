"""Where the values of a graph can be looked at while its program runs."""

from __future__ import annotations

from dataclasses import dataclass

from imcc.isa import StreamState


@dataclass(frozen=True)
class ValueProbe:
    """Where a value of the graph can be read: after the last run of instruction `pc` on `core`.

    `stream` walks it in the order of the ONNX tensor. Of a value that is made in parts there is
    a probe for each: what begins at `starts` along `axes`.
    """

    value: str
    core: int
    pc: int
    stream: StreamState
    shape: tuple[int, ...]
    axes: tuple[int, ...] = ()
    starts: tuple[int, ...] = ()
