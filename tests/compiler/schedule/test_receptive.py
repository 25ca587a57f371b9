"""Parts of windows that windows are made of, against sets of windows followed one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from onnx import NodeProto
from support.onnx_models import i64, model, node

from imcc.compiler.driver import compile_model
from imcc.compiler.ir import Array
from imcc.compiler.ir.graph import Graph, Node
from imcc.compiler.ir.ops.quantized import QConv, QMatMul
from imcc.compiler.ir.ops.quantized_pooling import QGlobalAveragePool
from imcc.compiler.ir.ops.shape import Reshape, Slice
from imcc.compiler.mapping.dependence import Reach
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode
from imcc.compiler.schedule.receptive import reach
from imcc.compiler.schedule.window import product_of, window_of, windows_at_once

MODELS = Path(__file__).parents[3] / "models"
CHANNELS = 2

Made = NDArray[np.bool_]  # by row and column of a value: the windows of all products


def is_product(node: Node) -> bool:
    return isinstance(product_of(node.op), QConv | QMatMul)


def products(graph: Graph) -> list[str]:
    return [node.results[0].name for node in graph.nodes if is_product(node)]


def counted(graph: Graph) -> Reach:
    """What `reach` bounds, of every window on its own; for convolutions, poolings and the like."""
    nodes = [node for node in graph.nodes if is_product(node)]
    starts = np.concatenate([[0], np.cumsum([own_windows(node).max() + 1 for node in nodes])])
    made = {value.name: np.zeros((1, 1, starts[-1]), np.bool_) for value in graph.inputs}
    heads, tails = np.zeros((2, len(nodes), len(nodes)))
    for step in graph.nodes:
        operands = [made[v.name] for v in step.operands if v.name in made]
        found = read(step, operands)
        if is_product(step):
            number, own = nodes.index(step), own_windows(step)
            windows = np.array([found[own == w].any(axis=0) for w in range(own.max() + 1)])
            for j in range(number):
                of = windows[:, starts[j] : starts[j + 1]]
                heads[j, number] = of.mean(axis=1).min()
                tails[j, number] = of.mean(axis=0).min()
            found = windows[own]
            rows, columns = np.indices(own.shape)
            found[rows, columns, starts[number] + own] = True
        made[step.result.name] = found
    return Reach(heads, tails)


def own_windows(node: Node) -> NDArray[np.int64]:
    """The number of the window that makes each place of a product."""
    rows, columns = (*node.result.type.shape[2:], 1, 1)[:2]
    high, wide = (*windows_at_once(node), 1, 1)[:2]
    across = -(-columns // wide)
    return np.arange(rows)[:, None] // high * across + np.arange(columns) // wide


def read(node: Node, operands: Sequence[Made]) -> Made:
    window = window_of(node)
    if window is not None:
        return under_windows(node, operands[0])
    if isinstance(product_of(node.op), QGlobalAveragePool | Reshape | QMatMul):
        return np.asarray(operands[0].any(axis=(0, 1), keepdims=True))
    return np.asarray(np.logical_or.reduce(np.broadcast_arrays(*operands)))


def under_windows(node: Node, x: Made) -> Made:
    window, (rows, columns) = window_of(node), node.result.type.shape[2:]
    assert window is not None
    x = np.broadcast_to(x, (*node.operands[0].type.shape[2:], x.shape[2]))
    found = np.zeros((rows, columns, x.shape[2]), np.bool_)
    for place in np.ndindex(rows, columns):
        for tap in np.ndindex(*window.kernel):
            row, column = (
                p * s + t * d - b
                for p, s, t, d, b in zip(
                    place, window.strides, tap, window.dilations, window.before, strict=True
                )
            )
            if 0 <= row < x.shape[0] and 0 <= column < x.shape[1]:
                found[place] |= x[row, column]
    return found


class Network:
    """Operators behind each other; each gives the name of its result."""

    def __init__(self, rows: int, columns: int) -> None:
        self._shape = [1, CHANNELS, rows, columns]
        self._nodes: list[NodeProto] = []
        self.weights: dict[str, Array] = {}

    def _name(self) -> str:
        return f"v{len(self._nodes)}"

    def conv(
        self,
        x: str,
        kernel: Sequence[int],
        pads: Sequence[int],
        stride: int = 1,
        dilation: int = 1,
        channels: int = CHANNELS,
    ) -> str:
        name = self._name()
        random = np.random.default_rng(len(self._nodes))
        shape = (CHANNELS, channels, *kernel)
        self.weights[f"w{name}"] = random.standard_normal(shape, np.float32)
        self._nodes.append(
            node(
                "Conv",
                f"{x} w{name}",
                name,
                pads=[*pads, *pads],
                strides=[stride] * 2,
                dilations=[dilation] * 2,
            )
        )
        return name

    def same(self, x: str, kernel: int = 3, **more: int) -> str:
        return self.conv(x, (kernel, kernel), (kernel // 2, kernel // 2), **more)

    def add(self, kind: str, inputs: str, **attributes: object) -> str:
        name = self._name()
        self._nodes.append(node(kind, inputs, name, **attributes))
        return name

    def graph(self, y: str) -> Graph:
        self._nodes.append(node("Identity", y, "y"))
        proto = model(self._nodes, {"x": self._shape}, self.weights)
        return compile_model(proto, "isaac", CompileOptions(), "random").quantized


def found_in(network: Network, y: str) -> Reach:
    graph = network.graph(y)
    return reach(graph, products(graph))


@pytest.mark.parametrize(("pad", "head", "tail"), [(1, 4 / 64, 4 / 64), (0, 9 / 64, 1 / 36)])
def test_the_corner_of_a_convolution(pad: int, head: float, tail: float) -> None:
    """In a corner a window has four elements below it, or without padding an element one window."""
    net = Network(8, 8)
    found = found_in(net, net.conv(net.same("x"), (3, 3), (pad, pad)))
    assert found.heads[0, 1] == pytest.approx(head)
    assert found.tails[0, 1] == pytest.approx(tail)


def test_windows_that_cover_all() -> None:
    net = Network(4, 4)
    y = net.same("x")
    for _ in range(3):
        y = net.same(y)
    found = found_in(net, y)
    assert found.heads[0].tolist() == [0, 4 / 16, 9 / 16, 1]
    assert found.tails[:, 3].tolist() == [1, 9 / 16, 4 / 16, 0]


def test_all_is_read_behind_a_mean() -> None:
    net = Network(6, 5)
    y = net.add("GlobalAveragePool", net.same("x"))
    found = found_in(net, net.conv(y, (1, 1), (0, 0)))
    assert (found.heads[0, 1], found.tails[0, 1]) == (1, 1)


def test_nothing_follows_from_windows_that_nobody_reads() -> None:
    """Every other row and column."""
    net = Network(8, 8)
    found = found_in(net, net.conv(net.same("x"), (1, 1), (0, 0), stride=2))
    assert found.heads[0, 1] == pytest.approx(1 / 64)
    assert found.tails[0, 1] == 0


def test_a_sum_is_made_of_the_longer_way() -> None:
    net = Network(8, 8)
    first = net.same("x")
    y = net.add("Add", f"{first} {net.same(net.same(first))}")
    found = found_in(net, net.conv(y, (1, 1), (0, 0)))
    assert found.heads[0, 3] == pytest.approx(9 / 64)


def test_of_two_boxes_that_cross_one_is_kept() -> None:
    """In a corner 2 of the 3 windows under both: their union is no box."""
    net = Network(8, 8)
    first = net.same("x")
    crossed = f"{net.conv(first, (1, 3), (0, 1))} {net.conv(first, (3, 1), (1, 0))}"
    y = net.add("Concat", crossed, axis=1)
    found = found_in(net, net.conv(y, (1, 1), (0, 0), channels=2 * CHANNELS))
    assert found.heads[0, 3] == pytest.approx(2 / 64)


@pytest.mark.parametrize(("branches", "heads"), [(1, [4 / 36]), (2, [0, 0])])
def test_a_part_of_the_channels(branches: int, heads: list[float]) -> None:
    """Each channel of a product is made of all; of branches that are joined, of one of them."""
    net = Network(6, 6)
    y = net.same("x")
    if branches > 1:
        y = net.add("Concat", f"{y} {net.same('x')}", axis=1)
    net.weights |= {"start": i64([0]), "end": i64([1]), "axis": i64([1])}
    first = net.add("Slice", f"{y} start end axis")
    graph = net.graph(net.same(first, channels=1))
    assert any(isinstance(node.op, Slice) for node in graph.nodes)
    assert reach(graph, products(graph)).heads[:-1, -1].tolist() == pytest.approx(heads)


kernels = st.sampled_from([(1, 1), (3, 3), (2, 2), (1, 3), (3, 1), (5, 1)])


@st.composite
def chains(draw: st.DrawFn, branches: bool) -> Graph:
    net = Network(draw(st.integers(7, 9)), draw(st.integers(7, 9)))

    def conv(x: str) -> str:
        """The map keeps its extents, so that results can be added."""
        kernel = draw(st.sampled_from([(1, 1), (3, 3), (1, 3), (3, 1), (5, 5), (1, 5)]))
        return net.conv(x, kernel, (kernel[0] // 2, kernel[1] // 2))

    y = conv("x")
    for _ in range(draw(st.integers(1, 3))):
        match draw(st.sampled_from(["conv", "stride", "dilated", "pool", "branch"])):
            case "stride":
                y = net.conv(y, draw(kernels), (0, 0), stride=2) if draw(st.booleans()) else conv(y)
            case "dilated":
                y = net.conv(y, (2, 2), (1, 1), dilation=2)
            case "pool":
                y = net.add("MaxPool", y, kernel_shape=[2, 2], strides=[1, 1], pads=[0, 0, 1, 1])
            case "branch" if branches:
                left, right = conv(conv(y)), conv(y) if draw(st.booleans()) else y
                y = net.add("Add", f"{left} {right}")
            case _:
                y = conv(y)
    return net.graph(conv(y))


@settings(max_examples=15, deadline=None)
@given(chains(branches=False))
def test_along_a_chain_parts_are_exact(graph: Graph) -> None:
    found, expected = reach(graph, products(graph)), counted(graph)
    np.testing.assert_allclose(found.heads, expected.heads)
    np.testing.assert_allclose(found.tails, expected.tails)


@settings(max_examples=15, deadline=None)
@given(chains(branches=True))
def test_with_branches_parts_are_not_overstated(graph: Graph) -> None:
    found, expected = reach(graph, products(graph)), counted(graph)
    assert (found.heads <= expected.heads + 1e-12).all()
    assert (found.tails <= expected.tails + 1e-12).all()


@pytest.mark.parametrize(
    ("network", "target"), [("fmnist_resnet8", "neurram"), ("fmnist_lenet", "isaac")]
)
def test_parallel_windows_count_once(network: str, target: str) -> None:
    options = CompileOptions(schedule=ScheduleMode.LATENCY)
    tiled = compile_model(MODELS / f"{network}.onnx", target, options).tiled
    found, expected = reach(tiled.graph, products(tiled.graph)), counted(tiled.graph)
    assert (found.heads <= expected.heads + 1e-12).all()
    assert (found.tails <= expected.tails + 1e-12).all()
    assert (found.heads > 0).sum() == (expected.heads > 0).sum()
