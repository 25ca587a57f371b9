"""Messages that users meet, word for word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from imcc.compiler.cli import cli

Shape = list[int | str]


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def failure(*arguments: str) -> tuple[int, str]:
    """Exit code and standard error; nothing may be on standard output, and nothing written."""
    before = sorted(Path().iterdir())
    result = CliRunner().invoke(cli, arguments)
    assert result.stdout == ""
    assert sorted(Path().iterdir()) == before
    assert "Traceback" not in result.stderr
    return result.exit_code, result.stderr


def save(name: str, nodes: list[onnx.NodeProto], shape: Shape, weights: dict[str, Shape]) -> None:
    """A model with input x [shape] and output y."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(np.ones([int(n) for n in dims], np.float32), key)
            for key, dims in weights.items()
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.acme", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), name)


def dense(shape: Shape) -> None:
    save("m.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"], "fc")], shape, {"w": [4, 2]})


def test_missing_model() -> None:
    assert failure("compile", "no.onnx", "--target", "isaac") == (
        3,
        "error[IMC0201]: the model file cannot be read: No such file or directory\n"
        "  --> no.onnx\n"
        "1 error. (imcc explain IMC0201)\n",
    )


def test_random_bytes() -> None:
    Path("bytes.onnx").write_bytes(np.random.default_rng(0).bytes(2048))
    assert failure("compile", "bytes.onnx", "--target", "isaac") == (
        3,
        "error[IMC0202]: not an ONNX model: its bytes cannot be parsed\n"
        "  --> bytes.onnx\n"
        "   = because: the file is of another kind, damaged or cut off\n"
        "1 error. (imcc explain IMC0202)\n",
    )


def test_all_unsupported_operators_at_once() -> None:
    nodes = [
        helper.make_node("Foo", ["x"], ["a"], "/block/foo", domain="com.acme"),
        helper.make_node("Det", ["a"], ["b"], "/block/det"),
        helper.make_node("Bar", ["b"], ["y"], "/head/bar", domain="com.acme"),
    ]
    save("unsup.onnx", nodes, [1, 4], {})
    code, text = failure("compile", "unsup.onnx", "--target", "isaac", "--calib", "random")
    assert code == 4
    places = ["/block/foo", "/block/det", "/head/bar"]
    positions = [text.index(f"node '{place}'") for place in places]
    assert positions == sorted(positions)
    assert text.count("error[IMC0401]: ") == 3
    assert text.endswith("3 errors. (imcc explain IMC0401)\n")


def test_dynamic_dimension_gives_the_flag_to_paste() -> None:
    dense(["n", "width"])
    code, text = failure("compile", "m.onnx", "--target", "isaac", "--calib", "random")
    assert code == 3
    assert "error[IMC0301]" in text
    assert "--dim width=" in text
    assert "--dim n=" not in text  # axis 0 is the batch


def test_no_calibration_data() -> None:
    dense([1, 4])
    assert failure("compile", "m.onnx", "--target", "isaac") == (
        3,
        "error[IMC0102]: quantization needs calibration data: none was given, and beside the "
        "model there is none of m.npz\n"
        "  = help: --calib FILE.npz   arrays named like the inputs, or 'calib'; 100 samples do\n"
        "  = help: --calib random     seeded random inputs: right for cost, not for accuracy\n",
    )


def test_calibration_data_of_another_shape() -> None:
    dense([1, 4])
    np.savez("c.npz", calib=np.zeros((8, 5), np.float32))
    expected = (
        "error[IMC0103]: c.npz: input 'x' takes samples of shape [4], the data has [5]; "
        "give an array of shape [N, 4]\n"
    )
    Path("c.npz").rename("data.npz")
    code, text = failure("compile", "m.onnx", "--target", "isaac", "--calib", "data.npz")
    assert (code, text) == (3, expected.replace("c.npz", "data.npz"))


def test_unknown_target_with_a_suggestion() -> None:
    dense([1, 4])
    assert failure("compile", "m.onnx", "--target", "isac", "--calib", "random") == (
        3,
        "error[IMC0110]: no target 'isac': it is neither a file nor one of the built-in cimflow, "
        "dcim22, isaac, neurram, pimcomp, puma, tiny; did you mean 'isaac'?\n",
    )


def test_bad_toml_points_at_the_place() -> None:
    Path("my.toml").write_text("#:schema imcc.target/1\nname = \n")
    assert failure("target", "validate", "my.toml") == (
        3,
        "error[IMC0110]: my.toml:2:8: not valid TOML: Invalid value\n"
        "    2 | name = \n"
        "      |        ^\n",
    )


def test_unknown_pass() -> None:
    dense([1, 4])
    code, text = failure("compile", "m.onnx", "--target", "isaac", "--calib", "random",
                         "--pass-pipeline", "quantise")  # fmt: skip
    assert code == 3
    assert text.startswith("error[IMC0100]: no pass is named 'quantise'; did you mean 'quantize'?")


def test_too_large_says_by_how_much() -> None:
    save("big.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"], "fc")], [1, 512],
         {"w": [512, 512]})  # fmt: skip
    code, text = failure("compile", "big.onnx", "--target", "tiny", "--calib", "random",
                         "--set", "chip.mesh_rows=1", "--set", "chip.mesh_cols=2",
                         "--set", "core.arrays=1")  # fmt: skip
    assert code == 5
    assert text.startswith(
        "error[IMC0500]: fc: its weights need 2,048 arrays of 32 x 32 cells, target 'tiny' has 2: "
        "2,046 short. Weights are reloaded, but those of one output are there together: at least "
        "4 arrays."
    )
    assert "--weight-bits" in text


def test_not_a_program() -> None:
    Path("p.imc").write_bytes(b"hello, world, this is no program")
    code, text = failure("disasm", "p.imc")
    assert code == 3
    assert text.startswith("error[IMC0130]: p.imc: not an .imc file: ")


def test_control_characters_in_names_do_not_reach_the_terminal() -> None:
    nodes = [helper.make_node("Det", ["x"], ["y"], "evil\x1b]0;title\x07")]
    save("m.onnx", nodes, [1, 4], {})
    _, text = failure("compile", "m.onnx", "--target", "isaac", "--calib", "random")
    assert "\x1b" not in text
    assert "\x07" not in text


def test_usage_errors_have_exit_code_two() -> None:
    dense([1, 4])
    for option in (("--emit", "elf"), ("--dim", "n"), ("--input-shapes", "x"), ("--set", "x")):
        arguments = ("compile", "m.onnx", "--target", "isaac", "--calib", "random", *option)
        code, text = failure(*arguments)
        assert code == 2
        assert option[0] in text


@pytest.mark.parametrize("code", ["IMC0102", "102", "imc0401"])
def test_explain(code: str) -> None:
    result = CliRunner().invoke(cli, ["explain", code])
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) >= 3


def test_explain_unknown_code() -> None:
    code, text = failure("explain", "IMC9999")
    assert code == 2
    assert "imcc explain" in text
