"""ONNX's standard node tests: no wrong result, no fewer than before, and a current page."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from imcc.compiler.conformance import Outcome, Result, page, run_all, wrong_results

PAGE = Path(__file__).parents[2] / "docs/reference/conformance.md"
LEAST = 1578
LEAST_ON_MACHINE = 1157


@pytest.fixture(scope="module")
def results() -> list[Result]:
    return run_all()


def test_no_result_is_wrong(results: list[Result]) -> None:
    assert wrong_results(results) == []


def test_as_many_pass_as_before(results: list[Result]) -> None:
    assert Counter(result.outcome for result in results)[Outcome.PASSED] >= LEAST


def test_as_many_are_equal_on_the_machine_as_before(results: list[Result]) -> None:
    outcomes = Counter(result.machine.outcome for result in results if result.machine)
    assert outcomes[Outcome.PASSED] >= LEAST_ON_MACHINE


def test_what_is_not_supported_says_why(results: list[Result]) -> None:
    assert [r.name for r in results if r.outcome is Outcome.UNSUPPORTED and not r.text] == []


def test_page_is_current(results: list[Result]) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(results), "run: make conformance"
