"""Convolutions that compute several windows at once are what they were: graph and machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from support.random_networks import NetworkMaker, random_inputs

from imcc.compiler.backend import emit
from imcc.compiler.ir import Graph, Node, Value, evaluate, parse_graph, print_graph
from imcc.compiler.ir.ops.parallel_windows import QParallelConv, fits
from imcc.compiler.ir.ops.quantized import QConv
from imcc.compiler.mapping import TileOptions, tile
from imcc.compiler.mapping.unfold import with_parallel_windows
from imcc.compiler.schedule import ScheduleMode, memory_check, schedule
from imcc.compiler.schedule.sharing import sharing
from imcc.isa import load_target, validate
from imcc.isa.target import RequantMode, Target
from imcc.runtime import Machine

TARGETS = ("isaac", "dcim22", "neurram")
MOST = 4  # windows at once along an axis


class ConvolutionMaker(NetworkMaker):
    """Networks of which at least half of the operators are convolutions."""

    def _choose(self) -> Callable[[Value], Value]:
        return self._conv if self._rng.random() < 0.5 else super()._choose()


def roomy(name: str) -> Target:
    """A target whose cores hold every parallel window of small convolutions."""
    target = load_target(name)
    return target.model_copy(update={"core": target.core.model_copy(update={"arrays": 96})})


def unfoldable(node: Node) -> bool:
    op = node.op
    dense = isinstance(op, QConv) and op.group == 1 and set(op.dilations) == {1}
    return dense and node.result.type.rank < 5


def random_windows(graph: Graph, rng: np.random.Generator) -> Mapping[str, tuple[int, ...]]:
    """Some parallel windows for every convolution that can have any."""
    chosen = {}
    for node in filter(unfoldable, graph.nodes):
        positions = node.result.type.shape[2:]
        several = [p for p in np.ndindex(*(min(MOST, e) for e in positions)) if any(p)]
        allowed = [tuple(i + 1 for i in p) for p in several]
        allowed = [p for p in allowed if fits(positions, p)]
        if allowed:
            chosen[node.result.name] = allowed[int(rng.integers(len(allowed)))]
    return chosen


@pytest.mark.parametrize("name", TARGETS)
@given(
    seed=st.integers(0, 1 << 30),
    length=st.integers(1, 6),
    mode=st.sampled_from(RequantMode),
    weight_bits=st.sampled_from([2, 4, 8]),
    order=st.sampled_from(ScheduleMode),
)
@settings(max_examples=25, deadline=None)
def test_random_network(
    name: str, seed: int, length: int, mode: RequantMode, weight_bits: int, order: ScheduleMode
) -> None:
    target, rng = roomy(name), np.random.default_rng(seed)
    single = ConvolutionMaker(seed, mode, weight_bits).make(length)
    graph = with_parallel_windows(single, random_windows(single, rng))
    inputs = random_inputs(graph, 3, seed)
    whole = evaluate(single, inputs)["output"]
    np.testing.assert_array_equal(evaluate(graph, inputs)["output"], whole)
    fitting = memory_check(graph, target, order)
    tiled = tile(graph, target, TileOptions(), fitting, sharing(order, target))
    tiled.verify()
    program = emit(schedule(tiled, order))
    validate(program)
    expected = evaluate(tiled.graph, inputs)["output"]
    np.testing.assert_array_equal(Machine(program).run(inputs)["output"], expected)
    if target.adc.bits == 0:
        np.testing.assert_array_equal(expected, whole)


def test_the_text_form_holds_parallel_windows() -> None:
    single = ConvolutionMaker(5, RequantMode.FLOAT24, 8).make(4)
    graph = with_parallel_windows(single, random_windows(single, np.random.default_rng(0)))
    assert any(isinstance(node.op, QParallelConv) for node in graph.nodes)
    text = print_graph(graph)
    assert print_graph(parse_graph(text, graph.constants)) == text
