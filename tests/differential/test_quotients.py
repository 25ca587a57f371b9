"""Quotients of two computed values: four definitions of each."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from support.four_definitions import float_graph, run_everywhere

from imcc.compiler.ir import GraphBuilder, Value
from imcc.compiler.ir.ops.binary import Div
from imcc.compiler.ir.ops.math import Function, Math
from imcc.compiler.ir.ops.unary import Affine, Relu
from imcc.isa.target import RequantMode

SHAPES = [
    ((1, 5, 6, 4), (1, 5, 6, 4)),
    ((1, 5, 6, 4), (1, 1, 6, 1)),
    ((1, 5, 1, 4), (1, 5, 6, 1)),
    ((1, 9), (1, 1)),
    ((1, 2, 3, 2, 3, 2, 3, 2), (1, 2, 1, 2, 3, 1, 3, 2)),  # more axes than a stream has
]


def quotient(builder: GraphBuilder, inputs: Sequence[Value]) -> Value:
    """``x0 / (softplus(x1) + 0.3)``: the divisor is never 0."""
    above = builder.add(Math(Function.SOFTPLUS), [inputs[1]], "above")
    divisor = builder.add(Affine(1.0, 0.3), [above], "divisor")
    return builder.add(Div(), [inputs[0], divisor], "y", ["Div_0"])


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("mode", [RequantMode.FLOAT24, RequantMode.FIXED])
def test_machine_equals_the_graph(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], mode: RequantMode
) -> None:
    results = run_everywhere(float_graph(shapes, quotient), mode)
    assert results.differences <= 2
    assert results.sqnr > 34


def test_a_clip_behind_it_is_in_its_output_stage() -> None:
    def clipped(builder: GraphBuilder, inputs: Sequence[Value]) -> Value:
        return builder.add(Relu(), [quotient(builder, inputs)], "relu")

    results = run_everywhere(float_graph([(1, 30), (1, 30)], clipped))
    assert [n.op.name for n in results.quantized.nodes][-2:] == ["qdiv", "dequantize"]
    assert results.differences <= 1


def test_bands_of_a_large_quotient() -> None:
    """Its quotients, four bytes each, do not fit the memory of a core at once."""
    shapes = [(1, 12, 72, 64), (1, 12, 72, 64)]
    results = run_everywhere(float_graph(shapes, quotient), targets=("dcim22",))
    assert results.differences <= 30
