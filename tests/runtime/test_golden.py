"""Exact comparison of arrays, and traces of literal runs."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import pytest
from support.hand_program import hand_program

from imcc.runtime import Machine
from imcc.runtime.golden import Comparison, compare
from imcc.runtime.trace import Trace, trace

INPUTS = {"x": np.array([[3, 250, 0, 17], [1, 2, 3, 4]], np.uint8)}


def test_equal_arrays() -> None:
    codes = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    found = compare(codes, codes.copy())
    assert found == Comparison(24, 0, 0.0, None)
    assert found.equal


def test_differences_are_counted_and_located() -> None:
    expected = np.zeros((2, 3, 4), np.uint8)
    actual = expected.copy()
    actual[0, 2, 1], actual[1, 0, 0] = 255, 7
    found = compare(actual, expected)
    assert found == Comparison(24, 2, 255.0, (0, 2, 1))
    assert compare(expected, actual) == found
    assert not found.equal


def test_elements_of_different_types_compare_by_value() -> None:
    assert compare(np.array([-1, 4], np.int8), np.array([255, 4], np.uint8)).largest == 256.0
    assert compare(np.array([1, 2], np.int32), np.array([1.0, 2.0], np.float32)).equal


def test_nan_equals_nan_only() -> None:
    nan, inf = np.nan, np.inf
    left = np.array([nan, nan, inf, inf, 0.0])
    right = np.array([nan, 1.0, inf, -inf, -0.0])
    assert compare(left, right) == Comparison(5, 2, inf, (1,))


def test_a_scalar_and_an_empty_array() -> None:
    assert compare(np.array(3), np.array(4)) == Comparison(1, 1, 1.0, ())
    assert compare(np.zeros((0, 2)), np.zeros((0, 2))) == Comparison(0, 0, 0.0, None)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"shape \(2,\) and \(2, 1\) cannot be compared"):
        compare(np.zeros(2), np.zeros((2, 1)))


def test_a_trace_names_every_operation() -> None:
    lines = list(trace(Machine(hand_program()), INPUTS))
    texts = [(line.core, line.text.split()[0]) for line in lines]
    assert sorted(texts) == sorted(
        [(0, name) for name in ("write", "load", "mvm", "requant", "barrier", "send")]
        + [(1, name) for name in ("barrier", "recv", "lut", "lut", "store")]
    )
    send = next(i for i, line in enumerate(lines) if line.text.startswith("send"))
    assert lines[send + 1].text.startswith("recv")


def test_checksums_are_those_of_the_bytes_written() -> None:
    machine = Machine(hand_program())
    lines = {line.text.split()[0]: line for line in trace(machine, INPUTS)}
    codes = machine.run(INPUTS, codes=True)["y"]
    assert lines["load"].checksum == crc32(INPUTS["x"].tobytes())
    assert lines["store"].checksum == crc32(codes.tobytes())
    assert lines["write"].checksum == crc32(machine.array(0, 0).levels.tobytes())
    assert lines["send"].checksum is None
    assert lines["barrier"].checksum is None


def test_traces_differ_from_the_first_operation_that_does() -> None:
    machine = Machine(hand_program())
    first, again = (Trace.record(machine, INPUTS) for _ in range(2))
    assert first == again
    other = Trace.record(machine, {"x": INPUTS["x"] ^ 1})
    different = [a.text for a, b in zip(first.lines, other.lines, strict=True) if a != b]
    assert different[:2] == ["load s2, s1", "mvm s3, s2, m0, 1, 0"]


def test_text_of_a_trace() -> None:
    recorded = Trace.record(Machine(hand_program()), INPUTS)
    lines = str(recorded).splitlines()
    assert len(lines) == len(recorded.lines)
    assert lines[-1] == f"{recorded.lines[-1].checksum:08x}  c1 16: store s5, s4"
    assert "--------  c0 20: barrier 7" in lines
