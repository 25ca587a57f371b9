"""Every bundled model on every built-in target: four definitions of one network agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from imcc.compiler.cli.chip import load_chip
from imcc.compiler.data import find_beside
from imcc.compiler.driver import compile_model
from imcc.compiler.mapping import AdcPolicy
from imcc.compiler.options import CompileOptions
from imcc.compiler.verify import Verification, verify_program
from imcc.compiler.verify.machine import load_program_samples
from imcc.isa import Target, builtin_targets, program_bytes, program_from_bytes

MODELS = sorted((Path(__file__).parents[2] / "models").glob("*.onnx"))
SAMPLES = 6


def checked(
    model: Path, target: str | Target, options: CompileOptions | None = None
) -> Verification:
    """Verify a program as it is read back from its file."""
    compilation = compile_model(model, target, options)
    program = program_from_bytes(program_bytes(compilation.program))
    data = find_beside(model)
    assert data is not None
    samples = load_program_samples(data, program).first(SAMPLES)
    return verify_program(program, model, samples)


def assert_all_equal(result: Verification) -> None:
    assert result.notes == ()
    assert len(result.comparisons) == 4
    for comparison in result.comparisons:
        assert comparison.elements > 0
        assert comparison.passed, comparison


@pytest.mark.parametrize("target", builtin_targets())
@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_program_is_the_network(model: Path, target: str) -> None:
    result = checked(model, target)
    assert_all_equal(result)
    machine, *_ = result.comparisons
    assert machine.differences == 0


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_lossless_program_equals_onnxruntime(model: Path) -> None:
    result = checked(model, "dcim22")
    assert [c.differences for c in result.comparisons] == [0, 0, 0, 0]
    assert all(c.required for c in result.comparisons)


@pytest.mark.parametrize("bits", [2, 4, 7])
def test_narrow_codes(bits: int) -> None:
    model = next(path for path in MODELS if path.stem == "fmnist_lenet_bn")
    assert_all_equal(
        checked(model, "isaac", CompileOptions(weight_bits=bits, activation_bits=bits))
    )


@pytest.mark.parametrize("policy", [AdcPolicy.SATURATING, AdcPolicy.COVERING])
def test_clipping_converters_are_reported_and_simulated(policy: AdcPolicy) -> None:
    model = next(path for path in MODELS if path.stem == "fmnist_mlp")
    chip = load_chip("isaac", ["adc.bits=5"])
    result = checked(model, chip, CompileOptions(adc=policy))
    assert_all_equal(result)
    tiled = result.comparisons[2]
    assert not tiled.required
    assert tiled.differences > 0


@pytest.mark.parametrize("level", [0, 1, 2])
def test_levels_agree_with_the_same_definitions(level: int) -> None:
    model = next(path for path in MODELS if path.stem == "watch_cnn1d_bn")
    assert_all_equal(checked(model, "puma", CompileOptions(level=level)))
