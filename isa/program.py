"""The program: what the compiler hands to a chip, and to the machine that stands in for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

from .fields import ElementType, HostType
from .instruction import Instruction
from .instructions import Lag, Phase
from .matrix import Matrix
from .matrix_cells import MatrixCells, matrix_cells
from .target import Target

ISA_VERSION = (1, 6)


@dataclass(frozen=True)
class Binding:
    """An input or output of the program, or of a host partition, in global memory.

    The tensor lies at `address` as contiguous row-major codes of `element`, in the shape of the
    ONNX model (`shape`, with the leading batch axis 1). A real value is
    ``(code - zero_point) * scale``, and the host has it as `dtype`; codes made of real values have
    `bits` bits. Where `scale` is 0 nothing
    is quantized: `element` is that of `dtype`, and floats lie in memory as their bits.
    """

    name: str
    element: ElementType
    shape: tuple[int, ...]
    address: int
    scale: float
    zero_point: int
    dtype: HostType
    bits: int

    @classmethod
    def plain(cls, name: str, dtype: HostType, shape: tuple[int, ...], address: int) -> Binding:
        """A tensor whose values lie in memory as they are."""
        element = dtype.element
        return cls(name, element, shape, address, 0.0, 0, dtype, 8 * element.size)

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest code."""
        if self.element in (ElementType.I8, ElementType.I16, ElementType.I32):
            return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        return 0, (1 << self.bits) - 1

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
class HostPartition:
    """A part of the network that the host computes with onnxruntime.

    `model` is a serialized ONNX model with static shapes, for one input of the network. The
    bindings name its graph inputs and outputs; a name may occur twice among `outputs`. Axis 0 of
    their shapes is not a batch. `nodes` are the ONNX nodes in it, as the user knows them.
    """

    name: str
    model: bytes
    inputs: tuple[Binding, ...]
    outputs: tuple[Binding, ...]
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Program:
    """Instructions for each core, the matrix table, constants, bindings and host partitions.

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
    hosts: tuple[HostPartition, ...] = ()

    @cached_property
    def phases(self) -> int:
        """How many phases it has: as many inputs are worked on at a time."""
        marks = (sum(isinstance(i, Phase) for i in code) for code in self.cores.values())
        return 1 + max(marks, default=0)

    @cached_property
    def alike(self) -> tuple[int, ...]:
        """For each matrix the first that differs by nothing but core and bound, itself or not."""
        first: dict[Matrix, int] = {}
        known: dict[tuple[int, Matrix], int] = {}  # many share their tiles, which take long to hash
        for index, matrix in enumerate(self.matrices):
            anywhere = replace(matrix, core=0, bound=0)
            key = _but_tiles(anywhere)
            if key not in known:
                known[key] = first.setdefault(anywhere, index)
        return tuple(known[_but_tiles(matrix)] for matrix in self.matrices)

    @cached_property
    def cells(self) -> tuple[MatrixCells, ...]:
        """The cells of each matrix; those of matrices that are alike are one object."""
        bits = self.target.array.cell_bits
        made = {index: matrix_cells(self.matrices[index], bits) for index in set(self.alike)}
        return tuple(made[index] for index in self.alike)

    @cached_property
    def lags(self) -> int:
        """The greatest lag: how many rounds behind its first an operation works on an input."""
        return max(map(greatest_lag, self.cores.values()), default=0)


def _but_tiles(matrix: Matrix) -> tuple[int, Matrix]:
    """What alike matrices with the very same tiles have in common."""
    return id(matrix.tiles), replace(matrix, core=0, bound=0, tiles=())


def greatest_lag(code: Iterable[Instruction]) -> int:
    """The greatest lag of a core's code."""
    return max((one.rounds for one in code if isinstance(one, Lag)), default=0)
