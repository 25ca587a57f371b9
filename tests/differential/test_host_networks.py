"""Networks of which a part runs on the host: all definitions of the network meet there too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto
from support.host_models import MODELS, bundled, with_middle, with_prefix, with_suffix
from support.host_networks import NETWORKS, HostNetwork

from imcc.compiler import compile_model
from imcc.compiler.cli.chip import load_chip
from imcc.compiler.data import Samples
from imcc.compiler.driver import Compilation
from imcc.compiler.ir.ops.spill import Spill
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode
from imcc.compiler.verify import verify_program
from imcc.isa import program_bytes, program_from_bytes
from imcc.runtime import Machine

POOLED = "/pool1/MaxPool_output_0"
PLACES: dict[str, Callable[[], ModelProto]] = {
    "behind": lambda: with_suffix(bundled("fmnist_lenet")),
    "before": lambda: with_prefix(bundled("fmnist_lenet")),
    "between": lambda: with_middle(bundled("fmnist_lenet"), POOLED, "Hardmax"),
}


def images(count: int) -> dict[str, np.ndarray]:
    with np.load(MODELS / "fmnist.npz") as arrays:
        return {"input": arrays["x"][:count].astype(np.float32)}


def compiled(model: ModelProto, target: str = "isaac") -> Compilation:
    return compile_model(model, target, None, images(16))


def expect_verified(found: Compilation, model: ModelProto, inputs: dict[str, np.ndarray]) -> None:
    program = program_from_bytes(program_bytes(found.program))
    verified = verify_program(program, model, Samples(inputs, "test"))
    assert verified.passed
    assert [comparison.differences for comparison in verified.comparisons] == [0, 0, 0, 0]


@pytest.mark.parametrize("target", ["isaac", "tiny"])
@pytest.mark.parametrize("place", PLACES)
def test_all_definitions_agree(place: str, target: str) -> None:
    model = PLACES[place]()
    found = compiled(model, target)
    assert len(found.program.hosts) == 1
    expect_verified(found, model, images(5))


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_host_nodes_in_all_surroundings(network: HostNetwork) -> None:
    found = compile_model(network.model, "isaac", None, network.inputs)
    assert [host.nodes for host in found.program.hosts] == network.partitions
    expect_verified(found, network.model, network.inputs)


def test_results_that_leave_are_those_of_onnxruntime() -> None:
    plain, model = bundled("fmnist_lenet"), with_suffix(bundled("fmnist_lenet"))
    inputs = images(20)
    scores = Machine(compiled(plain).program).run(inputs)["logits"]
    found = Machine(compiled(model).program).run(inputs)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :2]
    np.testing.assert_array_equal(found["classes"], order)
    np.testing.assert_array_equal(found["scores"], np.take_along_axis(scores, order, axis=1))
    np.testing.assert_array_equal(found["best"], order[:, :1])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [entry.name for entry in session.get_outputs()]
    for name, wanted in zip(names, session.run(None, inputs), strict=True):
        assert (found[name].dtype, found[name].shape) == (wanted.dtype, wanted.shape)


def test_fewer_bits_are_clipped_alike_on_both_sides() -> None:
    model = with_prefix(bundled("fmnist_lenet"))
    loud = {"input": images(3)["input"] * 3}  # beyond what was calibrated
    found = compile_model(model, "isaac", CompileOptions(activation_bits=4), images(8))
    expect_verified(found, model, loud)


@pytest.mark.parametrize("mode", ScheduleMode)
@pytest.mark.parametrize("place", PLACES)
def test_parts_for_the_host_among_stages(place: str, mode: ScheduleMode) -> None:
    """One core of four arrays: the network takes at least twelve."""
    sizes = ("chip.mesh_rows=1", "chip.mesh_cols=1", "core.arrays=4")
    model, options = PLACES[place](), CompileOptions(schedule=mode)
    found = compile_model(model, load_chip("isaac", sizes), options, images(16))
    assert found.tiled.stage_count > 2
    assert len(found.program.hosts) == 1
    expect_verified(found, model, images(3))


@pytest.mark.parametrize("place", PLACES)
def test_parts_for_the_host_where_local_memory_is_short(place: str) -> None:
    model, small = PLACES[place](), load_chip("isaac", ("core.local_memory_kib=3",))
    found = compile_model(model, small, None, images(16))
    assert any(isinstance(task.node.op, Spill) for task in found.schedule.tasks)
    expect_verified(found, model, images(3))
