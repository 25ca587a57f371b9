"""How many arrays a network of depthwise convolutions takes with one weight a cell."""

from __future__ import annotations

from math import ceil, prod

import pytest
from support.topologies import topology

from imcc.compiler.check import check_model
from imcc.isa import Target, load_target


def _chip(size: int) -> Target:
    """Isaac with cells of 8 bits, arrays of size x size and memory for 224 x 224 pixels."""
    target = load_target("isaac")
    array = {"cell_bits": 8, "rows": size, "cols": size}
    return target.model_copy(
        update={
            "array": target.array.model_copy(update=array),
            "core": target.core.model_copy(update={"local_memory_kib": 16384}),
            "chip": target.chip.model_copy(update={"global_memory_mib": 4096}),
        }
    )


def _matrices() -> list[tuple[int, int, int]]:
    """Groups, rows and columns a group of every product of MobileNetV2."""
    model = topology("mobilenet_v2")
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    found = []
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm"):
            group = next((a.i for a in node.attribute if a.name == "group"), 1)
            outputs, *inputs = shapes[node.input[1]]
            found.append((group, prod(inputs), outputs // group))
    return found


@pytest.mark.parametrize(("size", "most"), [(128, 816), (256, 369)])
def test_mobilenet_v2_takes_no_more_than_an_array_a_rectangle(size: int, most: int) -> None:
    """A rectangle is a run of groups, or as much of an ordinary matrix as an array holds."""
    rectangles = 0
    for group, rows, cols in _matrices():
        run = max(1, min(size // rows, size // cols, group))
        blocks = ceil(group / run)
        rectangles += blocks * ceil(run * rows / size) * ceil(run * cols / size)
    assert rectangles == most
    (arrays,) = (
        n.needed
        for n in check_model(topology("mobilenet_v2"), _chip(size)).needs
        if n.what == "arrays"
    )
    assert arrays is not None
    assert arrays <= most
