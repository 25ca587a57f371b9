"""Observers of a pipeline: timing, printing, dumps, statistics and crash reproducers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TextIO

from ..ir import Graph, print_graph
from .base import Pass


class Instrument:
    """Sees every pass of a pipeline and changes nothing. Subclasses override what they need."""

    def begin(self, stage: str) -> None:
        """A stage beside the passes begins, such as ``import`` or ``emit``."""

    def end(self, stage: str) -> None:
        """The stage has ended without an error."""

    def start(self, passes: tuple[Pass, ...]) -> None:
        """A run of these passes begins."""

    def before(self, pass_: Pass, graph: Graph) -> None:
        """`pass_` is about to run on `graph`."""

    def after(self, pass_: Pass, before: Graph, after: Graph) -> None:
        """`pass_` has turned `before` into `after`, which is verified."""

    def failed(self, pass_: Pass, graph: Graph, error: Exception) -> None:
        """`pass_` raised `error` on `graph`, or gave a graph that breaks the rules."""


@contextmanager
def stage(name: str, instruments: Iterable[Instrument]) -> Iterator[None]:
    """Tell instruments that a stage beside the passes runs."""
    watching = tuple(instruments)
    for instrument in watching:
        instrument.begin(name)
    yield
    for instrument in watching:
        instrument.end(name)


@dataclass
class Timing(Instrument):
    """Wall time of each stage and of each pass, with its verification, in seconds."""

    seconds: list[tuple[str, float]] = field(default_factory=list)
    _began: float = 0.0

    def begin(self, stage: str) -> None:
        """Start the clock."""
        self._began = perf_counter()

    def end(self, stage: str) -> None:
        """Stop the clock."""
        self.seconds.append((stage, perf_counter() - self._began))

    def before(self, pass_: Pass, graph: Graph) -> None:
        """Start the clock."""
        self._began = perf_counter()

    def after(self, pass_: Pass, before: Graph, after: Graph) -> None:
        """Stop the clock."""
        self.seconds.append((pass_.name, perf_counter() - self._began))

    def table(self) -> str:
        """A line a stage or pass with seconds and share, in order of running, and the total."""
        total = sum(seconds for _, seconds in self.seconds)
        width = max((len(name) for name, _ in (*self.seconds, ("total", 0.0)))) + 2
        rows = [
            f"{name:<{width}}{seconds:>9.4f} s {seconds / (total or 1.0):>7.1%}"
            for name, seconds in self.seconds
        ]
        return "\n".join([*rows, f"{'total':<{width}}{total:>9.4f} s"])


@dataclass(frozen=True)
class PrintIR(Instrument):
    """Prints graphs, without the data of large constants.

    `before` and `after` name passes; `after_all` prints after each pass, with `only_changes` only
    where the pass changed something.
    """

    stream: TextIO
    before_passes: Collection[str] = ()
    after_passes: Collection[str] = ()
    after_all: bool = False
    only_changes: bool = False

    def before(self, pass_: Pass, graph: Graph) -> None:
        """Print the graph if the pass is in `before_passes`."""
        if pass_.name in self.before_passes:
            self._print(f"before {pass_}", graph)

    def after(self, pass_: Pass, before: Graph, after: Graph) -> None:
        """Print the graph if the pass is in `after_passes` or all are."""
        if not self.after_all and pass_.name not in self.after_passes:
            return
        if self.only_changes and (before is after or before.same_as(after)):
            self.stream.write(f"// ----- after {pass_}: no change -----\n")
            return
        self._print(f"after {pass_}", after)

    def failed(self, pass_: Pass, graph: Graph, error: Exception) -> None:
        """Print what the failing pass was given, where passes are printed at all."""
        if self.after_all or pass_.name in self.after_passes:
            self._print(f"{pass_} failed on", graph)

    def _print(self, title: str, graph: Graph) -> None:
        self.stream.write(f"// ----- {title} -----\n{print_graph(graph, resources=False)}")


@dataclass
class TreeDump(Instrument):
    """Writes the graph after each pass to ``directory/NN_pass-name.mlir``; 00 is the input."""

    directory: Path
    _count: int = 0

    def start(self, passes: tuple[Pass, ...]) -> None:
        """Make the directory."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._count = 0

    def before(self, pass_: Pass, graph: Graph) -> None:
        """Write the graph that the pipeline was given."""
        if self._count == 0:
            self._write("input", graph)

    def after(self, pass_: Pass, before: Graph, after: Graph) -> None:
        """Write the graph that the pass gave."""
        self._write(pass_.name, after)

    def _write(self, name: str, graph: Graph) -> None:
        path = self.directory / f"{self._count:02}_{name}.mlir"
        path.write_text(print_graph(graph, resources=False), encoding="utf-8", newline="\n")
        self._count += 1


@dataclass
class Statistics(Instrument):
    """How many nodes of each operator every pass added (+) and removed (-)."""

    changes: list[tuple[str, dict[str, int]]] = field(default_factory=list)

    def after(self, pass_: Pass, before: Graph, after: Graph) -> None:
        """Count the operators on both sides."""
        difference = _operators(after)
        difference.subtract(_operators(before))
        changed = {name: count for name, count in sorted(difference.items()) if count}
        self.changes.append((pass_.name, changed))

    def table(self) -> str:
        """A line a pass, such as ``fold-batch-norm  batch_normalization -3``."""
        width = max((len(name) for name, _ in self.changes), default=0) + 2
        lines = (
            f"{name:<{width}}"
            + (", ".join(f"{op} {count:+}" for op, count in changed.items()) or "no change")
            for name, changed in self.changes
        )
        return "\n".join(lines)


@dataclass
class CrashReproducer(Instrument):
    """Writes what a failing pass was given, and the passes from there on, into one file.

    `read_reproducer` in ``reproducer.py`` reads it back.
    """

    path: Path
    _remaining: tuple[Pass, ...] = ()

    def start(self, passes: tuple[Pass, ...]) -> None:
        """Take note of the passes."""
        self._remaining = passes

    def after(self, pass_: Pass, before: Graph, after: Graph) -> None:
        """One pass fewer to run."""
        self._remaining = self._remaining[1:]

    def failed(self, pass_: Pass, graph: Graph, error: Exception) -> None:
        """Write the file; an existing one is replaced."""
        passes = ",".join(str(remaining) for remaining in self._remaining)
        reason = f"{type(error).__name__}: {error}".replace("\n", "\n// ")
        text = f"{REPRODUCER_PREFIX}'{passes}'\n// {reason}\n{print_graph(graph)}"
        self.path.write_text(text, encoding="utf-8", newline="\n")


REPRODUCER_PREFIX = "// imcc-opt --pass-pipeline "


def _operators(graph: Graph) -> Counter[str]:
    return Counter(node.op.name for node in graph.nodes)
