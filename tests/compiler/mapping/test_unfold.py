"""Which parallel windows are chosen, and where none are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from imcc.compiler.ir import Graph, GraphBuilder, QuantParams, TensorType, Value
from imcc.compiler.ir.ops.parallel_windows import QParallelConv
from imcc.compiler.ir.ops.quantized import QConv
from imcc.compiler.ir.requant import full_range
from imcc.compiler.ir.types import DType
from imcc.compiler.mapping import AdcPolicy, KernelUnfolding, TileOptions, summary
from imcc.compiler.mapping.unfold import unfold
from imcc.compiler.mapping.unfolding import Convolution, vw_sdk
from imcc.compiler.schedule import ScheduleMode, map_for
from imcc.compiler.schedule.sharing import sharing
from imcc.isa import load_target
from imcc.isa.target import Target

CODES = QuantParams((0.5,), (3,))


def chip(rows: int, cols: int, *, arrays: int = 16, cores: int = 1, name: str = "dcim22") -> Target:
    """A target with other arrays, of which each core has so many."""
    base = load_target(name)
    return base.model_copy(
        update={
            "array": base.array.model_copy(update={"rows": rows, "cols": cols}),
            "core": base.core.model_copy(update={"arrays": arrays}),
            "chip": base.chip.model_copy(update={"mesh_rows": 1, "mesh_cols": cores}),
        }
    )


def add_convolution(
    builder: GraphBuilder, x: Value, outputs: int, kernel: tuple[int, ...], bits: int, op: QConv
) -> Value:
    shape = (outputs, x.type.shape[1] // op.group, *kernel)
    top = (1 << (bits - 1)) - 1
    weights = np.random.default_rng(0).integers(-top, top + 1, shape).astype(np.int8)
    scales = QuantParams((0.25,) * outputs, (0,) * outputs, 0, bits, True)
    w = builder.constant(weights, "w", scales)
    b = builder.constant(np.zeros(outputs, np.int32), "b")
    return builder.add(op, [x, w, b], "y", ["/conv"])


def convolution(
    x_shape: tuple[int, ...],
    outputs: int,
    kernel: tuple[int, ...] = (3, 3),
    bits: int = 8,
    *,
    strides: tuple[int, ...] | None = None,
    pads: tuple[int, ...] | None = None,
    dilation: int = 1,
    group: int = 1,
) -> Graph:
    """One convolution; without other strides and pads it keeps the extents of its input."""
    builder = GraphBuilder("one")
    x = builder.input("x", TensorType(DType.U8, x_shape, CODES))
    rank = len(kernel)
    pads = pads or tuple(k // 2 for k in kernel) * 2
    strides = strides or (1,) * rank
    op = QConv(strides, pads, (dilation,) * rank, group, full_range(CODES))
    return builder.finish([add_convolution(builder, x, outputs, kernel, bits, op)], ["y"])


def chosen(graph: Graph, target: Target, mode: ScheduleMode = ScheduleMode.LAYERS,
           options: TileOptions | None = None) -> tuple[int, ...] | None:  # fmt: skip
    """The parallel windows of the one convolution, None where it has one window at a time."""
    found = unfold(graph, target, options or TileOptions(), sharing(mode, target))
    if found is graph:
        return None
    (op,) = (node.op for node in found.nodes)
    assert isinstance(op, QParallelConv)
    return op.parallel


@pytest.mark.parametrize(
    ("image", "inputs", "outputs", "published"),
    [(54, 64, 64, (4, 4)), (26, 128, 128, (4, 4)), (222, 3, 64, (3, 10))],
)
def test_layers_of_vw_sdk(
    image: int, inputs: int, outputs: int, published: tuple[int, int]
) -> None:
    """Arrays of 512 x 512 weights, as in VW-SDK's tables (arXiv 2112.11282): no padding."""
    side = image + 2
    graph = convolution((1, inputs, side, side), outputs, pads=(0, 0, 0, 0))
    paper = vw_sdk(Convolution((side, side), (3, 3), inputs, outputs), 512, 512)
    assert (paper.rows, paper.cols) == published
    target = chip(512, 512 * 8)  # eight cells a weight
    assert chosen(graph, target) == (published[0] - 2, published[1] - 2)
    tiled = map_for(graph, target, TileOptions(), ScheduleMode.LAYERS)
    (layer,) = summary(tiled)
    places = -(-image // layer.windows[0]) * -(-image // layer.windows[1])
    assert layer.arrays * places == paper.cycles
    assert layer.weights == 9 * inputs * outputs


def test_a_kernel_that_fills_the_columns_stays() -> None:
    assert chosen(convolution((1, 32, 16, 16), 32), chip(288, 256)) is None


def test_more_rows_than_are_free_are_not_worth_it() -> None:
    """Two windows in twice the arrays are no better than two copies."""
    graph = convolution((1, 32, 16, 16), 16)
    assert chosen(graph, chip(384, 256)) == (1, 2)
    assert chosen(graph, chip(383, 256)) is None


def test_few_bits_leave_room_for_more_windows() -> None:
    target = chip(256, 256)
    found: Mapping[int, tuple[int, ...] | None] = {
        bits: chosen(convolution((1, 16, 32, 32), 16, bits=bits), target) for bits in (8, 4)
    }
    assert found == {8: (1, 2), 4: (2, 2)}


def test_strides_count() -> None:
    """Windows two columns apart need two columns more, not one."""
    graph = convolution((1, 16, 32, 32), 16, strides=(2, 2))
    assert chosen(graph, chip(3 * 5 * 16, 256)) == (1, 2)
    assert chosen(graph, chip(3 * 5 * 16 - 1, 256)) is None


@pytest.mark.parametrize(("group", "dilation"), [(16, 1), (1, 2)])
def test_groups_and_holes_stay(group: int, dilation: int) -> None:
    graph = convolution((1, 16, 32, 32), 16, group=group, dilation=dilation)
    assert chosen(graph, chip(256, 256)) is None


def test_volumes_stay_and_signals_do_not() -> None:
    assert chosen(convolution((1, 2, 8, 8, 8), 4, (3, 3, 3)), chip(256, 256)) is None
    assert chosen(convolution((1, 8, 64), 8, (5,)), chip(256, 256)) == (4,)


def test_the_last_window_of_a_row_may_be_partial() -> None:
    """29 columns are eight places of four, as 32 are."""
    target = chip(256, 256)
    assert chosen(convolution((1, 4, 29, 29), 8, (3, 3)), target) == (1, 4)
    assert chosen(convolution((1, 4, 32, 32), 8, (3, 3)), target) == (1, 4)


@pytest.mark.parametrize("mode", [ScheduleMode.LATENCY, ScheduleMode.THROUGHPUT])
def test_where_rows_stream(mode: ScheduleMode) -> None:
    graph = convolution((1, 16, 64, 64), 16)
    assert chosen(graph, chip(256, 256, cores=4), mode) == (1, 2)


def test_im2col_can_be_asked_for() -> None:
    graph, target = convolution((1, 16, 32, 32), 16), chip(256, 256)
    options = TileOptions(unfolding=KernelUnfolding.IM2COL)
    windows = [
        summary(map_for(graph, target, each, ScheduleMode.LAYERS))[0].windows
        for each in (TileOptions(), options)
    ]
    assert windows == [(1, 2), (1, 1)]


def test_a_network_in_stages_stays() -> None:
    """Its cells are written for every input, and parallel windows have more of them."""
    builder = GraphBuilder("many")
    value = builder.input("x", TensorType(DType.U8, (1, 16, 32, 32), CODES))
    op = QConv((1, 1), (1, 1, 1, 1), (1, 1), 1, full_range(CODES))
    for _ in range(4):
        value = add_convolution(builder, value, 16, (3, 3), 8, op)
    graph = builder.finish([value], ["y"])
    for arrays, windows in ((4, (1, 2)), (1, (1, 1))):
        tiled = map_for(graph, chip(256, 256, arrays=arrays), TileOptions(), ScheduleMode.LAYERS)
        assert {layer.windows for layer in summary(tiled)} == {windows}
    assert tiled.stage_count > 1


@pytest.mark.parametrize("policy", AdcPolicy)
def test_converters_never_become_coarser(policy: AdcPolicy) -> None:
    """Offset cells of structural zeros are half full, so that a column holds more."""
    graph, options = convolution((1, 16, 32, 32), 8), TileOptions(policy)
    target = chip(256, 256, name="isaac")
    single = map_for(graph, target, replace(options, unfolding=KernelUnfolding.IM2COL),
                     ScheduleMode.LAYERS)  # fmt: skip
    several = map_for(graph, target, options, ScheduleMode.LAYERS)
    (before,), (after,) = summary(single), summary(several)
    assert all(a <= b for a, b in zip(after.adc_steps, before.adc_steps, strict=True))
    assert after.lossless >= before.lossless
