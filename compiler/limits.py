"""Limits against models and files of hostile or accidental size.

They are set for a compilation as a whole, not for one of its stages: what is checked lies as deep
as the folding of a single constant. `applied` sets them for a block of code, as
`decimal.localcontext` does for the precision of numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches


@dataclass(frozen=True)
class Limits:
    """The most that is accepted of everything; the unit, where there is one, ends the name."""

    file_mib: int = 2048
    """Size of a model file."""
    nodes: int = 200_000
    """Nodes of a model, functions written out."""
    tensors: int = 1_000_000
    """Weights of a model."""
    rank: int = 8
    """Axes of a tensor."""
    extent: int = 2**31 - 1
    """Elements along one axis."""
    weights_mib: int = 16 << 10
    """All weights together."""
    constant_mib: int = 16
    """One constant made at compile time, unless an operand of it is larger."""
    folding_mib: int = 256
    """All constants made at compile time."""
    folding_mops: int = 2000
    """Millions of operations that make them."""
    activations_mib: int = 256
    """Activations of one sample that live at once, in the float network."""
    unrolled_nodes: int = 10_000
    """Nodes of branches and loops, written out."""
    subgraph_depth: int = 16
    """Graphs inside nodes of graphs."""
    attribute_kib: int = 1024
    """A text that is an attribute of a node."""
    name_chars: int = 4096
    """A name of a node, a tensor or an operator."""
    native_mib: int = 400
    """Memory that one trial of a part of a model in onnxruntime may take."""
    native_seconds: int = 1
    """Processor time of one such trial."""
    diagnostics: int = 50
    """Problems that are shown; the others are counted."""
    data_mib: int = 4096
    """Arrays of a data file."""
    text_mib: int = 64
    """Assembly or graph text."""

    def __post_init__(self) -> None:
        """Raise `ValueError` for a limit below 1."""
        for name, value in asdict(self).items():
            if value < 1:
                raise ValueError(f"limit {spelled(name)} is {value}; it must be at least 1")

    def changed(self, items: Iterable[str]) -> Limits:
        """These limits with changes such as ``nodes=1000``; raises `ValueError`."""
        return replace(self, **dict(map(_read, items)))


_CURRENT: ContextVar[Limits] = ContextVar("limits", default=Limits())  # noqa: B039 -- frozen


def limits() -> Limits:
    """The limits in force."""
    return _CURRENT.get()


@contextmanager
def applied(changed: Limits) -> Iterator[None]:
    """Put limits in force for a ``with`` block."""
    token = _CURRENT.set(changed)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def spelled(name: str) -> str:
    """The name of a limit on the command line."""
    return name.replace("_", "-")


def _read(item: str) -> tuple[str, int]:
    name, _, value = item.partition("=")
    known = {spelled(field.name): field.name for field in fields(Limits)}
    if name not in known:
        close = get_close_matches(name, known, 1)
        hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(known)}"
        raise ValueError(f"there is no limit '{name}'; {hint}")
    if not (value.isascii() and value.isdecimal() and len(value) < 20):
        raise ValueError(f"limit {name} is '{value}'; it must be a whole number")
    return known[name], int(value)
