"""Which products the same cores hold in phases, and what does not pass the global memory then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from onnx import ModelProto
from support.module_networks import Modules, bottlenecks, fires

from imcc.compiler.cli.chip import load_chip
from imcc.compiler.driver import Compilation, compile_model
from imcc.compiler.errors import VerificationError
from imcc.compiler.ir.ops.rows import Rows
from imcc.compiler.ir.ops.spill import Spill
from imcc.compiler.ir.ops.tiled import Tiled
from imcc.compiler.mapping import KernelUnfolding, TileOptions
from imcc.compiler.mapping.shares import Teams
from imcc.compiler.mapping.tiling import cutter_of, footprint
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode
from imcc.compiler.schedule.phase_rows import rows_in_phases
from imcc.compiler.schedule.pipeline import pipeline_phases
from imcc.compiler.schedule.sharing import sharing
from imcc.runtime import Machine, run_in_rounds

# A network so slow that what layers hand on goes through the global memory, which is slow as well.
SLOW = ("timing.noc_bytes_per_cycle=0.5", "timing.global_bytes_per_cycle=4")


def compiled(model: ModelProto, *values: str) -> Compilation:
    options = CompileOptions(schedule=ScheduleMode.THROUGHPUT, unfolding=KernelUnfolding.IM2COL)
    return compile_model(model.SerializeToString(), load_chip("pimcomp", values), options, "random")


def teams_of(model: ModelProto, *values: str) -> Teams:
    graph, chip = compiled(model).quantized, load_chip("pimcomp", values)
    cutters = (cutter_of(graph, node, chip, TileOptions()) for node in graph.nodes)
    held = {one.node.result.name: footprint(one) for one in cutters if one is not None}
    asked = sharing(ScheduleMode.THROUGHPUT, chip)
    assert asked is not None
    return asked(graph, held).teams


def test_a_product_of_single_elements_joins_the_one_before() -> None:
    net = Modules().conv("x", "a", 3).conv("a", "b", 1).conv("b", "c", 3).conv("c", "d", 1)
    assert teams_of(net.model("d")).members == (("a", "b"), ("c", "d"))


def test_what_is_added_up_is_made_on_the_same_cores() -> None:
    net = Modules().conv("x", "l", 3).conv("x", "r", 1).add("l", "r", "s").conv("s", "t", 1)
    assert teams_of(net.model("t")).members == (("l", "r", "t"),)


def test_what_reads_the_same_windows_loads_them_once() -> None:
    """The concatenation is read by windows, so nothing else puts its operands together."""
    net = Modules().conv("x", "l", 3).conv("x", "r", 3).concat("l", "r", "c").conv("c", "y", 3)
    assert teams_of(net.model("y")).members == (("l", "r"),)


def test_a_shortcut_is_made_earlier() -> None:
    """What a sum reads beside what is made of it waits in memory, however large it is."""
    net = Modules().conv("x", "a", 3).conv("a", "b", 3).add("b", "a", "s").conv("s", "t", 1)
    assert teams_of(net.model("t")).members == (("b", "t"),)


def test_a_team_does_not_need_what_others_make_of_its_results() -> None:
    """The sum puts `t` and `m` together; `a` is needed for `w`, and that for `m`."""
    net = Modules().conv("x", "a", 3).conv("a", "t", 1).conv("a", "w", 3).conv("w", "m", 3)
    assert teams_of(net.add("t", "m", "s").conv("s", "y", 3).model("y")).members == (("t", "m"),)


def test_a_concatenation_may_be_read_where_it_is_made() -> None:
    net = Modules().conv("x", "l", 1).conv("x", "r", 3).concat("l", "r", "c").conv("c", "y", 1)
    assert teams_of(net.model("y")).members == (("l", "r", "y"),)


def test_a_team_fits_a_core() -> None:
    """Each of the two takes an array."""
    net = Modules().conv("x", "a", 3).conv("a", "b", 1)
    assert teams_of(net.model("b"), "core.arrays=2").members == (("a", "b"),)
    assert teams_of(net.model("b"), "core.arrays=1").members == ()


def test_chips_with_a_mesh_have_no_teams() -> None:
    graph = compiled(bottlenecks()).quantized
    asked = sharing(ScheduleMode.THROUGHPUT, load_chip("isaac"))
    assert asked is not None
    assert asked(graph, {}).teams == Teams()


def test_memory_time_counts_what_is_stored_and_loaded() -> None:
    """64 bytes pass a cycle of a ns, two an element; the map that enters is loaded as well."""
    net = Modules(8).conv("x", "a", 3).conv("a", "b", 1).conv("b", "c", 3)
    found = teams_of(net.model("c"))
    each = 8 * 12 * 12 * 2 / 64
    assert found.members == (("a", "b"),)
    assert (found.alone - found.memory) == pytest.approx(2 * each)


@pytest.mark.parametrize("model", [bottlenecks(), fires()], ids=["bottlenecks", "fires"])
def test_inputs_side_by_side_give_what_each_gives_alone(model: ModelProto) -> None:
    made = compiled(model, *SLOW)
    assert made.tiled.teams
    assert made.program.phases > 1
    random = np.random.default_rng(5)
    inputs = {
        b.name: random.standard_normal((3, *b.shape[1:])).astype(np.float32)
        for b in made.program.inputs
    }
    alone = Machine(made.program).run(inputs, codes=True)
    for name, codes in run_in_rounds(made.program, inputs).items():
        np.testing.assert_array_equal(codes, alone[name])


def test_members_take_from_each_other_what_lies_on_their_core() -> None:
    """Each part of a convolution reads one of the sum, as it is, and that two of convolutions."""
    tiled = compiled(bottlenecks(), *SLOW).tiled
    assert ("a2", "a3", "short", "b1") in tiled.teams
    cut = rows_in_phases(tiled, pipeline_phases(tiled))
    parts = [
        node
        for node in cut.graph.nodes
        if isinstance(node.op, Tiled) and cut.blocks[node.result.name].whole == "b1"
    ]
    assert len(parts) > 1
    for part in parts:
        summed = cut.graph.producer(part.operands[0])
        assert summed is not None
        for node in (summed, *map(cut.graph.producer, summed.operands)):
            assert node is not None
            assert not isinstance(node.op, Rows | Spill)
            assert cut.cores[node.results[0].name] == cut.cores[part.result.name]


def test_members_on_different_cores_are_no_team() -> None:
    tiled = compiled(bottlenecks(), *SLOW).tiled
    tiled.verify()
    with pytest.raises(VerificationError, match="stem, a2 are a team and lie on different cores"):
        replace(tiled, teams=(("stem", "a2"),)).verify()
