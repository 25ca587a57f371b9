"""Parallel windows where rows stream: only programs that a play says end sooner have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from imcc.compiler.driver import compile_model
from imcc.compiler.ir.ops.parallel_windows import QParallelConv
from imcc.compiler.mapping import KernelUnfolding, TileOptions
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode, map_for
from imcc.isa import load_target
from imcc.runtime import profile

MODELS = Path(__file__).parents[3] / "models"


@pytest.mark.parametrize(
    ("network", "target", "mode", "several"),
    [
        ("fmnist_resnet8", "neurram", ScheduleMode.LATENCY, True),
        ("fmnist_lenet", "isaac", ScheduleMode.THROUGHPUT, False),
    ],
)
def test_the_faster_program_is_taken(
    network: str,
    target: str,
    mode: ScheduleMode,
    several: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The estimate likes parallel windows for both, and the second would be slower with them.

    Of programs for inputs in turn; those whose inputs overlap follow the estimate.
    """
    monkeypatch.setattr("imcc.compiler.driver.may_go_apart", lambda *_: False)
    single, chosen = (
        compile_model(
            MODELS / f"{network}.onnx", target, CompileOptions(schedule=mode, unfolding=unfolding)
        )
        for unfolding in (KernelUnfolding.IM2COL, KernelUnfolding.AUTO)
    )
    estimated = map_for(chosen.quantized, load_target(target), TileOptions(), mode)
    assert estimated.has_parallel_windows
    assert chosen.tiled.has_parallel_windows is several
    assert not single.tiled.has_parallel_windows
    times = [profile(one.program).latency_us for one in (single, chosen)]
    assert times[1] < times[0] if several else times[1] == times[0]


def test_parts_of_rows_and_strips_keep_whole_windows() -> None:
    """Runs of rows and strips of columns begin where parallel windows do."""
    options = CompileOptions(schedule=ScheduleMode.LATENCY)
    compilation = compile_model(MODELS / "fmnist_resnet8.onnx", "neurram", options)
    blocks, found = compilation.schedule.blocks, 0
    for node in compilation.schedule.graph.nodes:
        product = getattr(node.op, "product", None)
        if isinstance(product, QParallelConv) and node.result.name in blocks:
            block = blocks[node.result.name]
            for axis, start in zip(block.axes, block.starts, strict=True):
                assert start % product.parallel[axis - 2] == 0
                found += 1
    assert found > 0
