from __future__ import annotations

import json
from dataclasses import fields

import pytest
from support.command_line import imcc

from imcc.compiler.limits import Limits, spelled


def test_versions_and_limits_are_listed() -> None:
    result = imcc("doctor", "--json", "--limit", "nodes=7")
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert {"imcc", "isa", "onnx", "onnxruntime", "numpy"} <= found["versions"].keys()
    assert list(found["limits"]) == sorted(spelled(field.name) for field in fields(Limits))
    assert found["limits"]["nodes"] == 7
    assert found["limits"]["rank"] == Limits().rank
    assert set(found["checks"].values()) == {"good"}


def test_a_problem_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "4096")
    result = imcc("doctor")
    assert result.exit_code == 1
    assert "OPENBLAS_NUM_THREADS is 4096" in result.stdout
