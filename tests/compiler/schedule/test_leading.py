"""Whose rows an operation follows, and how many rounds of windows runs take."""

from __future__ import annotations

from imcc.compiler.ir import GraphBuilder, QuantParams, TensorType
from imcc.compiler.ir.graph import Graph
from imcc.compiler.ir.ops.quantized import QConcat
from imcc.compiler.ir.ops.rows import Box
from imcc.compiler.ir.ops.shape import Transpose
from imcc.compiler.ir.types import DType
from imcc.compiler.schedule.leading import Ways, least_busy

CODES = QuantParams((0.5,), (3,))
SAME = Transpose((0, 1, 2, 3))


def joined(order: tuple[str, ...]) -> Graph:
    """A map `near`, two branches that are made of it, and these behind each other."""
    builder = GraphBuilder("ways")
    x = builder.input("x", TensorType(DType.U8, (1, 2, 4, 4), CODES))
    values = {"near": builder.add(SAME, [x], "near")}
    values["left"] = builder.add(SAME, [values["near"]], "left")
    values["right"] = builder.add(SAME, [values["near"]], "right")
    cat = builder.add(QConcat(1, CODES), [values[name] for name in order], "cat")
    return builder.finish([cat], ["cat"])


def followed(order: tuple[str, ...]) -> list[str]:
    graph = joined(order)
    return [value.name for value in Ways.of(graph).long_first(graph.nodes[-1])]


def test_a_shortcut_is_not_followed() -> None:
    assert followed(("near", "left")) == ["left", "near"]
    assert followed(("left", "near")) == ["left", "near"]


def test_of_branches_the_first_is_followed() -> None:
    assert followed(("left", "right")) == ["left", "right"]
    assert followed(("right", "left")) == ["right", "left"]
    assert followed(("near", "right", "left")) == ["right", "left", "near"]


def test_a_value_read_twice_is_no_shortcut() -> None:
    assert followed(("left", "left")) == ["left", "left"]


def test_the_least_busy_of_the_cores_with_most_takes_the_work() -> None:
    graph = joined(("left", "right"))
    near, left, right = (graph.nodes[index].result for index in range(3))
    row: Box = ((0, 1),)
    three: Box = ((0, 3),)
    cores = {near.name: 5, left.name: 6, right.name: 7}
    found = [(near, three, three), (left, three, three), (right, row, row)]
    assert least_busy(found, cores, {5: 2.0, 6: 1.0, 7: 0.0}) == 6
    assert least_busy(found, cores, {5: 1.0, 6: 1.0, 7: 0.0}) == 5
