"""``imcc check`` says before compiling what compiling would find."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.command_line import MODELS, imcc

from imcc.compiler import UnsupportedError, compile_model
from imcc.compiler.check import Where, check_model
from imcc.compiler.check import stages as check_stages
from imcc.compiler.ir import Graph, Node
from imcc.compiler.ir.ops.binary import Add
from imcc.isa import load_target


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def check(model: str | Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON; nothing may be written."""
    before = sorted(Path().iterdir())
    result = imcc("check", model, "--target", "isaac", "--json", *arguments)
    assert sorted(Path().iterdir()) == before
    return result.exit_code, json.loads(result.stdout)


def where(found: dict[str, Any]) -> dict[str, str]:
    return {operator["node"]: operator["where"] for operator in found["operators"]}


def save(nodes: list[onnx.NodeProto], shape: list[int], **weights: Any) -> Path:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(w), name) for name, w in weights.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.acme", 1)]
    path = Path("m.onnx")
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fmnist_resnet8_bn", ()),
        ("fmnist_mobilenet", ("--weight-bits", "4")),
        ("watch_cnn1d_bn", ("--set", "array.rows=64")),
    ],
)
def test_it_says_what_compiling_takes(name: str, options: tuple[str, ...]) -> None:
    model = MODELS / f"{name}.onnx"
    code, found = check(model, *options)
    made = imcc("compile", model, "--target", "isaac", "--json", "-o", "m.imc", *options)
    compiled = json.loads(made.stdout)
    needs = {need["what"]: need["needed"] for need in found["needs"]}
    assert code == 0
    assert needs == {
        "arrays": compiled["arrays"],
        "cores": compiled["cores"],
        "local memory bytes": compiled["local_bytes"],
    }
    arrays = {o["node"]: o["arrays"] for o in found["operators"] if o["where"] == "crossbar"}
    layers = {layer["layer"]: layer["arrays"] for layer in compiled["layers"]}
    assert sorted(arrays.values()) == sorted(layers.values())
    assert all(any(node in label for label in layers) for node in arrays)


def test_every_operator_of_the_model_is_listed_in_order() -> None:
    path = MODELS / "fmnist_resnet8_bn.onnx"
    _, found = check(path)
    nodes = onnx.load(path).graph.node
    assert [o["op_type"] for o in found["operators"]] == [node.op_type for node in nodes]
    assert [o["index"] for o in found["operators"]] == list(range(len(nodes)))
    by_type = {(o["op_type"], o["where"]) for o in found["operators"]}
    assert {("Conv", "crossbar"), ("BatchNormalization", "folded")} <= by_type
    assert ("GlobalAveragePool", "vector unit") in by_type


def test_what_is_not_supported_does_not_hide_the_rest() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], "first"),
        helper.make_node("Foo", ["a"], ["b"], "foo", domain="com.acme"),
        helper.make_node("Relu", ["b"], ["c"], "behind"),
        helper.make_node("Relu", ["a"], ["d"], "beside"),
        helper.make_node("Add", ["c", "d"], ["y"], "sum"),
    ]
    code, found = check(save(nodes, [1, 4], w=np.ones((4, 2), np.float32)))
    assert code == 1
    assert where(found) == {
        "first": "crossbar",
        "foo": "not supported",
        "behind": "not checked",
        "beside": "folded",
        "sum": "not checked",
    }
    assert [problem["code"] for problem in found["problems"]] == ["IMC0401"]
    assert found["operators"][0]["arrays"] == 1


def test_constants_and_operators_without_effect_are_folded() -> None:
    nodes = [
        helper.make_node("Neg", ["w"], ["v"], "constant"),
        helper.make_node("Identity", ["x"], ["a"], "identity"),
        helper.make_node("MatMul", ["a", "v"], ["b"], "product"),
        helper.make_node("Sigmoid", ["b"], ["y"], "table"),
    ]
    code, found = check(save(nodes, [1, 4], w=np.ones((4, 2), np.float32)))
    assert code == 0
    assert where(found) == {
        "constant": "folded",
        "identity": "folded",
        "product": "crossbar",
        "table": "vector unit",
    }
    whys = [operator["why"] for operator in found["operators"]]
    assert whys[0] == "its result is constant"
    assert whys[2] == "constant weights [4, 2]"


def test_what_cannot_be_quantized_is_cut_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if sums had no integer form: the products around them still have their arrays."""

    def no_sums(graph: Graph) -> list[tuple[Node, str]]:
        return [(node, " has no integer form") for node in graph.nodes if isinstance(node.op, Add)]

    monkeypatch.setattr(check_stages, "unsupported", no_sums)
    found = check_model(MODELS / "fmnist_resnet8.onnx", load_target("isaac"))
    kinds = {operator.op_type: operator.where for operator in found.operators}
    assert kinds["Add"] is Where.UNSUPPORTED
    assert kinds["Conv"] is kinds["Gemm"] is Where.CROSSBAR
    assert [problem.op_type for problem in found.problems] == ["Add"] * 3
    assert [problem.index for problem in found.problems] == sorted(
        o.index for o in found.operators if o.op_type == "Add"
    )
    assert not found.passed()


def test_too_large_says_by_how_much() -> None:
    """One output has 512 weights of four cells, in both signs: 4 arrays of 32 x 32 cells."""
    path = save([helper.make_node("MatMul", ["x", "w"], ["y"], "fc")], [1, 512],
                w=np.ones((512, 512), np.float32))  # fmt: skip
    result = imcc("check", path, "--target", "tiny", "--set", "chip.mesh_rows=1",
                  "--set", "chip.mesh_cols=2", "--set", "core.arrays=1")  # fmt: skip
    assert result.exit_code == 1
    assert "needs 2,048, target 'tiny' has 2: 2,046 short" in result.stdout
    assert result.stdout.splitlines()[-1] == "can NOT be compiled as asked"
    assert "2,046 short" in result.stderr.splitlines()[0]


def test_reloaded_weights_are_a_no_only_where_asked() -> None:
    path = save([helper.make_node("MatMul", ["x", "w"], ["y"], "fc")], [1, 512],
                w=np.ones((512, 512), np.float32))  # fmt: skip
    small = ("--target", "tiny", "--set", "chip.mesh_rows=1", "--set", "chip.mesh_cols=2")
    result = imcc("check", path, *small)
    assert result.exit_code == 0
    assert "IMC0503" in result.stderr
    assert imcc("check", path, *small, "--strict").exit_code == 1


def test_too_little_local_memory() -> None:
    code, found = check(MODELS / "fmnist_resnet8.onnx", "--set", "core.local_memory_kib=1")
    need = found["needs"][-1]
    assert code == 1
    assert need["short"] == need["needed"] - 1024 > 0
    assert "1,024 bytes of local memory" in found["problems"][0]["message"]


def test_lossy_converters_are_a_no_only_where_asked() -> None:
    model, narrow = MODELS / "fmnist_mlp.onnx", ("--set", "adc.bits=3")
    code, found = check(model, *narrow)
    assert code == 0
    assert {p["code"] for p in found["problems"]} == {"IMC0501"}
    assert check(model, *narrow, "--strict")[0] == 1
    assert check(model, "--strict")[0] == 0


def test_bad_input_is_no_answer() -> None:
    assert imcc("check", "no.onnx", "--target", "isaac").exit_code == 3
    Path("bytes.onnx").write_bytes(b"\xff" * 64)
    assert imcc("check", "bytes.onnx", "--target", "isaac").exit_code == 3
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], "fc")]
    wrong = save(nodes, [1, 4], w=np.ones((3, 2), np.float32))
    result = imcc("check", wrong, "--target", "isaac")
    assert result.exit_code == 3
    assert result.stdout == ""
    assert result.stderr.startswith("error[IMC0209]: ")


def test_operator_sets_that_are_not_read_are_a_no() -> None:
    path = save([helper.make_node("Relu", ["x"], ["y"], "r")], [1, 4])
    model = onnx.load(path)
    model.opset_import[0].version = 5
    onnx.save(model, path)
    code, found = check(path)
    assert code == 1
    assert found["operators"] == []
    assert [problem["code"] for problem in found["problems"]] == ["IMC0402"]


def test_symbolic_sizes_are_given() -> None:
    path = save([helper.make_node("Relu", ["x"], ["y"], "r")], [1, 4])
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "n"
    onnx.save(model, path)
    assert imcc("check", path, "--target", "isaac").exit_code == 3
    assert check(path, "--dim", "n=8")[0] == 0
    assert check(path, "--input-shapes", "x:[1,8]")[0] == 0


def test_check_says_no_where_compile_raises() -> None:
    """Rejected by both, with the same codes."""
    path = save([helper.make_node("Foo", ["x"], ["y"], "f", domain="com.acme")], [1, 4])
    with pytest.raises(UnsupportedError) as raised:
        compile_model(path, "isaac", calibration_choice="random")
    found = check_model(path, load_target("isaac"))
    assert found.problems == raised.value.diagnostics
