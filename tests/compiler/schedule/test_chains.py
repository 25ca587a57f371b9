"""Operators behind a product that are none: they have its runs of rows."""

from __future__ import annotations

from collections import Counter

import pytest
from support.onnx_models import model, node, weights

from imcc.compiler.driver import compile_model
from imcc.compiler.mapping.runs import MOST_RUNS
from imcc.compiler.options import CompileOptions
from imcc.compiler.schedule import ScheduleMode
from imcc.isa import load_target


def test_a_chain_of_operators_has_the_runs_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imcc.compiler.driver.may_go_apart", lambda *_: False)
    tokens = 45  # in runs of two, and not of one and a half, which were as many as may be
    nodes = [
        node("MatMul", "x w", "a"),
        node("Softmax", "a", "b", axis=-1),
        node("Sigmoid", "b", "c"),
        node("Softmax", "c", "y", axis=-1),
    ]
    proto = model(nodes, {"x": (1, tokens, 8)}, {"w": weights(8, 16)})
    options = CompileOptions(schedule=ScheduleMode.LATENCY)
    made = compile_model(proto, load_target("isaac"), options, "random")
    runs = Counter(block.whole for block in made.schedule.blocks.values())
    assert len(runs) == len(nodes)
    assert set(runs.values()) == {runs["a"]}
    assert tokens / 2 <= runs["a"] <= MOST_RUNS
