"""Which rows of other products the rows of a product are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from imcc.compiler.driver import compile_model
from imcc.compiler.ir.graph import Graph
from imcc.compiler.ir.ops.quantized import QConv, QMatMul
from imcc.compiler.mapping.flow import Flow
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule.room import row_axes
from imcc.compiler.schedule.row_flow import row_flow

MODELS = Path(__file__).parents[3] / "models"


def flow_of(name: str) -> tuple[Graph, list[str], Flow]:
    """The quantized graph of a bundled model, its products and their flow."""
    graph = compile_model(MODELS / f"{name}.onnx", "isaac", CompileOptions()).quantized
    products = [n.result.name for n in graph.nodes if isinstance(n.op, QConv | QMatMul)]
    return graph, products, row_flow(graph, products, row_axes(graph))


def test_lenet_reads_windows_and_pooled_rows() -> None:
    """28 rows, 5x5 with a border of 2; pooled by 2; 5x5 without a border on those; then 1 each."""
    _, products, flow = flow_of("fmnist_lenet")
    assert flow.rows == (28, 10, 1, 1, 1)
    assert len(products) == 5
    assert flow.reads[0] == ()
    (second,) = flow.reads[1]
    np.testing.assert_array_equal(second.last, 2 * (np.arange(10) + 4) + 1)
    (third,) = flow.reads[2]
    assert third.last.tolist() == [9]


def test_a_residual_sum_is_read_from_both_its_sides() -> None:
    """Of two products that are added the later one is there last; both count."""
    graph, _, flow = flow_of("fmnist_resnet8")
    sums = [node for node in graph.nodes if type(node.op).__name__ == "QAdd"]
    assert len(sums) == 3
    several = [reads for reads in flow.reads if len(reads) > 1]
    assert several
    for reads in several:
        first, *others = (read.last for read in reads)
        for other in others:
            np.testing.assert_array_equal(first, other)


def test_rows_read_no_more_than_their_product_has() -> None:
    for name in ("fmnist_lenet", "fmnist_resnet8", "fmnist_mobilenet"):
        _, _, flow = flow_of(name)
        for number, reads in enumerate(flow.reads):
            for read in reads:
                assert read.source < number
                assert len(read.last) == flow.rows[number]
                assert (np.diff(read.last) >= 0).all()
                assert 0 <= read.last[0] <= read.last[-1] < flow.rows[read.source]
