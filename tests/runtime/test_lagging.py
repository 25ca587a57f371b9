"""Programs with lags: in rounds they give what each input gives alone, and rounds take their time.

On `tiny` memories and links pass 16 bytes a cycle, a hop takes a cycle, and ten windows of a
product 800.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from support.lagging_programs import (
    Step,
    copy,
    lagging,
    load,
    look_up,
    random_lagging,
    receive,
    send,
    store,
)
from support.timed_program import dense, program, stream

from imcc.isa import (
    ElementType,
    Instruction,
    Program,
    Space,
    ValidationError,
    load_target,
    validate,
)
from imcc.isa.instructions import Copy, Dim, Fill, Lag, Mvm, Nop, Recv, Send, Stream, Write
from imcc.runtime import Machine, profile, run_in_rounds
from imcc.runtime.timing import Profile, timeline
from imcc.runtime.timing.pimcomp import evaluate
from imcc.runtime.timing.simulator import Simulation

LOCAL, GLOBAL = Space.LOCAL, Space.GLOBAL
U8, I32 = ElementType.U8, ElementType.I32


def inputs(count: int) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(1).integers(0, 256, (count, 8)).astype(np.uint8)}


def agrees(found: Program, count: int) -> bool:
    """Whether inputs in a row give what each gives alone."""
    alone = Machine(found).run(inputs(count), codes=True)
    in_a_row = run_in_rounds(found, inputs(count))
    return all(np.array_equal(in_a_row[name], alone[name]) for name in alone)


WRITE = (*stream(0, GLOBAL, U8, 0, 4), Write(0, 0, 0, 0, 4))
# Core 0 begins an input, core 1 goes on with it, and core 0 ends it two rounds later.
THERE = [receive(0, 0, 0), look_up(0, 1, 0, 1), send(0, 1, 0)]
HERE = [
    Step(0, WRITE),
    receive(2, 2, 1),
    send(1, 1, 1),
    copy(1, 4, 3),
    load(0, 0),
    look_up(0, 1, 0, 0),
    copy(0, 3, 0),
    store(2, 0, 2),
    store(1, 1, 4),
]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_inputs_in_a_row_give_what_each_gives_alone(count: int) -> None:
    found = lagging({0: HERE, 1: THERE}, 2)
    validate(found)
    assert found.lags == 2
    assert agrees(found, count)


def test_a_buffer_that_the_next_input_takes_too_early_mixes_inputs() -> None:
    """The machine takes input by input and does not see it; `validate` refuses such programs."""
    late = lagging({0: [load(0, 0), look_up(0, 1, 0, 0), store(1, 0, 1)]})
    with pytest.raises(ValidationError, match="it reads byte 8 of local memory after lut"):
        validate(late)
    alone = Machine(late).run(inputs(4), codes=True)["y0"]
    np.testing.assert_array_equal(run_in_rounds(late, inputs(4))["y0"], alone[[1, 2, 3, 3]])


# Buffer 0 holds three values of an input, one in each of three rounds, and others' in between.
AGAIN = [look_up(2, 0, 2, 0), store(2, 0, 0), look_up(1, 0, 1, 1), copy(1, 2, 0)]
BEGUN = [load(0, 0), look_up(0, 1, 0, 0)]


def test_a_buffer_is_free_between_the_values_of_an_input() -> None:
    found = lagging({0: [*AGAIN, *BEGUN]})
    validate(found)
    assert agrees(found, 7)
    mixed = lagging({0: [AGAIN[0], BEGUN[0], *AGAIN[1:], BEGUN[1]]})
    assert _problem(mixed) == "memory"
    assert not agrees(mixed, 7)


@pytest.mark.parametrize(("first", "valid"), [(17, True), (18, False)])
def test_streams_that_lie_between_each_other_are_apart(first: int, valid: bool) -> None:
    """Every second byte is written at lag 0 and read at lag 1; between come those from `first`."""

    def second(register: int, base: int) -> list[Instruction]:
        return [Stream(register, LOCAL, U8, base), Dim(register, 5, 8, 2)]

    source = stream(1, LOCAL, U8, 0, 8)
    between, begun = (Step(0, (*second(0, at), *source, Copy(0, 1))) for at in (first, 16))
    read = Step(1, (*stream(0, LOCAL, U8, 64, 8), *second(1, 16), Copy(0, 1)))
    found = lagging({0: [load(0, 0), between, read, store(1, 0, 8), begun]})
    assert _problem(found) == ("" if valid else "memory")
    assert agrees(found, 5) == valid


def test_messages_out_of_turn_mix_inputs() -> None:
    """Sent are those of inputs 0, then 1 and 0, 2 and 1, 3 and 2, then 3; each second is stored."""
    here = [load(0, 0), send(0, 0, 1), Step(1, load(0, 1).code), send(1, 1, 1)]
    there = [receive(0, 2, 0), receive(0, 3, 0), store(0, 0, 3)]
    mixed = lagging({0: here, 1: there})
    with pytest.raises(ValidationError, match="message 1 of input 0, but meets message 0 of"):
        validate(mixed)
    alone = Machine(mixed).run(inputs(4), codes=True)["y0"]
    np.testing.assert_array_equal(run_in_rounds(mixed, inputs(4))["y0"], alone[[1, 2, 3, 3]])


def test_random_programs_are_right_in_rounds_or_refused() -> None:
    """And what waits for ever in rounds is refused, and nothing else for that.

    What is refused for a local memory mixes inputs, but where nothing comes of what it reads.
    """
    seen: Counter[tuple[str, str]] = Counter()
    for seed in range(300):
        made = random_lagging(seed, cores=2 + seed % 3, greatest=1 + seed % 4)
        problem = _problem(made)
        try:
            rounds = "same" if agrees(made, 14) else "mixed"
        except ValidationError:
            rounds = "stuck"
        if made.lags:
            seen[problem, rounds] += 1
        if problem in ("", "deadlock"):
            assert rounds == {"": "same", "deadlock": "stuck"}[problem], seed
    assert seen["", "same"] > 20
    assert seen["deadlock", "stuck"] > 20
    assert seen["memory", "mixed"] > 20
    assert seen["memory", "mixed"] > 10 * seen["memory", "same"]


def _problem(made: Program) -> str:
    try:
        validate(made)
    except ValidationError as error:
        _, *problems = str(error).splitlines()
        if any("deadlock" in one for one in problems):
            return "deadlock"
        return "memory" if all("of local memory after" in one for one in problems) else "other"
    return ""


def products(matrix: int, source: int, to: int) -> list[Instruction]:
    streams = [*stream(0, LOCAL, U8, source, 10, 8), *stream(1, LOCAL, I32, to, 10, 2)]
    return [*streams, Mvm(1, 0, matrix, 1, 0)]


BEGIN, END = products(0, 0, 256), products(1, 512, 1024)
SEND = [*stream(2, LOCAL, I32, 256, 10, 2), Send(2, 1, 0)]
RECV = [*stream(3, LOCAL, U8, 512, 10, 8), Recv(3, 1, 1)]
BETWEEN = [
    *[*stream(2, LOCAL, U8, 0, 10, 8), Recv(2, 0, 0)],
    *products(2, 0, 256),
    *[*stream(2, LOCAL, I32, 256, 10, 2), Send(2, 0, 1)],
]


def three_products(code: list[Instruction]) -> Program:
    """Core 0 makes the first and the last of three products of an input, core 1 the second."""
    tiny = load_target("tiny")
    core = tiny.core.model_copy(update={"issue_window": 4})
    small = dense(tiny, 8, 2, 4, False)
    matrices = tuple(
        replace(small, core=core, tiles=tuple(replace(t, array=array) for t in small.tiles))
        for core, array in ((0, 0), (0, 1), (1, 0))
    )
    chip = tiny.model_copy(update={"core": core})
    return program(chip, {0: code, 1: BETWEEN}, matrices)


def test_lags_let_a_core_work_on_inputs_beside_each_other() -> None:
    """80 bytes take 5 cycles of a link, or of a port, and a hop.

    In turn: core 0 waits for core 1 within each input; only the last product of one and the first
    of the next lie side by side. From a first product to the next: 800, its transfer 6, 800, the
    other transfer 6, and 7 cycles in which the last product and its successor issue.

    With lags: in a round core 0 receives what was begun two rounds before, sends what was begun in
    the last one and begins both products, on other inputs. The receive waits for the last product,
    which reads the same buffer, 800; then issue the send behind 4 instructions and the receive,
    5 cycles, the first product behind 7 others, 8, and the last one behind 7, 8.
    """
    in_turn = profile(three_products([*BEGIN, *SEND, *RECV, *END]))
    assert in_turn.interval_cycles == 800 + 6 + 800 + 6 + 7
    lagging_code = [Lag(2), *RECV, Lag(1), *SEND, Lag(0), *BEGIN, Lag(2), *END]
    found = profile(three_products(lagging_code))
    assert found.interval_cycles == 800 + 5 + 8 + 8
    assert found.inputs == in_turn.inputs == 5
    _is_whole(found)
    # The first input: its first product issues in cycle 15 of round 0. In core 1 the receive of
    # the next one issues 4 cycles behind its send, and core 0 sends then; the product that writes
    # what is sent waits for that, 6, and the last one issues 8 cycles behind it.
    assert found.latency_cycles == 15 + 800 + 6 + 800 + 4 + 6 + 8 + 800


def _is_whole(found: Profile) -> None:
    assert sum(cycles for _, cycles in found.critical_path) == found.latency_cycles


def test_rounds_leave_out_operations_but_not_what_sets_registers() -> None:
    """One core fills 16 bytes at lag 0, 1 cycle, and 320 at lag 1, 20 cycles, for one input.

    The first fill issues in cycle 2. Behind it come `lag`, `stream` and `dim` of round 0 and all 5
    such instructions of round 1, so that the second one issues in cycle 3 + 8.
    """
    code = [*stream(0, LOCAL, U8, 0, 16), Fill(0, 0)]
    code += [Lag(1), *stream(0, LOCAL, U8, 256, 320), Fill(0, 0)]
    simulation = Simulation(program(load_target("tiny"), {0: code}), 1)
    simulation.run()
    assert simulation.ends == [3 + 8 + 20]


def test_of_random_programs_every_input_ends_and_the_path_is_whole() -> None:
    for seed in range(120):
        made = random_lagging(seed, cores=2 + seed % 3, greatest=1 + seed % 4)
        if not _problem(made):
            found = timeline(made, 3)
            _is_whole(found.profile)
            assert {one.input for one in found.slices} == set(range(3 + made.lags))
            operations = Counter((one.track, one.core, one.pc, one.input) for one in found.slices)
            assert set(operations.values()) == {1}


def test_lag_zero_is_no_lag() -> None:
    plain = three_products([Nop(), *BEGIN, *SEND, *RECV, *END])
    zero = three_products([Lag(0), *BEGIN, *SEND, *RECV, *END])
    assert profile(zero) == profile(plain)


def test_pimcomps_model_knows_no_lags() -> None:
    with pytest.raises(ValidationError, match="PIMCOMP's model has no lags"):
        evaluate(lagging({0: HERE, 1: THERE}, 2))
