"""What products with arrays of their own ask for."""

from __future__ import annotations

from pathlib import Path

from imcc.compiler.driver import compile_model
from imcc.compiler.ir.ops.quantized import QConv, QMatMul
from imcc.compiler.mapping.overlapping import Fetch, Grain, Overlapping
from imcc.compiler.mapping.shares import Footprint
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule.sharing import sharing_apart
from imcc.isa import load_target

MODELS = Path(__file__).parents[3] / "models"


def test_only_who_reads_the_input_fetches_it_from_global_memory() -> None:
    """28 x 28 codes; a window of five has four rows and columns that its neighbour has too."""
    target = load_target("isaac")
    graph = compile_model(MODELS / "fmnist_lenet.onnx", "isaac", CompileOptions()).quantized
    products = [n.result.name for n in graph.nodes if isinstance(n.op, QConv | QMatMul)]
    held = dict.fromkeys(products, Footprint(1, 1, 10.0))
    first, *others = sharing_apart(target, Grain())(graph, held).products
    assert isinstance(first, Overlapping)
    cycles = 28 * 28 / target.timing.global_bytes_per_cycle
    assert first.fetch == Fetch(cycles * 1000 / target.timing.clock_mhz, 4.0, 4.0)
    assert all(isinstance(one, Overlapping) and one.fetch == Fetch() for one in others)
