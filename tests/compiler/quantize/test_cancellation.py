"""Sums whose terms cancel get steps that their scale words can hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from support.four_definitions import float_graph, run_everywhere, samples_of

from imcc.compiler.ir import GraphBuilder, Value, evaluate
from imcc.compiler.ir.ops.binary import Add, Sub
from imcc.compiler.ir.ops.unary import Affine
from imcc.compiler.quantize import Options
from imcc.compiler.quantize.quantize import calibrate_activations
from imcc.isa.target import RequantMode


def cancels(builder: GraphBuilder, inputs: Sequence[Value]) -> Value:
    """``(x + (1 - x)) - 1``, which is rounding errors of float32."""
    (x,) = inputs
    opposite = builder.add(Affine(-1.0, 1.0), [x], "opposite")
    rest = builder.add(Add(), [x, opposite], "rest")
    one = builder.constant(np.ones((1, 1), np.float32), "one")
    return builder.add(Sub(), [rest, one], "y")


@pytest.mark.parametrize("mode", [RequantMode.FLOAT24, RequantMode.FIXED])
def test_machine_equals_the_graph(mode: RequantMode) -> None:
    results = run_everywhere(float_graph([(1, 40)], cancels), mode)
    assert results.differences == 0 or mode is RequantMode.FIXED


@pytest.mark.parametrize(("bits", "ratio"), [(24, 2**14), (8, 2**6)])
def test_steps_are_a_fixed_part_of_the_operands(bits: int, ratio: int) -> None:
    graph = float_graph([(1, 40)], cancels)
    inputs = samples_of(graph)
    assert 0 < np.abs(evaluate(graph, inputs)["y"]).max() < 1e-6
    params = calibrate_activations(graph, [inputs], Options(multiplier_bits=bits))
    assert params["y"].scale[0] == params["rest"].scale[0] / ratio
