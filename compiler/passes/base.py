"""What a pass is: a frozen dataclass whose fields are its options, and a function on graphs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from imcc.isa.target import Target

from ..ir import Array, Graph, QuantParams

Samples = Callable[[], Iterable[Mapping[str, Array]]]


@dataclass(frozen=True)
class PassContext:
    """What passes may need beside the graph.

    `samples()` starts a new walk over the calibration data: mini-batches ``{input name: float32
    array [b, ...]}``. `activations` are parameters by value name: the pass that calibrates
    writes what it found, and takes what it finds here instead of calibrating, so that a graph
    can be quantized again without the data. Passes append to `notes` what the user should know,
    such as why a rewrite did not fire.
    """

    target: Target | None = None
    samples: Samples | None = None
    activations: dict[str, QuantParams] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Pass(ABC):
    """A step from graph to graph.

    Subclasses are frozen dataclasses. `name` is a verb in kebab case; the field ``weight_bits``
    is the option ``weight-bits``. Every field has a default. Values out of range are a
    `ValueError` from ``__post_init__``.
    """

    name: ClassVar[str]

    @abstractmethod
    def run(self, graph: Graph, context: PassContext) -> Graph:
        """The graph after the pass; `graph` itself stays as it is."""

    def requires(self, graph: Graph) -> None:  # noqa: B027 - most passes start anywhere
        """Raise a `CompileError` if the pass cannot start from `graph`."""

    def ensures(self, graph: Graph) -> None:  # noqa: B027 - most passes promise nothing
        """Raise a `CompileError` if `graph` is not what the pass promises."""

    def __str__(self) -> str:
        """Text form, such as ``quantize{weight-bits=4}``, without options at their default."""
        from .options import print_options

        options = print_options(self)
        return f"{self.name}{{{options}}}" if options else self.name
