"""The machine as its users meet it: whole batches, single steps, probes, wrong inputs."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from support.hand_program import hand_program, hand_text_with_offsets
from support.random_networks import NetworkMaker, random_inputs

from imcc.compiler.backend import emit, emit_with_probes
from imcc.compiler.ir import evaluate
from imcc.compiler.mapping import TileOptions, tile
from imcc.compiler.schedule import memory_check, schedule
from imcc.isa import Exchange, HostType, Operation, Program, assemble, load_target
from imcc.isa.instructions import Fill, Load
from imcc.isa.target import RequantMode
from imcc.runtime import Machine, MachineError, Probe


def stepped(machine: Machine, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of a literal run."""
    machine.reset(inputs)
    while machine.step() is not None:
        pass
    return machine.outputs(codes=True)


@given(
    seed=st.integers(0, 1 << 30),
    name=st.sampled_from(["isaac", "neurram", "tiny"]),
    mode=st.sampled_from(RequantMode),
)
@settings(max_examples=25, deadline=None)
def test_decoded_form_equals_literal_steps(seed: int, name: str, mode: RequantMode) -> None:
    target = load_target(name)
    graph = NetworkMaker(seed, mode, 8).make(3)
    inputs = random_inputs(graph, 2, seed)
    program = emit(schedule(tile(graph, target, TileOptions(), memory_check(graph, target))))
    machine = Machine(program)
    np.testing.assert_array_equal(
        machine.run(inputs, codes=True)["output"], stepped(machine, inputs)["output"]
    )


@pytest.fixture(scope="module")
def network() -> tuple[Program, dict[str, np.ndarray]]:
    graph = NetworkMaker(11, RequantMode.FLOAT24, 8).make(6)
    target = load_target("isaac")
    program = emit(schedule(tile(graph, target, TileOptions(), memory_check(graph, target))))
    return program, random_inputs(graph, 23, 5)


@pytest.mark.parametrize(("threads", "chunk"), [(1, 1), (1, 5), (2, 7), (3, None), (1, 100)])
def test_result_does_not_depend_on_threads_and_chunks(
    network: tuple[Program, dict[str, np.ndarray]], threads: int, chunk: int | None
) -> None:
    program, inputs = network
    expected = Machine(program, threads=1, chunk=23).run(inputs)["output"]
    machine = Machine(program, threads=threads, chunk=chunk)
    for _ in range(2):  # workers and their memories are used again
        np.testing.assert_array_equal(machine.run(inputs)["output"], expected)


def test_codes_and_reals_are_the_same_inputs(
    network: tuple[Program, dict[str, np.ndarray]],
) -> None:
    program, inputs = network
    (binding,) = program.inputs
    scaled = inputs[binding.name] / np.float32(binding.scale)
    codes = np.clip(np.rint(scaled) + binding.zero_point, 0, 255).astype(np.uint8)
    machine = Machine(program)
    np.testing.assert_array_equal(
        machine.run({binding.name: codes})["output"], machine.run(inputs)["output"]
    )


def test_probes_read_every_value_of_the_graph() -> None:
    graph = NetworkMaker(4, RequantMode.FLOAT24, 8).make(6)
    target = load_target("tiny")
    tiled = tile(graph, target, TileOptions(), memory_check(graph, target))
    program, places = emit_with_probes(schedule(tiled))
    inputs = random_inputs(graph, 5, 1)
    names = [place.value for place in places]
    expected = evaluate(tiled.graph, inputs, names)
    probes = {p.value: Probe(p.core, p.pc, p.stream) for p in places}
    found = Machine(program, chunk=2).probe(inputs, probes)
    assert len(names) == len(graph.nodes) - 1
    for name in names:
        np.testing.assert_array_equal(found[name], expected[name].reshape(5, -1), name)


def test_steps_show_operations_and_memories() -> None:
    program = hand_program()
    machine = Machine(program)
    machine.reset({"x": np.array([[1.0, 2.0, 3.0, 4.0]])})
    seen = []
    while (operation := machine.step()) is not None:
        seen.append(operation)
        if isinstance(operation, Operation) and isinstance(operation.instruction, Load):
            loaded = machine.read(operation.streams["dst"], operation.core)
            assert loaded.ravel().tolist() == [2, 4, 6, 8]
            assert machine.local(0)[0, :4].tolist() == [2, 4, 6, 8]
    assert any(isinstance(operation, Exchange) for operation in seen)
    assert machine.array(0, 0).programmed[:4, :16].all()
    outputs = machine.outputs()
    np.testing.assert_array_equal(outputs["y"], machine.run({"x": np.array([[1, 2, 3, 4.0]])})["y"])


def test_reading_unwritten_memory_names_the_place() -> None:
    graph = NetworkMaker(2, RequantMode.FLOAT24, 8).make(1)
    target = load_target("isaac")
    program = emit(schedule(tile(graph, target, TileOptions())))
    code = program.cores[0]
    first = next(i for i, instruction in enumerate(code) if isinstance(instruction, Load))
    broken = (*code[:first], Fill(code[first].operands[0], 0), *code[first + 1 :])
    # The input is now filled, so the program runs; without any write it must not.
    Machine(replace(program, cores={0: broken})).run(random_inputs(graph, 1, 0))
    missing = (*code[:first], *code[first + 1 :])
    machine = Machine(replace(program, cores={0: missing}))
    with pytest.raises(
        MachineError,
        match=r"^core 0 at \d+: \S+ s\d+.*: byte \d+ of local memory is read before it is written; "
        r"\d+ of \d+ bytes are not$",
    ):
        stepped(machine, random_inputs(graph, 1, 0))


def test_all_problems_of_the_inputs_are_listed() -> None:
    machine = Machine(hand_program())
    with pytest.raises(MachineError) as error:
        machine.run({"X": np.zeros((1, 4))})
    assert str(error.value) == (
        "inputs do not fit the program:\n"
        "  there is no input 'X'; the program has x\n"
        "  input 'x' is missing"
    )
    with pytest.raises(MachineError, match=r"'x' has shape \(1, 5\); it must be \(batch, 4\)"):
        machine.run({"x": np.zeros((1, 5))})
    with pytest.raises(MachineError, match="'x' has type <U1; it must be a number"):
        machine.run({"x": np.full((1, 4), "a")})


def test_looking_before_reset_is_refused() -> None:
    with pytest.raises(MachineError, match=r"call reset\(inputs\)"):
        Machine(hand_program()).step()


def test_offsets_move_operands_and_no_registers() -> None:
    inputs = {"x": np.array([[0.5, 3.0, 100.0, 7.5]], np.float32)}
    expected = Machine(hand_program()).run(inputs)["y"]
    machine = Machine(assemble(hand_text_with_offsets()))
    np.testing.assert_array_equal(machine.run(inputs)["y"], expected)
    stepped(machine, inputs)
    np.testing.assert_array_equal(machine.outputs()["y"], expected)


def test_codes_that_do_not_fit_are_refused() -> None:
    program = hand_program()
    (binding,) = program.inputs
    machine = Machine(replace(program, inputs=(replace(binding, scale=0.0, dtype=HostType.U8),)))
    machine.run({"x": np.array([[0, 255, 3, 4]])})
    with pytest.raises(
        MachineError,
        match=r"'x' has values in 0..256; it takes codes, whole numbers in 0..255",
    ):
        machine.run({"x": np.array([[0, 256, 3, 4]])})
    with pytest.raises(MachineError, match=r"'x' has values in 0.5..4.0; it takes codes"):
        machine.run({"x": np.array([[0.5, 2, 3, 4]])})
