"""What `dot`, `divide`, `norm` and `gather` take, worked out by hand."""

from __future__ import annotations

from support.small_program import LocalInput, small_program, stream_of

from imcc.isa import ElementType, Exchange, Instruction, Space, StreamState, interleave
from imcc.isa.cost import CostModel
from imcc.isa.instructions import Divide, Dot, Gather, Norm
from imcc.runtime.timing import Work, profile

U8, I32 = ElementType.U8, ElementType.I32
LANES = 16  # of the target isaac


def work(instruction: Instruction, streams: dict[int, StreamState]) -> Work:
    """The work of `instruction` alone; the program as a whole has a profile."""
    program = small_program([instruction], streams, {"x": LocalInput(U8, 4096, 8192)}, bytes(4096))
    assert profile(program).latency_cycles > 0
    (found,) = (
        operation
        for operation in interleave(program)
        if not isinstance(operation, Exchange) and operation.instruction == instruction
    )
    return CostModel.of(program).cost(found)


def constants(element: ElementType, *counts: int) -> StreamState:
    return stream_of(element, 0, counts, space=Space.GLOBAL)


def test_a_dot_takes_a_lane_a_product() -> None:
    streams = {
        0: stream_of(I32, 0, (6, 5)),
        1: stream_of(U8, 8192, (6, 5, 9), (9, 0, 1)),
        2: stream_of(U8, 8704, (6, 5, 9), (0, 9, 1)),
        3: constants(I32, 2),
    }
    found = work(Dot(0, 1, 2, 3, 1), streams)
    assert found == Work(
        cycles=-(-6 * 5 * 9 // LANES),
        vector_ops=6 * 5 * 9,
        local_bytes=4 * 6 * 5 + 6 * 9 + 5 * 9,
        global_bytes=8,
    )


def test_a_divide_takes_a_lane_a_quotient() -> None:
    """A divisor that is repeated is read once."""
    streams = {
        0: stream_of(I32, 0, (6, 5)),
        1: stream_of(U8, 8192, (6, 5)),
        2: stream_of(U8, 8704, (6, 5), (0, 1)),
        3: constants(I32, 2),
    }
    found = work(Divide(0, 1, 2, 3), streams)
    assert found == Work(
        cycles=-(-30 // LANES), vector_ops=30, local_bytes=4 * 30 + 30 + 5, global_bytes=8
    )


def test_a_norm_passes_three_times_over_its_elements() -> None:
    streams = {
        0: stream_of(I32, 0, (7, 10)),
        1: stream_of(U8, 8192, (7, 10)),
        2: constants(I32, 3),
    }
    found = work(Norm(0, 1, 2, 1, 1), streams)
    assert found == Work(
        cycles=3 * -(-70 // LANES), vector_ops=3 * 70, local_bytes=4 * 70 + 70, global_bytes=12
    )


def test_a_gather_moves_the_rows_that_it_names() -> None:
    """Three rows of 40 bytes; the 50 rows of the table are not read."""
    streams = {
        0: stream_of(U8, 0, (3, 40)),
        1: stream_of(U8, 8192, (3,)),
        2: constants(U8, 50, 40),
    }
    found = work(Gather(0, 1, 2, 1), streams)
    assert found == Work(local_bytes=3 + 120, global_bytes=120)
    near = {**streams, 2: stream_of(U8, 8704, (50, 40))}
    assert work(Gather(0, 1, 2, 1), near) == Work(local_bytes=3 + 120 + 120)
