"""What watches a compilation from the command line: printing, timing, progress, threads."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import rich_click as click

from ..ir import Graph
from ..passes import CrashReproducer, Instrument, Pass, PrintIR, Timing, TreeDump
from .reporter import reporter

CLEAR_LINE = "\r\x1b[K"


class Progress(Instrument):
    """Shows the running pass on standard error, where that is a terminal and not a log."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty() and not os.environ.get("CI")

    def __enter__(self) -> Progress:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wipe the line."""
        self.show("")

    def before(self, pass_: Pass, graph: Graph) -> None:
        """Show the pass."""
        self.show(f"{pass_.name} ...")

    def begin(self, stage: str) -> None:
        """Show the stage."""
        self.show(f"{stage} ...")

    def show(self, text: str) -> None:
        """Replace the line."""
        if self._shown:
            click.echo(f"{CLEAR_LINE}{text}", err=True, nl=False)


def observers(flags: dict[str, Any]) -> list[Instrument]:
    """The instruments that the IR flags ask for."""
    found: list[Instrument] = []
    after_all = flags["print_ir_after_all"] or flags["print_ir_after_change"]
    before, after = flags["print_ir_before"], flags["print_ir_after"]
    if after_all or before or after:
        only_changes = flags["print_ir_after_change"]
        found.append(PrintIR(sys.stderr, before, after, after_all, only_changes))
    if flags["print_ir_tree_dir"]:
        found.append(TreeDump(Path(flags["print_ir_tree_dir"])))
    if flags["crash_reproducer"]:
        found.append(CrashReproducer(Path(flags["crash_reproducer"])))
    return found


@contextmanager
def timing(wanted: bool) -> Iterator[list[Instrument]]:
    """Give a `Timing` if it is wanted, and print its table at the end."""
    clock = Timing()
    yield [clock] if wanted else []
    if wanted:
        reporter().table(clock.table())


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Use so many threads inside; without a count, `IMCC_NUM_THREADS` or the CPUs decide."""
    if count is None:
        yield
        return
    before = os.environ.get("IMCC_NUM_THREADS")
    os.environ["IMCC_NUM_THREADS"] = str(count)
    try:
        yield
    finally:
        del os.environ["IMCC_NUM_THREADS"]
        if before is not None:
            os.environ["IMCC_NUM_THREADS"] = before
