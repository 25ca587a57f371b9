"""Programs of few instructions for a target, and matrices on as few arrays as they take."""

from __future__ import annotations

from imcc.isa import Adc, Instruction, Matrix, Origin, Program, Slice, Target, Tile
from imcc.isa.fields import ElementType, Space
from imcc.isa.instructions import Dim, Halt, Stream


def stream(
    register: int, space: Space, element: ElementType, base: int, *counts: int
) -> list[Instruction]:
    """Return a stream of contiguous elements in its last axes."""
    code: list[Instruction] = [Stream(register, space, element, base)]
    stride = element.size
    for axis, count in zip(range(5, -1, -1), reversed(counts), strict=False):
        code.append(Dim(register, axis, count, stride))
        stride *= count
    return code


def program(
    target: Target,
    cores: dict[int, list[Instruction]],
    matrices: tuple[Matrix, ...] = (),
    origins: tuple[Origin, ...] = (),
) -> Program:
    """Return a program of some cores; `halt` is added."""
    halted = {core: (*code, Halt()) for core, code in cores.items()}
    return Program(target, halted, matrices, bytes(4096), (), (), 1 << 16, origins)


def dense(target: Target, rows: int, cols: int, slices: int, differential: bool) -> Matrix:
    """Return a matrix in as few arrays as it takes, none of them shared."""
    wide = target.array.cols // (slices * (2 if differential else 1))
    tiles: list[Tile] = []
    array = 0
    for k in range(0, rows, target.array.rows):
        for n in range(0, cols, wide):
            height, width = min(target.array.rows, rows - k), min(wide, cols - n)
            for index in range(slices * (2 if differential else 1)):
                negative, part = divmod(index, slices)
                col = index * width
                tiles.append(Tile(array, 0, col, k, height, n, width, part, bool(negative)))
            array += 1
    return matrix(target, rows, cols, slices, tiles)


def matrix(
    target: Target, rows: int, cols: int, slices: int, tiles: list[Tile], analog: bool = False
) -> Matrix:
    """Return a matrix of these tiles."""
    bits = target.array.cell_bits
    return Matrix(
        core=0,
        rows=rows,
        cols=cols,
        input_bits=8,
        step_bits=target.array.step_bits,
        slices=tuple(Slice(bits, 1 << (bits * index)) for index in range(slices)),
        adcs=(Adc(target.adc.bits, 0, 1),) * slices,
        tiles=tuple(tiles),
        center=0,
        subtract_analog=analog,
        bound=0,
    )
