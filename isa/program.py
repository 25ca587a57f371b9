"""The program: what the compiler hands to a chip, and to the machine that stands in for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .fields import ElementType
from .instruction import Instruction
from .matrix import Matrix
from .target import Target

ISA_VERSION = (1, 0)


@dataclass(frozen=True)
class Binding:
    """An input or output of the program in global memory.

    The tensor lies at `address` as contiguous row-major codes of `element`, in the shape of the
    ONNX model (`shape`, with the leading batch axis 1). A real value is
    ``(code - zero_point) * scale``; `scale` is 0 where codes are the value itself.
    """

    name: str
    element: ElementType
    shape: tuple[int, ...]
    address: int
    scale: float
    zero_point: int

    @property
    def count(self) -> int:
        """Elements of the tensor for one input."""
        total = 1
        for extent in self.shape:
            total *= extent
        return total

    @property
    def size(self) -> int:
        """Bytes of the tensor for one input."""
        return self.count * self.element.size


@dataclass(frozen=True)
class Origin:
    """Instructions [start, stop) of `core` come from these ONNX nodes."""

    core: int
    start: int
    stop: int
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Program:
    """Instructions for each core, the matrix table, constants and bindings.

    Global memory is `constants` at address 0 (read only), then inputs, outputs and scratch up
    to `global_size` bytes. `notes` are facts about the compilation for people and tools (model
    name and hash, options), as ordered (key, value) pairs.
    """

    target: Target
    cores: dict[int, tuple[Instruction, ...]]
    matrices: tuple[Matrix, ...]
    constants: bytes
    inputs: tuple[Binding, ...]
    outputs: tuple[Binding, ...]
    global_size: int
    origins: tuple[Origin, ...] = ()
    notes: tuple[tuple[str, str], ...] = field(default=())
