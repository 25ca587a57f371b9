"""Normalised rows against Python's integers and floats, and against onnxruntime."""

from __future__ import annotations

from math import sqrt

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper
from support.small_program import LocalInput, literal_result, small_program, stream_of, words

from imcc.isa import ElementType, Program, Space, validate
from imcc.isa.instructions import Norm
from imcc.runtime import Machine
from imcc.runtime.numerics import normalize

U8, I8, U16, I32 = ElementType.U8, ElementType.I8, ElementType.U16, ElementType.I32
LARGEST = (1 << 64) - 1


def by_hand(row: list[int], zero_point: int, epsilon: int, center: bool) -> list[int]:
    """The definition, with Python's exact integers and IEEE floats."""
    length = len(row)
    middle = sum(row) if center else length * zero_point
    distances = [length * x - middle for x in row]
    total = min(sum(d * d for d in distances) + epsilon, LARGEST)
    if total == 0:
        return [0] * length
    factor = 65536.0 / sqrt(float(total) / float(length))
    return [round(float(d) * factor) for d in distances]


def parameters(zero_point: int, epsilon: int) -> np.ndarray:
    return np.array([zero_point, epsilon & 0xFFFFFFFF, epsilon >> 32], np.int64)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("length", [1, 2, 7, 64, 1000])
@pytest.mark.parametrize("epsilon", [0, 1, 12_345_678, 1 << 40, 1 << 63, LARGEST])
def test_literal_rows(length: int, epsilon: int, center: bool) -> None:
    rng = np.random.default_rng(length)
    rows = rng.integers(0, 256, (6, length))
    rows[0] = 77  # no variance, and nothing but the zero point
    rows[1] = np.where(np.arange(length) % 2, 255, 0)
    expected = [by_hand(row, 77, epsilon, center) for row in rows.tolist()]
    assert normalize(rows, parameters(77, epsilon), center).tolist() == expected


@pytest.mark.parametrize(("kind", "length"), [(U8, 32768), (U16, 1290)])
@pytest.mark.parametrize("center", [False, True])
def test_the_longest_rows_are_exact(kind: ElementType, length: int, center: bool) -> None:
    """Sums of squares come near 2^61 and 2^63."""
    top = 255 if kind is U8 else 65535
    row = np.where(np.arange(length) < length // 2, 0, top)
    row[:5] = [1, 2, 3, 4, 5]
    expected = by_hand(row.tolist(), 0, 0, center)
    assert normalize(row[None], parameters(0, 0), center).tolist() == [expected]
    made = program(kind, 1, length, 0, 0, center)
    validate(made)
    given = row[None].astype(np.uint8 if kind is U8 else np.uint16)
    assert Machine(made).run({"x": given}, codes=True)["y"].tolist() == [expected]


def program(
    kind: ElementType, rows: int, length: int, zero_point: int, epsilon: int, center: bool
) -> Program:
    """A program that normalises [rows, length]."""
    source = 4 * rows * length
    streams = {
        0: stream_of(I32, 0, (rows, length)),
        1: stream_of(kind, source, (rows, length)),
        2: stream_of(I32, 0, (3,), space=Space.GLOBAL),
    }
    inputs = {"x": LocalInput(kind, rows * length, source)}
    constants = words(*parameters(zero_point, epsilon).tolist())
    return small_program([Norm(0, 1, 2, 1, int(center))], streams, inputs, constants)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("kind", [U8, I8])
def test_the_machine_in_both_forms(kind: ElementType, center: bool) -> None:
    rows, length, zero_point, epsilon = 5, 48, 100, 987_654_321_000
    made = program(kind, rows, length, zero_point, epsilon, center)
    validate(made)
    dtype = np.uint8 if kind is U8 else np.int8
    x = np.random.default_rng(3).integers(-128, 128, (7, rows * length)).astype(dtype)
    found = Machine(made, chunk=3, threads=1).run({"x": x}, codes=True)["y"]
    expected = [
        by_hand(row, zero_point, epsilon, center)
        for row in x.reshape(-1, length).astype(int).tolist()
    ]
    assert found.reshape(-1, length).tolist() == expected
    np.testing.assert_array_equal(literal_result(made, {"x": x}), found)


@pytest.mark.parametrize("scale", [0.002, 0.05, 3.0])
def test_it_is_layer_normalisation(scale: float) -> None:
    """Within half a unit, and the float32 of onnxruntime."""
    epsilon, length = 1e-5, 96
    codes = np.random.default_rng(4).integers(90, 140, (20, length))
    scaled = parameters(0, round(length**3 * epsilon / scale**2))
    found = normalize(codes, scaled, center=True) / 65536
    np.testing.assert_allclose(
        found, layer_normalization((codes * scale).astype(np.float32), epsilon), atol=2e-5
    )


def layer_normalization(x: np.ndarray, epsilon: float) -> np.ndarray:
    """What onnxruntime's LayerNormalization gives, without gain and offset."""
    node = helper.make_node("LayerNormalization", ["x", "one"], ["y"], epsilon=epsilon)
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("x", "one", "y")]
    graph = helper.make_graph([node], "one", infos[:2], infos[2:])
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (result,) = session.run(None, {"x": x, "one": np.ones(x.shape[-1], np.float32)})
    return np.asarray(result)
