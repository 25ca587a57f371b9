"""Programs for one input at a time, in the order of a play and with memory for its times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from .jobs import Job, jobs
from .play import Play, Played
from .rounds import InRounds, Unshared
from .share_out import Turn


@dataclass(frozen=True, eq=False)
class Single:
    """A program for one input at a time, and the cycles that one takes."""

    rounds: InRounds
    cycles: int


def order_single(unshared: Unshared) -> Single | None:
    """The program in which everything begins as soon as it can; None without the memory for it."""
    found = jobs(unshared.cores, in_order=False)
    played = Play(found, unshared.program.target).run()
    rounds = unshared.in_rounds(_turns(found, played), played.end + 1)
    return None if rounds is None else Single(rounds, played.end)


def _turns(found: Sequence[Job], played: Played) -> dict[int, list[Turn]]:
    """The items of each core in the order in which they began."""
    times: dict[int, dict[int, Job]] = defaultdict(dict)
    for job in found:
        for core, index in job.places:
            times[core][index] = job
    return {
        core: [
            Turn(index, 0, times[core][index].begun, times[core][index].ended) for index in order
        ]
        for core, order in played.order.items()
    }
