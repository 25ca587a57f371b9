"""The code of a core as it is written: which instructions a stream takes."""

from __future__ import annotations

from imcc.compiler.backend.code import CoreCode
from imcc.compiler.backend.global_memory import LINK_BASE, linked_code
from imcc.isa import ElementType, Instruction, Space, StreamState, walk
from imcc.isa.instructions import Accumulate, Copy, Fill, Load, Send

_SHORT = 1 << 18  # the least that the offset of a `fill` does not reach


def row(
    base: int, element: ElementType = ElementType.U8, space: Space = Space.LOCAL
) -> StreamState:
    return StreamState(space, element, base, (1, 1, 1, 1, 1, 8), (0, 0, 0, 0, 0, element.size))


def sums(base: int) -> StreamState:
    return row(base, ElementType.I32)


def text(code: CoreCode) -> list[str]:
    return list(map(str, code.finish()[:-1]))


def test_a_second_transfer_of_a_walk_takes_one_instruction() -> None:
    code = CoreCode()
    for base in (64, 128, 0):
        code.operate(Send, [row(base)], 3, 7)
    assert text(code) == [
        "stream s0, local, u8, 64",
        "dim s0, 5, 8, 1",
        "send s0, c3, 7",
        "send s0+64, c3, 7",
        "send s0-64, c3, 7",
    ]


def test_operands_of_one_instruction_share_a_register() -> None:
    code = CoreCode()
    code.operate(Copy, [row(64), row(0)])
    assert text(code)[2:] == ["copy s0, s0-64"]


def test_other_walks_have_other_registers() -> None:
    code = CoreCode()
    code.operate(Load, [row(0), row(64, space=Space.GLOBAL)])
    code.operate(Load, [sums(64), row(LINK_BASE, ElementType.I32, Space.GLOBAL)])
    code.operate(Load, [sums(0), row(LINK_BASE + 64, ElementType.I32, Space.GLOBAL)])
    loads = [line for line in text(code) if line.startswith("load")]
    assert loads == ["load s0, s1", "load s2, s3", "load s2-64, s3+64"]


def test_the_nearest_register_serves() -> None:
    code = CoreCode()
    for base in (0, 4 * _SHORT, 4 * _SHORT - 1, _SHORT - 1):
        code.operate(Fill, [row(base)], 0)
    fills = [line for line in text(code) if line.startswith("fill")]
    assert fills == ["fill s0, 0", "fill s1, 0", "fill s1-1, 0", "fill s0+262143, 0"]


def test_what_is_too_far_for_an_offset_takes_a_step() -> None:
    code = CoreCode()
    for base in (0, _SHORT, 2 * _SHORT - 1, 0):
        code.begin()
        code.operate(Fill, [row(base)], 0)
    assert text(code)[2:] == [
        "fill s0, 0",
        "step s0, 262144",
        "fill s0, 0",
        "fill s0+262143, 0",
        "fill s0-262144, 0",
    ]


def test_operands_without_an_offset_have_registers_of_their_own() -> None:
    code = CoreCode()
    code.operate(Copy, [sums(0), sums(32)])
    code.begin()
    code.operate(Accumulate, [sums(64), sums(0), sums(32)])
    assert text(code)[3:] == [
        "step s0, 64",
        "stream s1, local, i32, 0",
        "dim s1, 5, 8, 4",
        "stream s2, local, i32, 32",
        "dim s2, 5, 8, 4",
        "accumulate s0, s1, s2",
    ]


def test_a_register_that_is_still_needed_is_not_moved() -> None:
    """The caller has it in its hands, and has not used it yet."""
    code = CoreCode()
    register = code.stream(row(0))
    code.operate(Fill, [row(_SHORT)], 0)
    code.operate(Fill, [row(2 * _SHORT - 1)], 0)
    code.emit(Fill(register, 1))
    operations = list(walk(0, code.finish()))
    assert [one.streams["dst"].base for one in operations] == [_SHORT, 2 * _SHORT - 1, 0]


def test_behind_a_loop_offsets_count_from_where_it_has_moved_registers() -> None:
    code = CoreCode()
    register = code.stream(row(0))
    with code.loop(4, {register: 8}):
        code.emit(Fill(register, 0))
    code.operate(Fill, [row(64)], 0)
    assert text(code)[-1] == "fill s0+32, 0"
    assert [one.streams["dst"].base for one in walk(0, code.finish())] == [0, 8, 16, 24, 64]


def test_linking_moves_what_offsets_count_from() -> None:
    code = CoreCode()
    for base in (0, LINK_BASE, LINK_BASE + 64, 64):
        code.operate(Load, [row(0), row(base, space=Space.GLOBAL)])
    linked: tuple[Instruction, ...] = linked_code(code.finish(), 128)
    assert [one.streams["src"].base for one in walk(0, linked)] == [0, 128, 192, 64]
