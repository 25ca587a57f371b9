"""The cells of arrays as a program writes them, and the matrices that read them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..bound import accumulator_bound
from ..cells import packed_bytes
from ..instructions import Mvm, Write, WriteMatrix
from ..matrix import Matrix, Tile
from ..matrix_cells import CellRun
from ..planes import gather_planes, part_of
from ..program import Program
from ..walk import Operation
from .levels import Box, Content, Written, held_levels


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The tiles of a matrix in one array; `box` is the rectangle that they fill, if they do."""

    array: int
    tiles: tuple[Tile, ...]
    box: Box | None


class _Cells:
    """One array: what was written to it, and the matrix that reads each cell.

    A cell is that of the matrix whose `mvm` is the first to read it after it was written. Levels
    stay packed, and readers are boxes that do not overlap: a chip has a billion cells.
    """

    def __init__(self) -> None:
        self.version = 0
        self.written: Written = ()
        self._readers: dict[Box, int] = {}

    def write(self, content: Content) -> None:
        """Program a rectangle, which is free for any matrix then."""
        box = content.box
        kept = [one for one in self.written if not box.covers(one.box)]
        self.written = (*kept, content)
        self._take(box)
        self.version += 1

    def claim(self, box: Box, matrix: int) -> dict[int, int]:
        """Let a matrix read a rectangle; returns how many cells others read, by matrix."""
        if self._readers.get(box) == matrix:
            return {}
        others: dict[int, int] = defaultdict(int)
        for reader, cells in self._take(box):
            if reader != matrix:
                others[reader] += cells
        self._readers[box] = matrix
        return others

    def is_free(self, box: Box, matrix: int) -> bool:
        """Whether no other matrix reads cells of a rectangle."""
        return all(one == matrix or not held.meets(box) for held, one in self._readers.items())

    def _take(self, box: Box) -> list[tuple[int, int]]:
        """Free a rectangle; returns who read how many of its cells."""
        taken = []
        for held, reader in list(self._readers.items()):
            common = held.common(box)
            if common is not None:
                del self._readers[held]
                self._readers.update(dict.fromkeys(held.without(common), reader))
                taken.append((reader, common.cells))
        return taken


class Arrays:
    """The cells of all arrays as the program writes them, and who reads them.

    Matrices may share cells, if they are written anew between the last `mvm` of one and the first
    of the other. Those that differ by nothing but their cores, and are written from the same
    constants, keep to the same bound.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._constants = np.frombuffer(program.constants, np.uint8)
        self._arrays: dict[tuple[int, int], _Cells] = defaultdict(_Cells)
        self._writes: dict[int, int] = defaultdict(int)
        self._checked: dict[int, int] = {}  # by matrix: the writes to its core until then
        self._versions: dict[int, list[int]] = {}
        self._sound: set[tuple[int, int, tuple[Written, ...]]] = set()
        self._parts: dict[int, tuple[_Part, ...]] = {}
        self._whole = cache(self._all_cells)

    def write(self, operation: Operation) -> None:
        """Program the cells of a write that has passed all other checks."""
        for array, content in self._contents(operation):
            self._arrays[operation.core, array].write(content)
        self._writes[operation.core] += 1

    def _contents(self, operation: Operation) -> Iterable[tuple[int, Content]]:
        """What goes to which array."""
        instruction, source = operation.instruction, operation.streams["src"]
        if isinstance(instruction, WriteMatrix):
            return self._whole(self._program.alike[instruction.matrix], source.base)
        assert isinstance(instruction, Write)
        row, column, columns = instruction.row, instruction.column, instruction.columns
        rows = source.count // packed_bytes(columns, self._program.target.array.cell_bits)
        box = Box(row, row + rows, column, column + columns)
        content = Content(box, source.base, source.counts, source.strides)
        return ((instruction.array, content),)

    def _all_cells(self, matrix: int, base: int) -> Sequence[tuple[int, Content]]:
        """What all cells of a matrix take from `base` on; groups take the same."""
        return [
            (run.array, Content(_run_box(run), base + run.offset, (run.size,), (1,)))
            for run in self._program.cells[matrix].runs
        ]

    def check(self, operation: Operation) -> Iterator[str]:
        """Check that the cells behind an `mvm` are written, for it, and keep to its bound."""
        assert isinstance(operation.instruction, Mvm)
        index, writes = operation.instruction.matrix, self._writes[operation.core]
        if self._checked.get(index) == writes:
            return
        self._checked[index] = writes
        matrix, alike = self._program.matrices[index], self._program.alike[index]
        if alike not in self._parts:
            self._parts[alike] = tuple(_parts(matrix))
        parts = self._parts[alike]
        cells = [self._arrays[matrix.core, part.array] for part in parts]
        before, now = self._versions.get(index), [one.version for one in cells]
        if now == before:
            return
        self._versions[index] = now
        written = tuple([one.written for one in cells])
        if (alike, matrix.bound, written) not in self._sound:
            problems = tuple(self._unsound(index, parts, written))
            yield from problems
            if problems:
                return
            self._sound.add((alike, matrix.bound, written))
        for part in parts:
            yield from self._claim(index, part)

    def _unsound(
        self, index: int, parts: Sequence[_Part], written: Sequence[Written]
    ) -> Iterator[str]:
        """Check that the cells of a matrix are written, and keep to its bound."""
        matrix, count = self._program.matrices[index], len(parts)
        held = held_levels(written, self._program.target, self._constants)
        places = {part.array: place for place, part in enumerate(parts)}
        whole = np.all(held.written.reshape(count, -1), axis=1).tolist()
        highest = held.levels.reshape(count, -1).max(axis=1).tolist()
        for tile in matrix.tiles:
            place = places[tile.array]
            missing = 0 if whole[place] else int((~part_of(held.written[place], tile)).sum())
            if missing:
                yield f"{tile}: {missing} cells are used before they are written"
                return
            limit = (1 << matrix.slices[tile.slice].bits) - 1
            level = int(part_of(held.levels[place], tile).max()) if highest[place] > limit else 0
            if level > limit:
                yield f"{tile} holds level {level}; its slice holds 0..{limit}"
        levels = {part.array: held.levels[place] for place, part in enumerate(parts)}
        bound = max(_bound(copy, levels) for copy in _copies_apart(matrix))
        if bound > matrix.bound:
            yield f"an accumulator of m{index} can reach {bound}; the matrix says {matrix.bound}"

    def _claim(self, index: int, part: _Part) -> Iterator[str]:
        """Take cells of an array for a matrix; those of another must be written anew before."""
        cells = self._arrays[self._program.matrices[index].core, part.array]
        if part.box is not None and cells.is_free(part.box, index):
            cells.claim(part.box, index)
            return
        for tile in part.tiles:
            others = cells.claim(_box(tile), index)
            if others:
                yield (
                    f"{tile} shares cells of array a{tile.array} with matrix m{max(others)}, "
                    f"which has read {sum(others.values())} of them since they were written"
                )


def _box(tile: Tile) -> Box:
    return Box(tile.row, tile.row + tile.rows, tile.col, tile.col + tile.cols)


def _run_box(run: CellRun) -> Box:
    return Box(run.row, run.row + run.rows, run.column, run.column + run.columns)


def _parts(matrix: Matrix) -> Iterator[_Part]:
    """The tiles of each array."""
    found: dict[int, list[Tile]] = defaultdict(list)
    for tile in matrix.tiles:
        found[tile.array].append(tile)
    for array, tiles in found.items():
        boxes = list(map(_box, tiles))
        around = Box(
            min(box.top for box in boxes),
            max(box.bottom for box in boxes),
            min(box.left for box in boxes),
            max(box.right for box in boxes),
        )
        filled = sum(box.cells for box in boxes) == around.cells
        yield _Part(array, tuple(tiles), around if filled else None)


def _copies_apart(matrix: Matrix) -> Iterator[Matrix]:
    """Each copy as a matrix of its own."""
    if matrix.copies == 1:
        yield matrix
        return
    tiles: dict[int, list[Tile]] = defaultdict(list)
    for tile in matrix.tiles:
        tiles[tile.copy].append(tile)
    for own in tiles.values():
        yield replace(matrix, tiles=tuple(own), copies=1)


def _bound(matrix: Matrix, levels: Mapping[int, NDArray[np.uint8]]) -> int:
    planes = gather_planes(matrix, lambda tile: part_of(levels[tile.array], tile))
    return accumulator_bound(matrix, planes)
