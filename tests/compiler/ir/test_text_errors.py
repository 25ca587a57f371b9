from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imcc.compiler.errors import InputError
from imcc.compiler.ir import (
    DType,
    Graph,
    GraphBuilder,
    TensorType,
    parse_graph,
    read_graph,
    write_graph,
)
from imcc.compiler.ir.files import weights_path
from imcc.compiler.ir.ops.linear import MatMul

HEAD = """"builtin.module"() ({
  "func.func"() <{function_type = () -> (), sym_name = "main"}> ({
  ^bb0(%x: tensor<1x4xf32>):
"""
TAIL = """
    "func.return"(%x) : (tensor<1x4xf32>) -> ()
  }) : () -> ()
}) : () -> ()
"""
TYPE = "(tensor<1x4xf32>) -> tensor<1x4xf32>"


def error_of(body: str, head: str = HEAD, tail: str = TAIL) -> str:
    with pytest.raises(InputError) as caught:
        parse_graph(head + body + tail, name="net.mlir")
    return str(caught.value)


def test_a_text_without_errors_is_read() -> None:
    assert parse_graph(HEAD + TAIL).output_names == ("x",)


@pytest.mark.parametrize(
    ("body", "place", "message"),
    [
        (f'%y = "imcc.relu(%x) : {TYPE}', "4:6", "cannot read this, expected a string"),
        (f'%y = "imcc.relu" %x : {TYPE}', "4:18", "found '%x', expected '('"),
        (f'%y = "imcc.relu"(%z) : {TYPE}', "4:6", "imcc.relu: %z is used before it is defined"),
        (f'%x = "imcc.relu"(%x) : {TYPE}', "4:6", "imcc.relu: %x is defined twice"),
        (f'%y = "imcc.relu"() : {TYPE}', "4:6", "imcc.relu: there are 0 operands and 1 types"),
        (f'%y = "imcc.relux"(%x) : {TYPE}', "4:6", "did you mean 'imcc.relu'?"),
        (f'%y = "test.relu"(%x) : {TYPE}', "4:6", "no operator is named 'test.relu'"),
        (f'%y, %z = "imcc.relu"(%x) : {TYPE}', "4:10", "2 values, 2 names and 1 types"),
        (
            '%y = "imcc.relu"(%x) : (tensor<1x5xf32>) -> tensor<1x4xf32>',
            "4:6",
            "imcc.relu: %x is used as tensor<1x5xf32>, but is defined as tensor<1x4xf32>",
        ),
        (
            '%y = "imcc.relu"(%x) : (tensor<1x4xf31>) -> tensor<1x4xf32>',
            "4:25",
            "unknown element type 'f31', allowed are f16, f32",
        ),
        (
            '%y = "imcc.relu"(%x) : (tensor<?x4xf32>) -> tensor<1x4xf32>',
            "4:25",
            "unknown element type '?x4xf32'",
        ),
        (
            '%y = "imcc.relu"(%x) : (tensor<4x!quant.uniform<u8<1:9>:f32, 1.0>>) -> ()',
            "4:25",
            "<1:9> is not the range of a whole number of bits",
        ),
        (
            '%y = "imcc.relu"(%x) : (tensor<4x!quant.uniform<u8:f32>>) -> ()',
            "4:25",
            "cannot read '!quant.uniform<u8:f32>'; the form is !quant.uniform<u8:f32, 0.1:128>",
        ),
        (f'%y = "imcc.softmax"(%x) : {TYPE}', "4:6", "imcc.softmax lacks the attribute 'axis'"),
        (
            f'%y = "imcc.softmax"(%x) {{axis = "one"}} : {TYPE}',
            "4:6",
            "attribute 'axis' of imcc.softmax must be int, found str one",
        ),
        (
            f'%y = "imcc.softmax"(%x) {{axis = 1 : i64, origin = 3 : i64}} : {TYPE}',
            "4:6",
            "'origin' must be a list of strings",
        ),
        (
            f'%y = "imcc.softmax"(%x) {{axis = array<i64: one>}} : {TYPE}',
            "4:33",
            "invalid literal for int()",
        ),
        (
            '%y = "imcc.constant"() {value = dense<[1, 2]> : tensor<3xi8>} : () -> tensor<3xi8>',
            "4:49",
            "elements have shape (2,), the type (3,)",
        ),
        (
            '%y = "imcc.constant"() {value = dense<0x7F> : tensor<f32>} : () -> tensor<f32>',
            "4:47",
            "0x7F does not have the bits of an f32",
        ),
        (
            '%y = "imcc.constant"() {value = dense<300> : tensor<ui8>} : () -> tensor<ui8>',
            "4:46",
            "300 out of bounds for uint8",
        ),
        (
            '%y = "imcc.constant"() {value = 3 : i64} : () -> tensor<ui8>',
            "4:6",
            "'value' must be dense<...> or dense_resource<...>",
        ),
        (
            '%y = "imcc.constant"() {value = dense_resource<y> : tensor<9xi8>} '
            ": () -> tensor<9xi8>",
            "4:6",
            "the text has no data for 'y': it was printed without resources",
        ),
    ],
)
def test_errors_show_the_place_and_say_what_is_wrong(body: str, place: str, message: str) -> None:
    text = error_of(body)
    first, excerpt, caret = text.split("\n")
    assert first.startswith(f"net.mlir:{place}: ")
    assert message in first
    assert excerpt.strip() == body[: len(excerpt.strip())]
    assert caret.index("^") - 2 == int(place.partition(":")[2]) - 1


def test_a_text_that_ends_too_early() -> None:
    text = error_of("", tail="")
    assert text.startswith("net.mlir:4:1: the text ends here, expected ")


def test_only_one_function_is_allowed() -> None:
    assert "expected one 'func.func' with one region in it" in error_of(
        "", '"builtin.module"() ({', "}) : () -> ()"
    )
    assert "expected 'builtin.module' with one region" in error_of("", "", '"x.y"() : () -> ()')


def test_a_function_ends_with_a_return() -> None:
    message = error_of("", tail="\n}) : () -> () }) : () -> ()")
    assert "the function must end with 'func.return'" in message


@pytest.mark.parametrize("blob", ["0x4000000000", "0x40000000zz", "40000000" + "00" * 9])
def test_resources_have_the_bytes_that_the_type_needs(blob: str) -> None:
    constant = '%y = "imcc.constant"() {value = dense_resource<k> : tensor<9xi8>}'
    tail = f'{TAIL}{{-# dialect_resources: {{ builtin: {{ k: "{blob}" }} }} #-}}'
    assert "resource 'k': " in error_of(f"{constant} : () -> tensor<9xi8>", tail=tail)


def network(size: int) -> Graph:
    builder = GraphBuilder("net")
    x = builder.input("x", TensorType(DType.F32, (1, size)))
    w = builder.constant(np.arange(size * size, dtype=np.float32).reshape(size, size), "a/w")
    return builder.finish([builder.add(MatMul(), [x, w], "y")], ["y"])


@pytest.mark.parametrize(("size", "beside"), [(3, False), (9, False), (600, True)])
def test_files_keep_graphs_with_large_constants_beside(
    tmp_path: Path, size: int, beside: bool
) -> None:
    path = tmp_path / "net.mlir"
    write_graph(network(size), path)
    assert weights_path(path).exists() == beside
    assert read_graph(path).same_as(network(size))


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "net.mlir"
    with pytest.raises(InputError, match=r"net\.mlir: cannot be read as text"):
        read_graph(path)
    write_graph(network(600), path)
    weights_path(path).write_bytes(b"no safetensors")
    with pytest.raises(InputError, match=r"net\.mlir\.weights\.safetensors: cannot be read as"):
        read_graph(path)


def test_files_are_verified(tmp_path: Path) -> None:
    path = tmp_path / "net.mlir"
    path.write_text(HEAD.replace("1x4", "2x4") + TAIL.replace("1x4", "2x4"))
    with pytest.raises(InputError, match="batch axis 0 must be 1"):
        read_graph(path)
