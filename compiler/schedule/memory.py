"""Local memory: what is to be placed on each core, and how deep its buffers are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .allocate import Interval, Placed, allocate, allocate_apart, peak
from .replica import Residence
from .scratch import Request
from .sliding import Chain
from .task import Buffer

SCRATCH = "scratch of step "
CONTENT = "content "

# How much of a buffer in which nothing moves there is, on a core where that much has room.
_DEPTHS = (1.0, 0.6, 0.3)


@dataclass(frozen=True)
class Asked:
    """What a step asks for, and how many rows it has."""

    requests: tuple[Request, ...]
    rows: int


@dataclass(frozen=True)
class CoreMemory:
    """Addresses on a core, where buffers have a `depth` part of the longest that is of use."""

    placed: tuple[Placed, ...]
    depth: float


def lay_out(
    chains: Sequence[Chain], asked: Sequence[Asked], limit: int, *, deep: bool
) -> dict[int, CoreMemory]:
    """Addresses for all tensors and for working memory, by core.

    With `deep` buffers are as deep as `limit` bytes allow, working memory is there for all rows of
    a step, and memory is used again as late as possible. All else takes as little as it can.
    """
    found: dict[int, CoreMemory] = {}
    cores = {chain.key[1] for chain in chains}
    cores.update(request.core for step in asked for request in step.requests)
    for depth in _DEPTHS if deep else ():
        if not cores:
            break
        for core, items in intervals(chains, asked, depth, cores).items():
            if peak(placed := allocate_apart(items, limit)) <= limit:
                found[core] = CoreMemory(placed, depth)
        cores -= found.keys()
    for core, items in intervals(chains, asked, 0.0, cores).items() if cores else ():
        placed = allocate_apart(items, limit) if deep else allocate(items)
        found[core] = CoreMemory(placed, 0.0)
    return found


def intervals(
    chains: Sequence[Chain],
    asked: Sequence[Asked],
    depth: float = 0.0,
    cores: Container[int] | None = None,
    *,
    working: bool = True,
) -> dict[int, list[Interval]]:
    """What is to be placed, by core, on all or some of them.

    With a depth above 0 working memory is for all rows.
    """
    found: dict[int, list[Interval]] = defaultdict(list)
    for chain in chains:
        if cores is None or chain.key[1] in cores:
            size = chain.size(depth)
            found[chain.key[1]].append(Interval(chain.key, size, chain.first, chain.last))
    for interval in _contents(asked):
        if cores is None or interval.key[1] in cores:
            found[interval.key[1]].append(interval)
    for index, step in enumerate(asked if working else ()):
        for core, size in _scratch(step, whole=depth > 0).items():
            if cores is None or core in cores:
                found[core].append(Interval((f"{SCRATCH}{index}", core), size, index, index))
    return found


def buffers_of(
    residence: Residence, chains: Sequence[Chain], memory: Mapping[int, CoreMemory]
) -> dict[tuple[str, int], Buffer]:
    """Where every replica lies."""
    addresses = {p.interval.key: p.address for laid in memory.values() for p in laid.placed}
    buffers = {}
    for chain in chains:
        size, address = chain.size(memory[chain.key[1]].depth), addresses[chain.key]
        for key, offset in chain.offsets(size):
            r, slides = residence.replicas[key], key != chain.key
            times, left = (r.first, r.last), size - offset
            buffers[key] = Buffer(
                key[1], address + offset, r.layout, r.border.fill, *times, left, slides
            )
    return buffers


def _contents(asked: Iterable[Asked]) -> Iterable[Interval]:
    """Constant data, each from its first reader to its last."""
    found: dict[tuple[str, int], Interval] = {}
    for index, step in enumerate(asked):
        for request in step.requests:
            if request.content:
                key = (f"{CONTENT}{request.content}", request.core)
                first = found[key].first if key in found else index
                found[key] = Interval(key, request.size(1), first, index)
    return found.values()


def _scratch(step: Asked, *, whole: bool) -> dict[int, int]:
    sizes: dict[int, int] = defaultdict(int)
    for request in step.requests:
        if not request.content:
            sizes[request.core] += request.size(step.rows) if whole else request.least()
    return sizes
