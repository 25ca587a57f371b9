"""Placement of whole graphs: cores, parts, limits, and the errors where something does not fit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from imcc.compiler.errors import CapacityError, InputError, UnsupportedError, VerificationError
from imcc.compiler.ir import (
    Graph,
    GraphBuilder,
    Node,
    QuantParams,
    TensorType,
    Value,
    evaluate,
    parse_graph,
    print_graph,
)
from imcc.compiler.ir.op import Stage
from imcc.compiler.ir.ops.quant import Dequantize, Quantize
from imcc.compiler.ir.ops.quantized import QAdd, QConv, QMatMul
from imcc.compiler.ir.ops.tiled import Tiled, shard_weights
from imcc.compiler.ir.requant import full_range
from imcc.compiler.ir.types import DType
from imcc.compiler.ir.verify import verify
from imcc.compiler.mapping import TiledGraph, TileOptions, summary, tile
from imcc.compiler.mapping.deals import packed_deal
from imcc.compiler.mapping.overlapping import Overlapping
from imcc.compiler.mapping.oversize import cut_to_chip
from imcc.compiler.mapping.placer import Deal
from imcc.compiler.mapping.regions import Cutter
from imcc.compiler.mapping.shares import Demand, Demands, Footprint, Room, Share
from imcc.compiler.mapping.tiling import Sharing, cutter_of, footprint, tile_apart
from imcc.compiler.passes import PassContext
from imcc.compiler.passes.tile import Tile
from imcc.isa.target import Target, builtin_targets, load_target

CODES = QuantParams((0.5,), (3,))
Shape = tuple[int, ...]


class _Net:
    """A chain of quantized products after a Quantize."""

    def __init__(self, shape: Shape, seed: int = 0) -> None:
        self.builder = GraphBuilder("net")
        self.rng = np.random.default_rng(seed)
        x = self.builder.input("x", TensorType(DType.F32, shape))
        self.value = self.builder.add(Quantize(CODES), [x], "codes", ["/quantize"])
        self.count = 0

    def product(self, shape: Shape, op: QConv | QMatMul) -> _Net:
        self.count += 1
        axis = 0 if isinstance(op, QConv) else 1
        weights = self.rng.integers(-127, 128, shape).astype(np.int8)
        quant = QuantParams((0.25,) * shape[axis], (0,) * shape[axis], axis, 8, True)
        w = self.builder.constant(weights, f"w{self.count}", quant)
        b = self.builder.constant(np.zeros(shape[axis], np.int32), f"b{self.count}")
        name = f"y{self.count}"
        self.value = self.builder.add(op, [self.value, w, b], name, [f"/product_{self.count}"])
        return self

    def conv(self, outputs: int, channels: int, kernel: int = 3, group: int = 1) -> _Net:
        half = kernel // 2
        op = QConv((1, 1), (half,) * 4, (1, 1), group, full_range(QuantParams((4096.0,), (99,))))
        return self.product((outputs, channels // group, kernel, kernel), op)

    def dense(self, k: int, n: int) -> _Net:
        return self.product((k, n), QMatMul(full_range(QuantParams((4096.0,), (99,)))))

    def finish(self) -> Graph:
        out = self.builder.add(Dequantize(), [self.value], "out", ["/dequantize"])
        return self.builder.finish([out], ["out"])


def _chip(cores: int, arrays: int, name: str = "tiny") -> Target:
    base = load_target(name)
    chip = base.chip.model_copy(update={"mesh_rows": 1, "mesh_cols": cores})
    core = base.core.model_copy(update={"arrays": arrays})
    return base.model_copy(update={"chip": chip, "core": core})


def _op(tiled: TiledGraph, name: str) -> Tiled:
    (op,) = (op for node, op in tiled.products() if node.result.name == name)
    return op


@pytest.mark.parametrize("name", builtin_targets())
def test_network_of_all_kinds_of_product_on_every_target(name: str) -> None:
    graph = _Net((1, 8, 6, 6)).conv(24, 8).conv(24, 24, 3, 24).conv(40, 24, 1).finish()
    tiled = tile(graph, load_target(name))
    tiled.verify()
    verify(tiled.graph, Stage.TILED)
    assert [node.origin for node in tiled.graph.nodes] == [node.origin for node in graph.nodes]
    assert parse_graph(print_graph(tiled.graph, resources=True)).same_as(tiled.graph)
    rows = summary(tiled)
    assert [row.label for row in rows] == ["/product_1", "/product_2", "/product_3"]
    x = {"x": np.random.default_rng(1).normal(30, 20, (2, 8, 6, 6)).astype(np.float32)}
    if all(row.lossless for row in rows):
        np.testing.assert_array_equal(evaluate(tiled.graph, x)["out"], evaluate(graph, x)["out"])
    assert all(row.lossless for row in rows) == (name != "neurram")


def test_depthwise_channels_are_packed_by_the_rows_of_an_array() -> None:
    tiled = tile(_Net((1, 64, 8, 8)).conv(64, 64, 3, 64).finish(), load_target("isaac"))
    (shard,) = _op(tiled, "y1").plan.shards
    matrix = shard.matrix
    assert (matrix.rows, matrix.cols, matrix.stack) == (576, 64, (5, 126, 14))  # 14 * 9 <= 128
    tiles = [(t.k, t.rows, t.n, t.cols) for t in matrix.tiles if t.slice == 0]
    assert tiles == [*((126 * i, 126, 14 * i, 14) for i in range(4)), (504, 72, 56, 8)]
    assert len({tile.array for tile in matrix.tiles}) == 5


def test_depthwise_layer_larger_than_a_core_is_cut_in_ranges_of_runs() -> None:
    graph = _Net((1, 64, 8, 8)).conv(64, 64, 3, 64).finish()
    tiled = tile(graph, _chip(4, 3, "isaac"))  # an array holds two runs beside each other
    tiled.verify()
    ranges = [(s.core, s.c0, s.c1, s.n0, s.n1) for s in _op(tiled, "y1").plan.shards]
    assert ranges == [(0, 0, 64, 0, 64)]
    tiled = tile(graph, _chip(4, 2, "isaac"))
    tiled.verify()
    ranges = [(s.core, s.c0, s.c1, s.n0, s.n1) for s in _op(tiled, "y1").plan.shards]
    assert ranges == [(0, 0, 42, 0, 42), (1, 42, 64, 42, 64)]
    x = {"x": np.random.default_rng(1).normal(30, 20, (2, 64, 8, 8)).astype(np.float32)}
    np.testing.assert_array_equal(evaluate(tiled.graph, x)["out"], evaluate(graph, x)["out"])


def test_rows_of_a_grouped_convolution_have_the_channel_slowest() -> None:
    graph = _Net((1, 6, 4, 4)).conv(9, 6, 3, 3).finish()
    op, weight = graph.nodes[1].op, graph.constants["w1"]
    assert isinstance(op, QConv)
    shard = tile(graph, load_target("isaac")).products().__next__()[1].plan.shards[0]
    matrix = shard_weights(op, weight, shard)
    expected = np.zeros((1, 54, 9), np.int8)
    for group in range(3):
        rows, cols = slice(18 * group, 18 * group + 18), slice(3 * group, 3 * group + 3)
        expected[0, rows, cols] = weight[cols].reshape(3, 18).T
    np.testing.assert_array_equal(matrix.blocks, expected)


def test_rows_of_a_convolution_are_taps_with_the_channel_fastest() -> None:
    graph = _Net((1, 4, 4, 4)).conv(5, 4).finish()
    op, weight = graph.nodes[1].op, graph.constants["w1"]
    assert isinstance(op, QConv)
    shard = replace(_op(tile(graph, load_target("isaac")), "y1").plan.shards[0], c0=1, c1=3)
    matrix = shard_weights(op, weight, shard)
    np.testing.assert_array_equal(
        matrix.blocks[0, 2 * 5 + 1], weight[:, 2, 1, 2]
    )  # tap (1, 2), channel 2


def test_product_goes_to_the_next_core_when_the_first_is_full() -> None:
    graph = _Net((1, 32)).dense(32, 8).dense(8, 16).finish()  # 8 cells a weight: 2 and 1 arrays
    tiled = tile(graph, _chip(4, 2))
    assert [_op(tiled, name).plan.home for name in ("y1", "y2")] == [0, 1]
    assert [tiled.cores[node.results[0].name] for node in tiled.graph.nodes] == [0, 0, 1, 1]


def test_earlier_cores_are_filled_when_there_is_no_next_one() -> None:
    graph = _Net((1, 32)).dense(32, 32).dense(32, 64).dense(64, 16).finish()
    tiled = tile(graph, _chip(2, 16))  # 8, 16 and 8 arrays
    assert [_op(tiled, f"y{i}").plan.home for i in (1, 2, 3)] == [0, 1, 0]
    tiled.verify()


def test_large_product_is_split_by_outputs_first() -> None:
    tiled = tile(_Net((1, 32)).dense(32, 64).finish(), _chip(8, 4))  # 16 arrays on cores of 4
    plan = _op(tiled, "y1").plan
    assert [span for span, _ in plan.blocks()] == [(0, 16), (16, 32), (32, 48), (48, 64)]
    assert plan.cores() == (0, 1, 2, 3)
    assert all((shard.c0, shard.c1) == (0, 32) for shard in plan.shards)


def test_long_columns_are_split_by_input_channels_too() -> None:
    graph = _Net((1, 128)).dense(128, 16).finish()
    tiled = tile(graph, _chip(8, 4))  # 16 outputs x 32 rows fill a core
    plan = _op(tiled, "y1").plan
    ((span, shards),) = plan.blocks()
    assert span == (0, 16)
    assert [(shard.c0, shard.c1) for shard in shards] == [(0, 32), (32, 64), (64, 96), (96, 128)]
    tiled.verify()
    x = {"x": np.random.default_rng(1).normal(30, 20, (2, 128)).astype(np.float32)}
    np.testing.assert_array_equal(evaluate(tiled.graph, x)["out"], evaluate(graph, x)["out"])


def _small_and_large() -> Graph:
    """Products of 1, 8 and 8 arrays; the last fills its arrays."""
    return _Net((1, 32)).dense(32, 4).dense(4, 32).dense(32, 32).finish()


@dataclass(frozen=True)
class _Given(Demands):
    """Demands whose shares are given."""

    given: Mapping[str, Share] = field(default_factory=dict)

    def shares(self, room: Room) -> Mapping[str, Share]:
        return self.given


def _sharing(groups: int) -> Sharing:
    """So many groups of the first product, and each other product once."""
    shares = {"y1": Share(groups=groups), "y2": Share(), "y3": Share()}

    def given(graph: Graph, footprints: Mapping[str, Footprint]) -> Demands:
        assert [held.arrays for held in footprints.values()] == [1, 8, 8]
        asked = (Demand(name, held, 1, 1) for name, held in footprints.items())
        return _Given(tuple(asked), given=shares)

    return given


def test_groups_leave_a_core_to_a_product_that_fills_one() -> None:
    """Three groups of one array would take a core each; the last product needs all of one."""
    tiled = tile(_small_and_large(), _chip(3, 8), sharing=_sharing(3))
    tiled.verify()
    assert len({plan.home for plan in tiled.groups["y1"]}) == 1
    others = {shard.core for name in ("y1", "y2") for shard in _op(tiled, name).plan.shards}
    assert _op(tiled, "y3").plan.home not in others


def test_everything_once_is_a_last_resort(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no times, and must not pass for a deal that takes none."""
    names = ("y1", "y2", "y3")
    grouped = {name: Share(groups=3 if name == "y1" else 1, time=1.0, load=1.0) for name in names}
    once = {name: Share() for name in names}
    found = [Deal(grouped, {}, math.inf), Deal(once, {}, math.inf)]
    monkeypatch.setattr("imcc.compiler.mapping.tiling.deals", lambda *_, **__: found)
    tiled = tile(_small_and_large(), _chip(6, 8), sharing=_sharing(3))
    assert len(tiled.groups["y1"]) == 3


def test_what_does_not_pack_in_groups_lies_on_the_chip_once() -> None:
    """Nine groups and the last product take 17 arrays of 16."""
    tiled = tile(_small_and_large(), _chip(2, 8), sharing=_sharing(9))
    tiled.verify()
    assert not tiled.groups


def test_a_large_product_fills_what_packed_ones_leave() -> None:
    """Four groups of 8 arrays leave 3 on each of four cores, and pieces of 6 find no room there."""
    graph, chip = _Net((1, 32)).dense(32, 32).dense(32, 48).finish(), _chip(4, 11)

    def asked(_: Graph, footprints: Mapping[str, Footprint]) -> Demands:
        assert [held.arrays for held in footprints.values()] == [8, 12]
        return Demands(tuple(Overlapping(name, held, 1, 1) for name, held in footprints.items()))

    def dealt(demands: Demands, cutters: Mapping[str, Cutter], target: Target) -> Iterator[Deal]:
        deal = packed_deal({"y1": Share(groups=4), "y2": Share()}, demands, cutters, target)
        assert deal is not None
        assert deal.shares["y2"].pours
        yield deal

    tiled = tile_apart(graph, chip, TileOptions(), lambda *_: True, asked, dealt)
    assert tiled is not None
    tiled.verify()
    assert sorted(plan.home for plan in tiled.groups["y1"]) == [0, 1, 2, 3]
    shards = _op(tiled, "y2").plan.shards
    arrays = {(shard.core, tile.array) for shard in shards for tile in shard.matrix.tiles}
    assert Counter(core for core, _ in arrays) == dict.fromkeys(range(4), 3)
    x = {"x": np.random.default_rng(2).normal(30, 20, (1, 32)).astype(np.float32)}
    np.testing.assert_array_equal(evaluate(tiled.graph, x)["out"], evaluate(graph, x)["out"])


def test_no_deal_where_there_is_too_little_for_what_would_be_poured() -> None:
    """Four groups leave 8 arrays of 40."""
    graph, chip = _Net((1, 32)).dense(32, 32).dense(32, 48).finish(), _chip(4, 10)
    cutters = {
        node.result.name: cutter
        for node in graph.nodes
        if (cutter := cutter_of(graph, node, chip, TileOptions())) is not None
    }
    asked = tuple(Overlapping(name, footprint(one), 1, 1) for name, one in cutters.items())
    shares = {"y1": Share(groups=4), "y2": Share()}
    assert packed_deal(shares, Demands(asked), cutters, chip) is None


def test_spread_limits_products_a_core() -> None:
    graph = _Net((1, 8)).dense(8, 8).dense(8, 8).dense(8, 8).finish()
    assert set(tile(graph, load_target("isaac")).cores.values()) == {0}
    tiled = tile(graph, load_target("isaac"), TileOptions(spread=2))
    assert [_op(tiled, f"y{i}").plan.home for i in (1, 2, 3)] == [0, 0, 1]


def test_operations_move_on_when_the_caller_says_that_memory_is_full() -> None:
    graph = _Net((1, 8)).dense(8, 8).dense(8, 8).dense(8, 8).finish()
    asked: list[int] = []

    def fits(nodes: tuple[Node, ...]) -> bool:
        asked.append(len(nodes))
        return len(nodes) <= 2

    tiled = tile(graph, load_target("isaac"), fits=fits)
    assert [_op(tiled, f"y{i}").plan.home for i in (1, 2, 3)] == [0, 0, 1]
    assert tiled.cores["out"] == 1
    assert asked == [2, 3, 2]


def test_other_operations_follow_their_first_operand() -> None:
    net = _Net((1, 32)).dense(32, 16)
    left = net.value
    right = net.dense(16, 16).value
    add = QAdd(full_range(CODES))
    total: Value = net.builder.add(add, [left, right], "sum", ["/add"])
    graph = net.builder.finish([total], ["sum"])
    tiled = tile(graph, _chip(4, 4))
    assert tiled.cores == {"codes": 0, "y1": 0, "y2": 1, "sum": 0}
    assert TiledGraph.of(tiled.graph, tiled.target).cores == tiled.cores


def test_network_with_more_weights_than_cells_goes_in_stages() -> None:
    graph = _Net((1, 32)).dense(32, 64).dense(64, 32).finish()
    tiled = tile(graph, _chip(4, 4))  # each product takes all 16 arrays
    tiled.verify()
    assert tiled.stages == {"codes": 0, "y1": 0, "y2": 1, "out": 1}
    assert tiled.stage_count == 2
    x = {"x": np.random.default_rng(1).normal(30, 20, (2, 32)).astype(np.float32)}
    np.testing.assert_array_equal(evaluate(tiled.graph, x)["out"], evaluate(graph, x)["out"])


def test_network_that_needs_more_cores_goes_in_stages() -> None:
    graph = _Net((1, 8)).dense(8, 8).dense(8, 8).dense(8, 8).finish()
    tiled = tile(graph, _chip(2, 4), TileOptions(spread=1))
    tiled.verify()
    assert tiled.stage_count == 2


def test_product_larger_than_the_chip_is_named() -> None:
    graph = _Net((1, 32)).dense(32, 64).dense(64, 32).finish()
    with pytest.raises(CapacityError) as caught:
        tile(graph, _chip(3, 4))
    lines = str(caught.value).split("\n")
    assert [line.split(". ")[0] for line in lines] == [
        "/product_1: its weights need 16 arrays of 32 x 32 cells, target 'tiny' has 12: 4 short",
        "/product_2: its weights need 16 arrays of 32 x 32 cells, target 'tiny' has 12: 4 short",
        "Use a larger chip (--set chip.mesh_rows=..., core.arrays=..., array.rows=..., "
        "array.cols=...) or fewer weight bits (--weight-bits)",
    ]


def test_product_larger_than_the_chip_is_cut_by_outputs() -> None:
    graph = _Net((1, 32)).dense(32, 64).finish()
    target = _chip(3, 4)
    cut = cut_to_chip(graph, target, TileOptions())
    assert [node.results[0].name for node in cut.nodes] == ["codes", "y1.0", "y1.32", "y1", "out"]
    assert [node.origin for node in cut.nodes[1:4]] == [("/product_1",)] * 3
    tiled = tile(cut, target)
    tiled.verify()
    assert tiled.stages == {"codes": 0, "y1.0": 0, "y1.32": 1, "y1": 1, "out": 1}
    x = {"x": np.random.default_rng(1).normal(30, 20, (2, 32)).astype(np.float32)}
    np.testing.assert_array_equal(evaluate(tiled.graph, x)["out"], evaluate(graph, x)["out"])
    assert cut_to_chip(cut, target, TileOptions()) is cut


def test_convolution_larger_than_the_chip_is_cut_by_outputs() -> None:
    graph = _Net((1, 8, 6, 6)).conv(24, 8).conv(40, 24, 1).finish()
    target = _chip(2, 3)
    cut = cut_to_chip(graph, target, TileOptions())
    tiled = tile(cut, target)
    tiled.verify()
    assert tiled.stage_count > 3
    x = {"x": np.random.default_rng(1).normal(30, 20, (2, 8, 6, 6)).astype(np.float32)}
    np.testing.assert_array_equal(evaluate(tiled.graph, x)["out"], evaluate(graph, x)["out"])


def test_depthwise_layer_larger_than_the_chip_is_cut_by_groups() -> None:
    graph = _Net((1, 64, 8, 8)).conv(64, 64, 3, 64).finish()
    target = _chip(1, 1, "isaac")  # two runs of 14 channels, and 4 more
    cut = cut_to_chip(graph, target, TileOptions())
    kinds = [(node.op.name, node.results[0].name) for node in cut.nodes]
    assert kinds == [
        ("quantize", "codes"),
        *(pair for n0 in (0, 32) for pair in (("slice", f"y1.{n0}.x"), ("qconv", f"y1.{n0}"))),
        ("qconcat", "y1"),
        ("dequantize", "out"),
    ]
    tiled = tile(cut, target)
    tiled.verify()
    assert tiled.stage_count == 2
    x = {"x": np.random.default_rng(1).normal(30, 20, (2, 64, 8, 8)).astype(np.float32)}
    np.testing.assert_array_equal(evaluate(tiled.graph, x)["out"], evaluate(graph, x)["out"])


def test_stage_that_reads_what_a_later_one_makes_is_refused() -> None:
    graph = _Net((1, 32)).dense(32, 64).dense(64, 32).finish()
    tiled = tile(graph, _chip(4, 4))
    wrong = replace(tiled, stages={**tiled.stages, "y1": 2})
    with pytest.raises(VerificationError, match="it is in stage 1 and reads what stage 2 makes"):
        wrong.verify()
    together = replace(tiled, stages={})
    with pytest.raises(VerificationError, match="are taken"):
        together.verify()


def test_weight_with_more_slices_than_columns() -> None:
    target = _chip(1, 4)
    narrow = target.model_copy(update={"array": target.array.model_copy(update={"cols": 4})})
    with pytest.raises(UnsupportedError, match=r"^/product_1: a weight takes 8 cells of a row"):
        tile(_Net((1, 4)).dense(4, 4).finish(), narrow)


def test_computed_weights() -> None:
    builder = GraphBuilder("dynamic")
    quant = QuantParams((0.25, 0.25), (0, 0), 1, 8, True)
    x = builder.input("x", TensorType(DType.U8, (1, 3), CODES))
    w = builder.input("w", TensorType(DType.I8, (3, 2), quant))
    b = builder.constant(np.zeros(2, np.int32), "b")
    y = builder.add(QMatMul(full_range(CODES)), [x, w, b], "y", ["/matmul"])
    with pytest.raises(UnsupportedError, match="arrays hold constant weights only"):
        tile(builder.finish([y], ["y"]), load_target("tiny"))


@pytest.mark.parametrize(
    ("name", "k", "n", "parts", "arrays"),
    [
        # 16 x 16 arrays: three cores of 96, though four of 64 would take less arrays.
        ("isaac", 2048, 512, 3, 96),
        # 9 x 16 arrays: two cores of 72. Ranges of inputs would take two as well, and be summed.
        ("isaac", 1152, 512, 2, 72),
        # Where cores start row blocks one by one arrays count: 16 x 12, four cores of 48 or three.
        ("pimcomp", 2048, 1536, 3, 64),
    ],
)
def test_parts_take_cores_for_as_short_as_they_can(
    name: str, k: int, n: int, parts: int, arrays: int
) -> None:
    plan = _op(tile(_Net((1, k)).dense(k, n).finish(), load_target(name)), "y1").plan
    assert len(plan.shards) == len(plan.cores()) == parts
    assert max(len({t.array for t in shard.matrix.tiles}) for shard in plan.shards) == arrays
    assert len({(shard.c0, shard.c1) for shard in plan.shards}) == 1


def test_accumulator_of_a_very_long_product() -> None:
    builder = GraphBuilder("long")
    x = builder.input("x", TensorType(DType.U8, (1, 70_000), CODES))
    w = builder.constant(
        np.full((70_000, 1), 127, np.int8), "w", QuantParams((1.0,), (0,), 1, 8, True)
    )
    b = builder.constant(np.zeros(1, np.int32), "b")
    y = builder.add(QMatMul(full_range(CODES)), [x, w, b], "y", ["/matmul"])
    with pytest.raises(UnsupportedError, match="accumulators have 32 bits"):
        tile(builder.finish([y], ["y"]), load_target("isaac"))


def test_verify_lists_what_is_wrong() -> None:
    tiled = tile(_Net((1, 8)).dense(8, 8).dense(8, 8).finish(), load_target("isaac"))
    nodes = list(tiled.graph.nodes)
    first, second = _op(tiled, "y1"), nodes[2]
    nodes[2] = replace(second, op=first)  # on the cells of the first product
    shifted = replace(first.plan.shards[0], n0=1)
    nodes[1] = replace(nodes[1], op=replace(first, plan=replace(first.plan, shards=(shifted,))))
    broken = replace(tiled, graph=replace(tiled.graph, nodes=tuple(nodes)), cores={})
    with pytest.raises(VerificationError) as caught:
        broken.verify()
    text = str(caught.value)
    assert "/quantize: no core" in text
    assert "/product_1: outputs 0..1 are in no shard or in two" in text
    assert "/product_2: cells of core 0 are taken" in text


def test_pass_needs_a_target() -> None:
    graph = _Net((1, 8)).dense(8, 8).finish()
    with pytest.raises(InputError, match="--target"):
        Tile().run(graph, PassContext())
    done = Tile().run(graph, PassContext(load_target("tiny")))
    Tile().ensures(done)
    with pytest.raises(VerificationError, match="/product_1"):
        Tile().ensures(graph)


def test_negative_spread() -> None:
    with pytest.raises(ValueError, match="must be 0"):
        Tile(spread=-1)
