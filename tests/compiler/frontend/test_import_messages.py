"""What users read when a model cannot be imported, word for word."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from support.onnx_models import ROOT, Shape, i64, model, node, weights

from imcc.compiler.errors import CompileError, InputError, LimitError, UnsupportedError
from imcc.compiler.frontend import import_onnx
from imcc.compiler.limits import Limits, applied


def failure(kind: type[CompileError], proto: ModelProto | bytes | Path) -> str:
    with pytest.raises(kind) as caught:
        import_onnx(proto)
    assert type(caught.value) is kind
    return str(caught.value)


def relu(shape: Shape) -> ModelProto:
    return model([node("Relu", "x", "y")], {"x": shape})


def test_all_unsupported_operators_in_one_run() -> None:
    nodes = [
        helper.make_node("Foo", ["x"], ["a"], "/block/foo", domain="com.acme"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Det", ["b"], ["c"], "/head/det"),
        helper.make_node("Bar", ["c", "w"], ["y"], domain="com.acme"),
    ]
    text = failure(UnsupportedError, model(nodes, {"x": ["N", 4]}, {"w": weights(2, 2)}))
    assert text == (
        "error[IMC0401]: operator com.acme::Foo is not supported\n"
        "  --> <model>: node '/block/foo' (#0, opset 17)\n"
        "   |  x: float32[1,4]  ->  a\n"
        "   = because: no converter exists for it\n"
        "   = help: `imcc ops` lists the operators that can be imported\n"
        "   = help: save it with a body of ONNX operators: as a function of the model\n"
        "error[IMC0401]: operator Det is not supported\n"
        "  --> <model>: node '/head/det' (#2, opset 17)\n"
        "   |  b  ->  c\n"
        "   = because: no converter exists for it\n"
        "   = help: `imcc ops` lists the operators that can be imported\n"
        "error[IMC0401]: operator com.acme::Bar is not supported\n"
        "  --> <model>: node 'Bar_3' (#3, opset 17)\n"
        "   |  c  w: float32[2,2]  ->  y\n"
        "   = because: no converter exists for it\n"
        "   = help: `imcc ops` lists the operators that can be imported\n"
        "   = help: save it with a body of ONNX operators: as a function of the model\n"
        "3 errors. (imcc explain IMC0401)"
    )


def test_problems_of_different_kinds_in_graph_order() -> None:
    nodes = [
        node("MaxPool", "x", "p", kernel_shape=[2, 2], storage_order=1),
        node("Det", "x", "d"),
        node("Conv", "x x", "y"),
    ]
    with pytest.raises(UnsupportedError) as caught:
        import_onnx(model(nodes, {"x": ["N", 3, 4, 4]}, opset=19))
    found = caught.value.diagnostics
    assert [(d.index, d.code, d.message) for d in found] == [
        (0, "IMC0403", "MaxPool in column-major order is not supported"),
        (1, "IMC0401", "operator Det is not supported"),
        (2, "IMC0403", "Conv with computed weights is not supported"),
    ]
    assert found[0].reason == "Attribute storage_order is 0."


def test_dynamic_dimensions() -> None:
    assert failure(InputError, relu(["N", 3, "H", "W"])) == (
        "error[IMC0301]: dimensions without a size: 'H', 'W'\n"
        "  --> <model>: input 'x' float32[N,3,H,W]\n"
        "   = because: only the first axis, the batch, may stay open\n"
        "   = help: give each a size: --dim H=... --dim W=...\n"
        "1 error. (imcc explain IMC0301)"
    )


def test_dimensions_can_be_given_by_name_or_as_a_shape() -> None:
    proto = relu(["N", 3, "H", "W"])
    for graph in (
        import_onnx(proto, dims={"H": 8, "W": 6}),
        import_onnx(proto, dims={"H": 8, "W": 6, "N": 4}),
        import_onnx(proto, input_shapes={"x": (1, 3, 8, 6)}),
    ):
        assert graph.inputs[0].type.shape == (1, 3, 8, 6)


def test_a_dimension_that_the_model_does_not_have() -> None:
    with pytest.raises(InputError) as caught:
        import_onnx(relu(["N", "height"]), dims={"hight": 3})
    messages = [(d.message, d.help) for d in caught.value.diagnostics]
    assert messages[0] == ("the model has no dimension 'hight'", ("did you mean 'height'?",))


def test_a_shape_that_does_not_match() -> None:
    with pytest.raises(InputError, match=r"shape \[1, 4, 6\] for input 'x' does not match"):
        import_onnx(relu(["N", 3, "W"]), input_shapes={"x": (1, 4, 6)})


def test_cycle() -> None:
    nodes = [
        node("Add", "x b", "a", name="one"),
        node("Relu", "a", "b", name="two"),
        node("Relu", "b", "y", name="three"),
    ]
    assert failure(InputError, model(nodes, {"x": ["N", 4]})) == (
        "error[IMC0206]: nodes depend on each other in a circle: 'two' -> 'one' -> 'two'\n"
        "  --> <model>: node 'one' (#0, opset 17)\n"
        "1 error. (imcc explain IMC0206)"
    )


def test_duplicate_and_undefined_names() -> None:
    nodes = [node("Relu", "x", "y"), node("Tanh", "x", "y"), node("Relu", "nowhere", "z")]
    assert failure(InputError, model(nodes, {"x": ["N", 4]})) == (
        "error[IMC0204]: tensor 'y' is assigned a second time\n"
        "  --> <model>: node 'Tanh_1' (#1, opset 17)\n"
        "error[IMC0205]: Relu reads 'nowhere', which nothing provides\n"
        "  --> <model>: node 'Relu_2' (#2, opset 17)\n"
        "2 errors. (imcc explain IMC0204 IMC0205)"
    )


def test_nodes_may_come_in_any_order() -> None:
    nodes = [node("Relu", "a", "y"), node("Tanh", "x", "a")]
    graph = import_onnx(model(nodes, {"x": ["N", 4]}))
    assert [n.op.name for n in graph.nodes] == ["tanh", "relu"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "error[IMC0202]: not an ONNX model: the file is empty\n  --> m.onnx\n"),
        (
            b"\x00garbage" * 20,
            "error[IMC0202]: not an ONNX model: its bytes cannot be parsed\n  --> m.onnx\n"
            "   = because: the file is of another kind, damaged or cut off\n",
        ),
        (
            ModelProto(ir_version=8).SerializeToString(),
            "error[IMC0203]: not a complete ONNX model: it lacks a graph and an operator set\n"
            "  --> m.onnx\n",
        ),
    ],
)
def test_files_that_are_no_models(tmp_path: Path, data: bytes, text: str) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    assert failure(InputError, path).startswith(text)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    text = failure(InputError, tmp_path / "no.onnx")
    assert text.startswith("error[IMC0201]: the model file cannot be read: No such file")
    assert "it is not a regular file" in failure(InputError, tmp_path)


def test_every_truncation_is_an_input_error() -> None:
    data = (ROOT / "models" / "watch_cnn1d.onnx").read_bytes()
    for length in [*range(0, 400), *range(400, len(data), 997)]:
        with pytest.raises((InputError, UnsupportedError)):
            import_onnx(data[:length])


def test_operands_that_do_not_fit() -> None:
    proto = model([node("MatMul", "x w", "y")], {"x": ["N", 4]}, {"w": weights(5, 3)})
    assert failure(InputError, proto) == (
        "error[IMC0209]: the operands of MatMul do not fit: inner extents differ: operand 0 has "
        "shape [1, 4], the weights [5, 3]\n"
        "  --> <model>: node 'MatMul_0' (#0, opset 17)\n"
        "   |  x: float32[1,4]  w: float32[5,3]  ->  y\n"
        "1 error. (imcc explain IMC0209)"
    )


@pytest.mark.parametrize(
    ("nodes", "shape", "found"),
    [
        ([node("Reshape", "x s", "y")], ["N", 4], "Reshape to [2, 2] from [N,4]"),
        ([node("Transpose", "x", "y")], ["N", 4], "Transpose with perm [1, 0]"),
        ([node("Softmax", "x", "y", axis=0)], ["N", 4], "Softmax over axis 0"),
        ([node("Concat", "x x", "y", axis=0)], ["N", 4], "Concat along axis 0"),
        ([node("Slice", "x s s", "y")], ["N", 4], "Slice of axis 0"),
        ([node("ReduceMean", "x", "y", axes=[0])], ["N", 4], "ReduceMean over axis 0"),
        ([node("Add", "x k", "y")], ["N", 4], "Add of shapes [[1, 4], [2, 4]]"),
        ([node("Gemm", "x k", "y", transA=1)], ["N", 2], "Gemm with attribute transA"),
    ],
)
def test_samples_are_never_mixed(nodes: list[NodeProto], shape: Shape, found: str) -> None:
    constants = {"s": i64([2, 2]), "k": weights(2, 4)}
    text = failure(UnsupportedError, model(nodes, {"x": shape}, constants))
    assert f"{found} is not supported" in text


@pytest.mark.parametrize(
    ("proto", "text"),
    [
        (
            model([node("Relu", "x", "y", slope=1.0)], {"x": ["N", 4]}),
            "Relu has no attribute 'slope'",
        ),
        (
            model([node("LeakyRelu", "x", "y", alpha=1)], {"x": ["N", 4]}),
            "attribute 'alpha' of LeakyRelu has the wrong kind: INT in place of FLOAT",
        ),
        (model([node("Add", "x", "y")], {"x": ["N", 4]}), "Add has 1 operands"),
        (
            model(
                [node("DequantizeLinear", "x s", "y")], {"x": ["N", 4]}, {"s": weights(1)}, opset=9
            ),
            "operator set 9 has no DequantizeLinear",
        ),
    ],
)
def test_nodes_that_are_not_onnx(proto: ModelProto, text: str) -> None:
    assert f"error[IMC0210]: {text}\n" in failure(InputError, proto)


def test_operator_sets_out_of_range() -> None:
    text = failure(UnsupportedError, model([node("Add", "x x", "y")], {"x": ["N", 4]}, opset=6))
    assert "operator set 6 is not supported" in text
    assert "supported are 7 to 28" in text


def test_inputs_of_other_types() -> None:
    proto = model([node("Relu", "x", "y")], {"x": ["N", 4]}, input_type=TensorProto.STRING)
    assert "input 'x' of type string is not supported" in failure(UnsupportedError, proto)


def test_outputs_without_inputs() -> None:
    proto = model([node("Relu", "x", "z"), node("Relu", "w", "y")], {"x": ["N", 4]},
                  {"w": weights(1, 4)}, outputs="z w")  # fmt: skip
    text = failure(UnsupportedError, proto)
    assert "error[IMC0409]: output 'w' does not depend on any input" in text


def test_names_cannot_write_to_the_terminal() -> None:
    proto = model([node("Det", "x", "y", name="a\x1b]0;title\x07\n")], {"x": ["N", 4]})
    assert r"node 'a\x1b]0;title\x07\n'" in failure(UnsupportedError, proto)


def test_many_problems_are_counted() -> None:
    nodes = [node("Det", "x", f"y{i}") for i in range(60)]
    text = failure(UnsupportedError, model(nodes, {"x": ["N", 4]}, outputs="y0"))
    assert text.count("error[IMC0401]") == 50
    assert text.endswith("... and 10 more\n60 errors. (imcc explain IMC0401)")


# -- small files that ask for much -------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "constant"),
    [
        ([node("ConstantOfShape", "c", "k")], i64([10**11])),
        ([node("Range", "zero c one", "k")], i64(10**12)),
        ([node("Expand", "one c", "k")], i64([200_000, 200_000])),
        ([node("Tile", "ones c", "k")], i64([10**10])),
    ],
)
def test_constants_are_measured_before_they_are_made(
    nodes: list[NodeProto], constant: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
) -> None:
    constants = {"c": constant, "zero": i64(0), "one": i64(1), "ones": i64([1])}
    nodes = [*nodes, node("Cast", "k", "f", to=1), node("Add", "x f", "y")]
    text = failure(LimitError, model(nodes, {"x": ["N", 4]}, constants))
    assert "error[IMC0601]" in text
    assert "--limit constant-mib=" in text


@pytest.mark.parametrize("dims", [[-4], [2**31, 2**31], [5], [1] * 9])
def test_weights_that_lie_about_their_size(dims: list[int]) -> None:
    proto = model([node("Add", "x w", "y")], {"x": ["N", 4]}, {"w": weights(4)})
    tensor = proto.graph.initializer[0]
    del tensor.dims[:]
    tensor.dims.extend(dims)
    assert "error[IMC0207]: weight 'w': " in failure(InputError, proto)


def test_sparse_weights() -> None:
    proto = relu(["N", 4])
    proto.graph.sparse_initializer.add()
    text = failure(UnsupportedError, proto)
    assert "models with sparse weights are not supported" in text


def test_too_many_nodes() -> None:
    proto = model([node("Relu", "x", "a"), node("Relu", "a", "y")], {"x": ["N", 4]})
    with applied(Limits(nodes=1)):
        assert "the model has 2 nodes, the limit is 1" in failure(LimitError, proto)


def test_long_chains_need_no_recursion() -> None:
    names = ["x", *(f"v{i}" for i in range(3000)), "y"]
    nodes = [node("Tanh", a, b) for a, b in pairwise(names)]
    assert len(import_onnx(model(nodes, {"x": ["N", 4]})).nodes) == 3001


# -- external data -----------------------------------------------------------------------------


def external(folder: Path, **fields: str) -> Path:
    """A model whose weight lies in another file."""
    proto = model([node("Add", "x w", "y")], {"x": ["N", 4]}, {"w": weights(4)})
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in fields.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    folder.mkdir(exist_ok=True)
    path = folder / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def test_external_data_beside_the_model(tmp_path: Path) -> None:
    path = external(tmp_path / "a", location="w.bin", offset="8", length="16")
    (tmp_path / "a" / "w.bin").write_bytes(b"\0" * 8 + weights(4).tobytes())
    graph = import_onnx(path)
    np.testing.assert_array_equal(next(iter(graph.constants.values())), weights(4))


def test_external_data_in_a_cache_of_links(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    blobs.mkdir()
    snapshot.mkdir()
    (blobs / "11").write_bytes(external(tmp_path / "a", location="w.bin").read_bytes())
    (blobs / "22").write_bytes(weights(4).tobytes())
    (snapshot / "m.onnx").symlink_to("../blobs/11")
    (snapshot / "w.bin").symlink_to("../blobs/22")
    assert len(import_onnx(snapshot / "m.onnx").constants) == 1


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"location": "../secret"}, "location '../secret' leaves the folder of the model"),
        ({"location": "a/../../secret"}, "leaves the folder of the model"),
        ({"location": "/dev/zero"}, "leaves the folder of the model"),
        ({"location": "C:\\secret"}, "is not a relative path"),
        ({"location": "w\0.bin"}, "is not a relative path"),
        ({}, "location '' is not a relative path"),
        ({"location": "none.bin"}, "cannot be opened: No such file or directory"),
        ({"location": "link"}, "is a link that leaves the folder of the model"),
        ({"location": "loop"}, "cannot be opened"),
        ({"location": "."}, "is not a regular file"),
        ({"location": "w.bin", "offset": "8"}, "16 bytes at offset 8 are asked for, the file has"),
        ({"location": "w.bin", "offset": "-8"}, "offset is '-8'"),
        ({"location": "w.bin", "length": "1000000000000000"}, "the tensor has 16"),
        ({"location": "w.bin", "__class__": "x"}, "key '__class__' is not known"),
    ],
)
def test_external_data_elsewhere(tmp_path: Path, fields: dict[str, str], reason: str) -> None:
    (tmp_path / "secret").write_bytes(weights(4).tobytes())
    path = external(tmp_path / "a", **fields)
    (path.parent / "w.bin").write_bytes(weights(4).tobytes())
    (path.parent / "link").symlink_to(tmp_path / "secret")
    (path.parent / "loop").symlink_to("loop")
    text = failure(InputError, path)
    assert text.startswith("error[IMC0208]: weight 'w': external data refused: ")
    assert reason.replace("\0", r"\x00") in text


def test_external_data_without_a_path(tmp_path: Path) -> None:
    data = external(tmp_path / "a", location="w.bin").read_bytes()
    assert "the model was given without a path" in failure(InputError, data)


def test_loading_by_bytes_and_by_message_is_the_same(tmp_path: Path) -> None:
    path = ROOT / "models" / "watch_cnn1d.onnx"
    proto = onnx.load(str(path))
    assert import_onnx(path).same_as(import_onnx(proto))
    assert import_onnx(str(path)).same_as(import_onnx(path.read_bytes()))


def test_weights_in_typed_fields() -> None:
    proto = model([node("Add", "x w", "y")], {"x": ["N", 4]})
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [4], weights(4).tolist())
    assert not tensor.HasField("raw_data")
    proto.graph.initializer.append(tensor)
    found = next(iter(import_onnx(proto).constants.values()))
    np.testing.assert_array_equal(found, numpy_helper.to_array(tensor))
