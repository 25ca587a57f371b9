"""The instruction set, in opcode order: one class an instruction, and nothing said twice.

Conventions
    A *stream* names a sequence of elements in one memory: a base address in bytes, an element
    type and up to six (count, stride) pairs, axis 0 slowest. Unset axes have count 1. The number
    of elements is the product of the counts. All instructions walk their streams in that order.
    Where an instruction has an *offset* for an operand, the operand walks its stream from so many
    bytes behind the base; the register stays as it is. ``s3+64`` is stream 3 with the offset 64,
    ``s3`` with the offset 0.
    A batch of inputs runs in lock step: every local memory and every global address above the
    constants exists once an input; constants, arrays and stream registers exist once.

Notation
    ``rne(v)`` rounds to the nearest integer, ties to even. ``rne24(v)`` rounds to 24 significant
    bits, ties to even. A *scale word* is 32 bits: mantissa in bits 0-23, shift in bits 24-30,
    sign in bit 31; its value is ``(-1)^sign * mantissa * 2^-shift``.
"""

from __future__ import annotations

from .crossbars import Mvm as Mvm  # these five are a part of the table
from .crossbars import Write as Write
from .crossbars import WriteMatrix as WriteMatrix
from .fields import (
    Address,
    Axis,
    Code,
    CoreId,
    Count,
    Delta,
    ElementField,
    Flag,
    LongOffset,
    PartitionId,
    ReadStream,
    Repeat,
    RoundingField,
    ShortOffset,
    SpaceField,
    Steps,
    StreamRegister,
    Stride,
    Tag,
    Word32,
    WriteStream,
)
from .instruction import Instruction, instruction
from .rounds import Lag as Lag
from .rounds import Phase as Phase

STREAM_REGISTERS = 32
STREAM_AXES = 6
LOOP_DEPTH = 8


@instruction(0x00)
class Nop(Instruction):
    """Does nothing."""


@instruction(0x01)
class Halt(Instruction):
    """Ends the program of this core. It is the last instruction, and only the last."""


@instruction(0x02)
class Loop(Instruction):
    """Runs the next `body` instructions `count` times. Loops nest up to eight deep."""

    count: Repeat
    body: Repeat


@instruction(0x03)
class Barrier(Instruction):
    """Waits until every core of the program has come to a barrier with the same `tag`."""

    tag: Tag


@instruction(0x04)
class Host(Instruction):
    """Hands partition `partition` of the network to the host, and waits for it.

    All earlier instructions of this core are done before. The host reads the partition's inputs
    from global memory, runs its ONNX model in floats and writes its results to global memory. A
    partition is run once.
    """

    partition: PartitionId


@instruction(0x10)
class Stream(Instruction):
    """Sets stream `stream` to one element of type `element` at byte `base` of `space`.

    All six axes are reset to count 1, stride 0.
    """

    stream: StreamRegister
    space: SpaceField
    element: ElementField
    base: Address


@instruction(0x11)
class Dim(Instruction):
    """Gives axis `axis` (0..5, 0 slowest) of `stream` its `count` and its `stride` in bytes."""

    stream: StreamRegister
    axis: Axis
    count: Count
    stride: Stride


@instruction(0x12)
class Step(Instruction):
    """Adds `delta` bytes to the base of `stream`: the per-iteration increment of a loop."""

    stream: StreamRegister
    delta: Delta


@instruction(0x13)
class Setq(Instruction):
    """Sets the output stage of the vector unit: zero point, clipping bounds and rounding.

    Used by `requant`, `add`, `mul` and `softmax` until the next `setq`:
    the result of each is ``clip(rounded value + zero_point, low, high)``.
    """

    zero_point: Code
    low: Code
    high: Code
    rounding: RoundingField


@instruction(0x20)
class Load(Instruction):
    """Copies global elements `src` to local elements `dst` (same element type and count)."""

    dst: WriteStream
    src: ReadStream
    dst_offset: LongOffset = 0
    src_offset: LongOffset = 0


@instruction(0x21)
class Store(Instruction):
    """Copies local elements `src` to global elements `dst` (same element type and count)."""

    dst: WriteStream
    src: ReadStream
    dst_offset: LongOffset = 0
    src_offset: LongOffset = 0


@instruction(0x22)
class Copy(Instruction):
    """Copies local elements `src` to local elements `dst` (same element type and count).

    They may overlap where both walk the same ascending axes and `dst` begins before `src`: what
    is read has then not been written yet.
    """

    dst: WriteStream
    src: ReadStream
    dst_offset: LongOffset = 0
    src_offset: LongOffset = 0


@instruction(0x23)
class Fill(Instruction):
    """Writes `value` to every element of the local stream `dst`."""

    dst: WriteStream
    value: Word32
    dst_offset: ShortOffset = 0


@instruction(0x30)
class Send(Instruction):
    """Sends the elements of `src` to core `peer`, and waits until its `recv` has taken them."""

    src: ReadStream
    peer: CoreId
    tag: Tag
    src_offset: ShortOffset = 0


@instruction(0x31)
class Recv(Instruction):
    """Waits for the `send` of core `peer` with the same `tag` and writes its elements to `dst`."""

    dst: WriteStream
    peer: CoreId
    tag: Tag
    dst_offset: ShortOffset = 0


@instruction(0x50)
class Requant(Instruction):
    """Scales accumulators to codes: ``clip(round((src + bias) * scale) + zero_point)``.

    `src` is i32 or a code type, `bias` i32, `scale` u32 scale words, each with as many elements
    as `dst`. FLOAT24: ``rne(rne24(rne24(src + bias) * scale)) + zero_point``. FLOAT24_BIASED:
    ``rne(rne24(rne24(rne24(src + bias) * scale) + zero_point))``. FIXED modes:
    ``round((src + bias) * mantissa * 2^-shift) + zero_point`` with one rounding.
    """

    dst: WriteStream
    src: ReadStream
    bias: ReadStream
    scale: ReadStream


@instruction(0x51)
class Add(Instruction):
    """Adds two code tensors of different scales.

    `params` holds three scale words ra, rb, c. FLOAT24 modes:
    ``clip(rne(rne24(a * ra + rne24(b * rb + c))))``: the zero points are inside c, and
    `zero_point` of the output stage is not used. FIXED modes: the three words have one shift;
    ``clip(round((a * ra + b * rb + c) * 2^-shift))`` with one rounding.
    """

    dst: WriteStream
    a: ReadStream
    b: ReadStream
    params: ReadStream


@instruction(0x52)
class Mul(Instruction):
    """Multiplies two code tensors: ``(a - za) * (b - zb)`` scaled by r.

    `params` holds three 32-bit words: the scale word r, then za and zb. FLOAT24 modes:
    ``clip(rne(rne24(rne24((a - za) * (b - zb) * r) + zero_point)))``. FIXED modes: one rounding
    of the product, then the zero point.
    """

    dst: WriteStream
    a: ReadStream
    b: ReadStream
    params: ReadStream


@instruction(0x53)
class Lut(Instruction):
    """Looks codes up: ``dst = table[src & 255]``; `table` has 256 elements of the type of `dst`."""

    dst: WriteStream
    src: ReadStream
    table: ReadStream


@instruction(0x54)
class Max(Instruction):
    """Takes the largest of the elements along the last `inner` axes of `src`."""

    dst: WriteStream
    src: ReadStream
    inner: Axis


@instruction(0x55)
class Sum(Instruction):
    """Adds the elements along the last `inner` axes of `src` into i32 `dst`."""

    dst: WriteStream
    src: ReadStream
    inner: Axis


@instruction(0x56)
class Accumulate(Instruction):
    """Adds i32 partial sums: ``dst = a + b``. The compiler proves that int32 does not overflow."""

    dst: WriteStream
    a: ReadStream
    b: ReadStream


@instruction(0x57)
class Softmax(Instruction):
    """Normalises exponentials along the innermost axis of `src` that has more than one element.

    `table` has 256 u32 elements, ``e[d]`` for a code d below the largest of its row. With S the
    exact sum of a row's e: ``clip(rne(e[max - x] * steps / S) + zero_point)``.
    """

    dst: WriteStream
    src: ReadStream
    table: ReadStream
    steps: Steps


@instruction(0x58)
class Dot(Instruction):
    """Multiplies two computed tensors: sums of products along the last `inner` axes.

    ``dst = sum of (a - za) * (b - zb)``. `a` and `b` have the same count on every axis; an axis
    along which one of them repeats has stride 0 there. `dst` (i32) has one element for each
    place on the axes before the last `inner` ones. `params` holds two 32-bit words, the zero
    points za and zb, which are values of the element types of `a` and `b`.
    """

    dst: WriteStream
    a: ReadStream
    b: ReadStream
    params: ReadStream
    inner: Axis


@instruction(0x59)
class Norm(Instruction):
    """Normalises rows of K elements, the last `inner` axes of `src`, in units of 2^-16.

    ``d = K * x - sum of x`` with `center`, else ``d = K * (x - z)``; ``V = sum of d * d``;
    ``dst = rne(d * (2^16 / sqrt((V + e) / K)))``, 0 where V + e is 0. `d` and `V` are exact
    integers, V + e ends at 2^64 - 1; d, V + e and K are turned into float64, and each division,
    root and product rounds as IEEE float64 does. `params` holds three 32-bit words: z, a value
    of the element type of `src`, and the low and the high half of e. K is at most 32768, and
    with 16-bit elements at most 1290.
    """

    dst: WriteStream
    src: ReadStream
    params: ReadStream
    inner: Axis
    center: Flag


@instruction(0x5A)
class Gather(Instruction):
    """Copies the rows of `table` that the indices `src` name, one behind the other.

    The last `inner` axes of `table` are one row, the axes before them count the rows. Index -1
    is the last row, -2 the one before it. An index that names no row stops the machine.
    """

    dst: WriteStream
    src: ReadStream
    table: ReadStream
    inner: Axis


@instruction(0x5B)
class Divide(Instruction):
    """Divides codes by codes, element by element, in units of 2^-16.

    ``dst = rne((a - za) * 2^16 / (b - zb))``: the exact quotient, rounded once, half to even. It
    saturates to i32. Divided by 0, what is above 0 gives the largest i32, what is below 0 the
    smallest, and 0 gives 0. `params` holds two 32-bit words, the zero points za and zb, which are
    values of the element types of `a` and `b`.
    """

    dst: WriteStream
    a: ReadStream
    b: ReadStream
    params: ReadStream
