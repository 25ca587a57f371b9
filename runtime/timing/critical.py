"""The critical path: what the end of an input waited for, back to its beginning."""

from __future__ import annotations

from imcc.isa.cost import Unit

from .core import Issued


def critical_path(last: Issued) -> tuple[tuple[Unit, int], ...]:
    """Cycles by what they were spent on, the most first; together they are the end of `last`.

    An operation accounts for the time from its issue to its end, and goes on with what it waited
    for: with the end of an older operation, or with the issue of the one before, which leaves
    out the time of that. Of a transfer the side that came last counts. With lags some of these
    operations are for other inputs than `last`: their time is part of its latency as well.
    """
    spent = [0] * len(Unit)
    issued: Issued | None = last
    time = last.end
    while issued is not None:
        late = issued.partner or issued
        spent[issued.bound] += time - late.issue
        time, issued = late.issue, late.cause
        while issued is not None and late.ordered:
            spent[Unit.ISSUE] += time - issued.issue
            time, late, issued = issued.issue, issued, issued.cause
    spent[Unit.ISSUE] += time
    parts = [(unit, spent[unit]) for unit in Unit if spent[unit]]
    return tuple(sorted(parts, key=lambda part: -part[1]))
