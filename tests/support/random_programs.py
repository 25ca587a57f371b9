"""Random programs straight from instructions, far from what a compiler would write.

Operands lie anywhere in a small local memory: they overlap, repeat elements, have gaps and
transposed axes; parameters are constants, copies of constants, or whatever the memory holds.
Only part of the memory is an output, so that most results are dead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise, product

import numpy as np

from imcc.isa import (
    Adc,
    Binding,
    ElementType,
    HostType,
    Instruction,
    Matrix,
    Origin,
    Program,
    Rounding,
    Slice,
    Space,
    Tile,
    encode_scales,
    load_target,
    pack_levels,
)
from imcc.isa.instructions import (
    Accumulate,
    Add,
    Copy,
    Fill,
    Halt,
    Load,
    Loop,
    Lut,
    Max,
    Mul,
    Mvm,
    Recv,
    Requant,
    Send,
    Setq,
    Softmax,
    Step,
    Store,
    Sum,
    Write,
)

from .random_streams import CODES, MEMORY
from .random_vectors import VECTOR, VectorOperations, vector_constants

_INPUT = 512
_SCALES, _TABLE, _BIAS, _CELLS, _CONSTANTS = 0, 256, 1280, 1536, 2048
_ROWS, _COLUMNS = 12, 4


def random_program(seed: int, length: int, cores: int = 1) -> Program:
    """Return a program of about `length` data instructions on each of `cores` cores."""
    return _Maker(np.random.default_rng(seed), cores).make(length)


class _Maker(VectorOperations):
    def __init__(self, rng: np.random.Generator, cores: int) -> None:
        super().__init__(rng, cores)
        self._matrices: list[Matrix] = []

    def make(self, length: int) -> Program:
        cores = len(self._code)
        for self._core in range(cores):
            self._begin()
        for tag in range(length):
            for self._core in range(cores):
                self._random_operation()
            if cores > 1 and self._rng.random() < 0.4:
                self._exchange(tag)
        for self._core in range(cores):
            self._store()
            self._code[self._core].append(Halt())
        return self._program()

    def _program(self) -> Program:
        size = _CONSTANTS + _INPUT + len(self._code) * MEMORY
        return Program(
            load_target("tiny"),
            {core: tuple(code) for core, code in enumerate(self._code)},
            tuple(self._matrices),
            self._constants(),
            (Binding.plain("x", HostType.U8, (1, _INPUT), _CONSTANTS),),
            tuple(
                Binding.plain(f"y{core}", HostType.U8, (1, MEMORY), _output(core))
                for core in range(len(self._code))
            ),
            size,
            (Origin(0, 0, len(self._code[0]), ("/node",)),),
        )

    def _constants(self) -> bytes:
        data = self._rng.integers(0, 256, _CONSTANTS).astype(np.uint8)
        scales = np.exp2(self._rng.uniform(-20, 1, 64)) * self._rng.choice([1, 1, -1], 64)
        power = self._rng.random(64) < 0.3
        scales[power] = np.exp2(np.rint(np.log2(np.abs(scales[power]))))
        data[:256] = np.frombuffer(encode_scales(scales).astype("<u4").tobytes(), np.uint8)
        bias = self._rng.integers(-(1 << 14), 1 << 14, 64).astype("<i4")
        data[_BIAS:_CELLS] = np.frombuffer(bias.tobytes(), np.uint8)
        levels = self._rng.integers(0, 4, (_ROWS, 2 * _COLUMNS)).astype(np.uint8)
        packed = pack_levels(levels, load_target("tiny").array.cell_bits)
        data[_CELLS : _CELLS + packed.size] = packed.reshape(-1)
        vector = vector_constants(self._rng)
        data[VECTOR : VECTOR + len(vector)] = np.frombuffer(vector, np.uint8)
        return data.tobytes()

    def _begin(self) -> None:
        """Define all memory and cells; add matrices of this core."""
        self._set(0, ElementType.U8, 0, (MEMORY,), (1,))
        self._emit(Fill(0, int(self._rng.integers(0, 256))))
        self._set(0, ElementType.U8, int(self._rng.integers(0, MEMORY - _INPUT)), (_INPUT,), (1,))
        self._set(1, ElementType.U8, _CONSTANTS, (_INPUT,), (1,), Space.GLOBAL)
        self._emit(Load(0, 1))
        cell_bits = load_target("tiny").array.cell_bits
        row_bytes = -(-2 * _COLUMNS * cell_bits // 8)
        self._set(0, ElementType.U8, _CELLS, (_ROWS * row_bytes,), (1,), Space.GLOBAL)
        self._emit(Write(0, 0, 0, 0, 2 * _COLUMNS))
        if self._rng.random() < 0.5:  # the second copy of a matrix may hold other cells
            last = _CELLS + _ROWS * row_bytes - 1
            self._set(0, ElementType.U8, last, (_ROWS * row_bytes,), (-1,), Space.GLOBAL)
        self._emit(Write(1, 0, 0, 0, 2 * _COLUMNS))
        self._setq()
        for _ in range(2):
            self._matrices.append(self._matrix())

    def _matrix(self) -> Matrix:
        signed, analog = bool(self._rng.integers(2)), bool(self._rng.integers(2))
        bits = int(self._rng.choice([0, 16, 3, 5]))
        step = int(self._rng.choice([1, 2, 3])) if bits in (3, 5) else 1
        low = -(1 << bits >> 1) * step if signed and analog else 0
        copies = int(self._rng.choice([1, 2]))
        block = ((_ROWS, _COLUMNS), (_ROWS // 2 + 1, _COLUMNS // 2 + 1))[self._rng.integers(2)]
        tiles = self._tiles(block, range(1 + signed), copies)
        coefficient = int(self._rng.choice([1, -4, 1 << 12]))
        return Matrix(
            self._core,
            _ROWS,
            _COLUMNS,
            int(self._rng.choice([8, 8, 5])),
            int(self._rng.integers(1, 6)),
            (Slice(2, coefficient),),
            (Adc(bits, low, step),),
            tuple(tiles),
            int(self._rng.choice([0, -3])),
            analog,
            1 << 30,
            *block,
            copies,
        )

    def _tiles(self, block: tuple[int, int], signs: range, copies: int) -> Iterator[Tile]:
        """Each diagonal block in two row blocks, if it is high enough; every copy on its array."""
        cut = int(self._rng.integers(1, block[0]))
        for k0, n in zip(range(0, _ROWS, block[0]), range(0, _COLUMNS, block[1]), strict=True):
            height, width = min(block[0], _ROWS - k0), min(block[1], _COLUMNS - n)
            cuts = (0, cut, height) if cut < height else (0, height)
            for (k, end), negative, copy in product(pairwise(cuts), signs, range(copies)):
                col = _COLUMNS * negative + n
                place = (copy, k0 + k, col, k0 + k, end - k, n, width)
                yield Tile(*place, 0, bool(negative), copy)

    def _random_operation(self) -> None:
        choices: tuple[Callable[[], None], ...] = (
            self._setq, self._copy, self._fill, self._parameters, self._mvm, self._mvm_requant,
            self._requant, self._pair, self._lut, self._reduce, self._accumulate, self._softmax,
            self._loop, self._dot, self._norm, self._gather, self._divide,
        )  # fmt: skip
        choices[int(self._rng.integers(len(choices)))]()

    def _setq(self) -> None:
        low, high = sorted(int(v) for v in self._rng.integers(0, 128, 2))
        if self._rng.random() < 0.5:
            low, high = 0, 127
        zero_point = int(self._rng.integers(-10, 140))
        self._emit(Setq(zero_point, low, high, Rounding(int(self._rng.integers(4)))))

    def _copy(self) -> None:
        counts, element = self._counts(), self._element()
        self._write(0, element, counts)
        self._read(1, element, counts)
        self._emit_with_offsets(Copy(0, 1))

    def _fill(self) -> None:
        self._write(0, self._element(), self._counts())
        self._emit_with_offsets(Fill(0, int(self._rng.integers(-(1 << 31), 1 << 31))))

    def _parameters(self) -> None:
        """Load constants to where a later instruction may find its parameters."""
        base = 4 * int(self._rng.integers(0, (MEMORY - 256) // 4))
        self._set(0, ElementType.U8, base, (256,), (1,))
        self._set(1, ElementType.U8, int(self._rng.choice([_SCALES, _BIAS])), (256,), (1,),
                  Space.GLOBAL)  # fmt: skip
        self._emit_with_offsets(Load(0, 1))

    def _mvm(self) -> None:
        self._product()

    def _product(self) -> int:
        """Multiply windows that may overlap; returns the number of windows."""
        windows = int(self._rng.integers(1, 7))
        stride = int(self._rng.integers(0, _ROWS + 2))
        base = int(self._rng.integers(0, MEMORY - windows * stride - _ROWS))
        split = (4, 3) if self._rng.random() < 0.5 else (_ROWS, 1)
        self._set(1, ElementType.U8, base, (windows, *split), (stride, split[1], 1))
        self._write(0, ElementType.I32, (windows, _COLUMNS))
        matrix = 2 * self._core + int(self._rng.integers(2))
        self._emit(Mvm(0, 1, matrix, 2, int(self._rng.random() < 0.3)))
        return windows

    def _mvm_requant(self) -> None:
        """A product and the requant of exactly its accumulators, as compilers write it."""
        counts = (self._product(), _COLUMNS)
        self._write(2, self._pick(CODES), counts)
        self._columns(3, ElementType.I32, _BIAS, counts)
        self._columns(4, ElementType.U32, _SCALES, counts)
        self._emit(Requant(2, 0, 3, 4))

    def _requant(self) -> None:
        counts = self._counts()
        self._write(0, self._pick((*CODES, ElementType.I16)), counts)
        self._read(1, self._element(), counts)
        if self._rng.random() < 0.7:
            self._columns(2, ElementType.I32, _BIAS, counts)
            self._columns(3, ElementType.U32, _SCALES, counts)
        else:
            self._read(2, ElementType.I32, counts)
            self._read(3, ElementType.U32, counts)
        self._emit(Requant(0, 1, 2, 3))

    def _pair(self) -> None:
        counts = self._counts()
        self._write(0, self._pick(CODES), counts)
        element = self._pick((*CODES, ElementType.I16))
        self._read(1, element, counts)
        self._read(2, self._pick(CODES), counts)
        if self._rng.random() < 0.8:
            base = 4 * int(self._rng.integers(0, 60))
            self._set(3, ElementType.U32, _SCALES + base, (3,), (4,), Space.GLOBAL)
        else:
            self._read(3, ElementType.U32, (3,))
        self._emit(Add(0, 1, 2, 3) if self._rng.random() < 0.5 else Mul(0, 1, 2, 3))

    def _lut(self) -> None:
        counts = self._counts()
        element = self._pick((*CODES, ElementType.I32))
        self._write(0, element, counts)
        self._read(1, self._pick((*CODES, ElementType.U16)), counts)
        if self._rng.random() < 0.7:
            size = element.size
            self._set(2, element, _TABLE, (256,), (size,), Space.GLOBAL)
        else:
            self._read(2, element, (256,))
        self._emit(Lut(0, 1, 2))

    def _reduce(self) -> None:
        outer, inner = self._counts()[:2], self._counts()[:2]
        if self._rng.random() < 0.2:
            outer, inner = (2,), (70,)
        element = self._element()
        maximum = bool(self._rng.integers(2))
        self._write(0, element if maximum else ElementType.I32, outer)
        self._read(1, element, (*outer, *inner))
        self._emit(Max(0, 1, len(inner)) if maximum else Sum(0, 1, len(inner)))

    def _accumulate(self) -> None:
        counts = self._counts()
        for register, place in ((0, self._write), (1, self._read), (2, self._read)):
            place(register, ElementType.I32, counts)
        self._emit(Accumulate(0, 1, 2))

    def _softmax(self) -> None:
        counts = self._counts()
        self._write(0, ElementType.U8, counts)
        self._read(1, self._pick(CODES), counts)
        if self._rng.random() < 0.8:
            self._set(2, ElementType.U32, _TABLE, (256,), (4,), Space.GLOBAL)
        else:
            self._read(2, ElementType.U32, (256,))
        self._emit(Softmax(0, 1, 2, int(self._rng.integers(1, 300))))

    def _emit_with_offsets(self, instruction: Instruction) -> None:
        """Half of them from other bases, with the offsets that make up for it."""
        kind, values = type(instruction), list(instruction.operands)
        if self._rng.random() < 0.5:
            for index, (name, offset) in enumerate(kind.offsets.items(), len(kind.written)):
                values[index] = int(self._rng.integers(offset.kind.low, offset.kind.high + 1))
                self._emit(Step(getattr(instruction, name), -values[index]))
        self._emit(kind(*values))

    def _loop(self) -> None:
        """Copy and step through memory, forwards or backwards."""
        count, delta = int(self._rng.integers(0, 5)), int(self._rng.integers(-9, 10))
        self._set(0, ElementType.U8, int(self._rng.integers(100, MEMORY - 200)), (8,), (1,))
        self._set(1, ElementType.U8, int(self._rng.integers(100, MEMORY - 200)), (8,), (1,))
        self._emit(Loop(count, 3))
        self._emit(Copy(0, 1))
        self._emit(Step(0, delta))
        self._emit(Step(1, int(self._rng.integers(-9, 10))))

    def _exchange(self, tag: int) -> None:
        counts, element = self._counts(), self._element()
        sender, receiver = (int(c) for c in self._rng.permutation(len(self._code))[:2])
        self._core = sender
        self._read(0, element, counts)
        self._emit_with_offsets(Send(0, receiver, tag))
        self._core = receiver
        self._write(0, element, self._rotated(counts))
        self._emit_with_offsets(Recv(0, sender, tag))

    def _store(self) -> None:
        """Make one range of the memory the output; the rest of the output stays 0."""
        start, stop = sorted(int(v) for v in self._rng.integers(0, MEMORY + 1, 2))
        length = max(stop - start, 1)
        start = min(start, MEMORY - length)
        self._set(0, ElementType.U8, _output(self._core), (MEMORY,), (1,), Space.GLOBAL)
        self._set(1, ElementType.U8, start, (MEMORY,), (0,))
        self._emit(Store(0, 1))
        self._set(0, ElementType.U8, _output(self._core), (length,), (1,), Space.GLOBAL)
        self._set(1, ElementType.U8, start, (length,), (1,))
        self._emit_with_offsets(Store(0, 1))


def _output(core: int) -> int:
    return _CONSTANTS + _INPUT + core * MEMORY
