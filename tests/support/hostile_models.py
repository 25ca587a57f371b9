"""Models that try to harm whoever reads them: each function gives the bytes of one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import (
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    SparseTensorProto,
    TensorProto,
    helper,
    numpy_helper,
)

OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]


def serialized(
    nodes: Sequence[NodeProto],
    weights: Sequence[TensorProto] = (),
    *,
    functions: Sequence[FunctionProto] = (),
    shape: Sequence[int | str] = (1, 4),
) -> bytes:
    """A model from ``x`` to ``y``; nothing is checked."""
    graph = helper.make_graph(
        nodes,
        "hostile",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        weights,
    )
    made = helper.make_model(graph, functions=functions, opset_imports=OPSETS, ir_version=9)
    return bytes(made.SerializeToString())


def integers(name: str, *values: int) -> TensorProto:
    """A small weight."""
    return numpy_helper.from_array(np.array(values, np.int64), name)


def scalar(name: str, value: int | bool) -> TensorProto:
    """A weight without axes."""
    return numpy_helper.from_array(np.asarray(value), name)


def claimed(name: str, dims: Sequence[int], data: bytes = b"\0" * 16) -> TensorProto:
    """A float weight with these dimensions and these bytes."""
    return TensorProto(name=name, data_type=TensorProto.FLOAT, dims=dims, raw_data=data)


def external(*fields: tuple[str, str], extent: int = 4) -> bytes:
    """A model whose weight lies in another file."""
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, extent])
    weight.data_location = TensorProto.EXTERNAL
    for key, value in fields:
        weight.external_data.add(key=key, value=value)
    return serialized([helper.make_node("MatMul", ["x", "w"], ["y"])], [weight])


def laughs(depth: int = 28) -> bytes:
    """Functions of which each calls the one before twice: ``2 ** depth`` nodes."""
    functions = [_function("f0", ["Neg"], "")]
    functions += [_function(f"f{i}", [f"f{i - 1}"] * 2, "local") for i in range(1, depth + 1)]
    call = helper.make_node(f"f{depth}", ["x"], ["y"], domain="local")
    return serialized([call], functions=functions)


def recursive() -> bytes:
    """A function that calls itself."""
    call = helper.make_node("f", ["x"], ["y"], domain="local")
    return serialized([call], functions=[_function("f", ["f"], "local")])


def _function(name: str, calls: Sequence[str], domain: str) -> FunctionProto:
    names = ["a", *(f"t{i}" for i in range(len(calls) - 1)), "b"]
    nodes = [
        helper.make_node(call, [names[i]], [names[i + 1]], domain=domain)
        for i, call in enumerate(calls)
    ]
    return helper.make_function("local", name, ["a"], ["b"], nodes, OPSETS)


def constant_of_shape(extent: int = 10**11) -> bytes:
    """A constant of 400 GB."""
    nodes = [
        helper.make_node("ConstantOfShape", ["n"], ["c"]),
        helper.make_node("ReduceMean", ["c"], ["m"], keepdims=0),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]
    return serialized(nodes, [integers("n", extent)])


def expand(extent: int = 200_000) -> bytes:
    """A constant of 160 GB."""
    nodes = [
        helper.make_node("Expand", ["one", "n"], ["c"]),
        helper.make_node("ReduceMean", ["c"], ["m"], keepdims=0),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]
    one = numpy_helper.from_array(np.ones((1, 1), np.float32), "one")
    return serialized(nodes, [one, integers("n", extent, extent)])


def range_(stop: int = 10**12) -> bytes:
    """A constant of 8 TB."""
    nodes = [
        helper.make_node("Range", ["a", "b", "c"], ["r"]),
        helper.make_node("Cast", ["r"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["f"], ["m"], keepdims=0),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]
    scalars = [scalar("a", 0), scalar("b", stop), scalar("c", 1)]
    return serialized(nodes, scalars)


def tile_(repeats: int = 10**6) -> bytes:
    """A weight repeated to 4 TB."""
    nodes = [
        helper.make_node("Tile", ["one", "n"], ["c"]),
        helper.make_node("ReduceMean", ["c"], ["m"], keepdims=0),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]
    one = numpy_helper.from_array(np.ones((1, 1), np.float32), "one")
    return serialized(nodes, [one, integers("n", repeats, repeats)])


def padded(extent: int = 10**12) -> bytes:
    """A constant padded to 4 TB."""
    nodes = [
        helper.make_node("Pad", ["one", "n"], ["c"]),
        helper.make_node("ReduceMean", ["c"], ["m"], keepdims=0),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]
    one = numpy_helper.from_array(np.ones(1, np.float32), "one")
    return serialized(nodes, [one, integers("n", 0, extent)])


def one_hot(depth: int = 10**12) -> bytes:
    """A one-hot constant of 4 TB."""
    nodes = [
        helper.make_node("OneHot", ["i", "n", "v"], ["c"]),
        helper.make_node("ReduceMean", ["c"], ["m"], keepdims=0),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]
    values = numpy_helper.from_array(np.array([0, 1], np.float32), "v")
    return serialized(nodes, [integers("i", 0), integers("n", depth), values])


def many_constants(extent: int = 3_600_000) -> bytes:
    """Constants that are small alone and large together."""
    nodes = [helper.make_node("ConstantOfShape", ["n"], ["s0"])]
    nodes += [helper.make_node("Add", [f"s{i}", f"s{i}"], [f"s{i + 1}"]) for i in range(200)]
    nodes += [
        helper.make_node("Concat", [f"s{i}" for i in range(200)], ["c"], axis=0),
        helper.make_node("ReduceMean", ["c"], ["m"], keepdims=0),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]
    return serialized(nodes, [integers("n", extent)])


def scans(length: int = 1000) -> bytes:
    """A loop in a loop in a loop, over a thousand elements each."""
    body = _loop_body([helper.make_node("Neg", ["e"], ["o"])])
    for _ in range(2):
        inner = [helper.make_node("Scan", ["long"], ["o"], body=body, num_scan_inputs=1)]
        body = _loop_body(inner)
    nodes = [
        helper.make_node("Scan", ["long"], ["s"], body=body, num_scan_inputs=1),
        helper.make_node("ReduceMean", ["s"], ["m"], keepdims=0),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]
    long = numpy_helper.from_array(np.ones(length, np.float32), "long")
    return serialized(nodes, [long])


def wide(calls: int = 1000, depth: int = 10) -> bytes:
    """Functions of which each calls the one before a thousand times."""
    functions = [_function("f0", ["Neg"], "")]
    functions += [_function(f"f{i}", [f"f{i - 1}"] * calls, "local") for i in range(1, depth + 1)]
    call = helper.make_node(f"f{depth}", ["x"], ["y"], domain="local")
    return serialized([call], functions=functions)


def mutual() -> bytes:
    """Two functions that call each other."""
    functions = [_function("f", ["g"], "local"), _function("g", ["f"], "local")]
    return serialized([helper.make_node("f", ["x"], ["y"], domain="local")], functions=functions)


def convolved(extent: int = 2000, kernel: int = 1000) -> bytes:
    """Two small weights whose convolution takes 10 ** 12 products."""
    a = numpy_helper.from_array(np.ones((1, 1, extent, extent), np.float32), "a")
    w = numpy_helper.from_array(np.ones((1, 1, kernel, kernel), np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["a", "w"], ["c"]),
        helper.make_node("ReduceMean", ["c"], ["m"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]
    return serialized(nodes, [a, w])


def doubled(times: int = 60) -> bytes:
    """An activation that is put behind itself again and again."""
    names = ["x", *(f"t{i}" for i in range(times - 1)), "y"]
    return serialized(
        [helper.make_node("Concat", [names[i]] * 2, [names[i + 1]], axis=1) for i in range(times)]
    )


def wide_pads(extent: int = 10**9) -> bytes:
    """A convolution of 16 elements in a border of 10 ** 18."""
    w = numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "w")
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[extent] * 4)
    return serialized([node], [w], shape=(1, 1, 4, 4))


def wide_window(extent: int = 2**31 - 1) -> bytes:
    """A maximum over 2 ** 62 elements, nearly all of which are padding."""
    pads = [extent // 2] * 4
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[extent] * 2, pads=pads)
    return serialized([node], shape=(1, 1, 4, 4))


def wide_input(*shape: int) -> bytes:
    """An input that does not fit into any computer."""
    return serialized([helper.make_node("Relu", ["x"], ["y"])], shape=shape)


def twice_given() -> bytes:
    """A weight whose data is in two fields."""
    tensor = claimed("w", [4, 1])
    tensor.float_data.extend([1.0] * 4)
    return serialized([helper.make_node("MatMul", ["x", "w"], ["y"])], [tensor])


def no_outputs() -> bytes:
    """A model that gives nothing."""
    made = ModelProto.FromString(chain(1))
    del made.graph.output[:]
    return bytes(made.SerializeToString())


def fixed() -> bytes:
    """A model whose only input has a constant value."""
    return serialized([helper.make_node("Relu", ["x"], ["y"])], [claimed("x", [1, 4])])


def referring() -> bytes:
    """An attribute that stands for one of a function, in no function."""
    node = helper.make_node("Softmax", ["x"], ["y"])
    node.attribute.add(name="axis", ref_attr_name="k", type=2)
    return serialized([node])


def many_attributes(count: int = 100_000) -> bytes:
    """A node with more attributes than anybody can read."""
    node = helper.make_node("Relu", ["x"], ["y"])
    for index in range(count):
        node.attribute.add(name=f"a{index}", i=1, type=2)
    return serialized([node])


def reshaped(*shape: int) -> bytes:
    """A reshape to this shape."""
    return serialized([helper.make_node("Reshape", ["x", "n"], ["y"])], [integers("n", *shape)])


def endless_loop(trips: int = 10**12) -> bytes:
    """A loop that goes on for years."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Neg", ["e"], ["o"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("e", TensorProto.FLOAT, [1, 4]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("o", TensorProto.FLOAT, [1, 4]),
        ],
    )
    loop = helper.make_node("Loop", ["n", "true", "x"], ["y"], body=body)
    return serialized([loop], [scalar("n", trips), scalar("true", True)])


def _loop_body(nodes: Sequence[NodeProto]) -> GraphProto:
    given = [helper.make_tensor_value_info("e", TensorProto.FLOAT, None)]
    made = [helper.make_tensor_value_info("o", TensorProto.FLOAT, None)]
    return helper.make_graph(nodes, "body", given, made)


def long_text(size: int = 3 << 20) -> bytes:
    """A node with an attribute of three million letters."""
    return serialized([helper.make_node("Relu", ["x"], ["y"], text="a" * size)])


def weight(dims: Sequence[int], data: bytes = b"\0" * 16) -> bytes:
    """A product with a weight that claims these dimensions."""
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    return serialized([node], [claimed("w", dims, data)])


def sparse() -> bytes:
    """A sparse weight of 4 TB when dense."""
    made = ModelProto.FromString(serialized([helper.make_node("Add", ["x", "w"], ["y"])]))
    values = numpy_helper.from_array(np.ones(1, np.float32), "w")
    entry = SparseTensorProto(values=values, indices=integers("", 0), dims=[10**12])
    made.graph.sparse_initializer.append(entry)
    return bytes(made.SerializeToString())


def sparse_constant() -> bytes:
    """A sparse constant of 4 TB when dense."""
    values = numpy_helper.from_array(np.ones(1, np.float32), "v")
    entry = SparseTensorProto(values=values, indices=integers("", 0), dims=[10**12])
    nodes = [
        helper.make_node("Constant", [], ["w"], sparse_value=entry),
        helper.make_node("Add", ["x", "w"], ["y"]),
    ]
    return serialized(nodes)


def nested(depth: int) -> bytes:
    """If inside If; written by hand, because protocol buffers refuse to parse deep ones."""
    names = helper.make_tensor_value_info("o", TensorProto.FLOAT, None)
    inner = helper.make_graph([helper.make_node("Neg", ["x"], ["o"])], "g", [], [names])
    data = inner.SerializeToString()
    for _ in range(depth):
        data = _if(data)
    graph = GraphProto.FromString(serialized_graph([helper.make_node("Neg", ["o"], ["y"])]))
    graph.initializer.append(scalar("true", True))
    frame = ModelProto(ir_version=9, opset_import=OPSETS).SerializeToString()
    return bytes(frame + _field(7, data + graph.SerializeToString()))


def serialized_graph(nodes: Sequence[NodeProto]) -> bytes:
    """Only the graph of a model."""
    return bytes(ModelProto.FromString(serialized(nodes)).graph.SerializeToString())


def _if(graph: bytes) -> bytes:
    """A graph with one node If, both of whose branches are the given graph."""
    node = helper.make_node("If", ["true"], ["o"], "if").SerializeToString()
    for branch in (b"then_branch", b"else_branch"):
        attribute = _field(1, branch) + _field(6, graph) + b"\xa0\x01\x05"
        node += _field(5, attribute)
        graph = _plain_graph()
    result = helper.make_tensor_value_info("o", TensorProto.FLOAT, None).SerializeToString()
    return _field(1, node) + _field(2, b"g") + _field(12, result)


def _plain_graph() -> bytes:
    names = helper.make_tensor_value_info("o", TensorProto.FLOAT, None)
    inner = helper.make_graph([helper.make_node("Neg", ["x"], ["o"])], "g", [], [names])
    return bytes(inner.SerializeToString())


def _field(number: int, data: bytes) -> bytes:
    """A length-delimited field of a protocol buffer."""
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def cycle() -> bytes:
    """Two nodes that wait for each other."""
    nodes = [
        helper.make_node("Add", ["x", "b"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    return serialized(nodes)


def duplicate() -> bytes:
    """A tensor that is assigned twice."""
    return serialized(
        [helper.make_node("Neg", ["x"], ["y"]), helper.make_node("Abs", ["x"], ["y"])]
    )


def chain(length: int) -> bytes:
    """One node behind the other."""
    names = ["x", *(f"t{i}" for i in range(length - 1)), "y"]
    return serialized([helper.make_node("Relu", [names[i]], [names[i + 1]]) for i in range(length)])


def named(name: str) -> bytes:
    """A model whose only node, which is not supported, has this name."""
    node = helper.make_node("Foo", ["x"], ["y"], name, domain="local")
    return serialized([node])


def undecodable() -> bytes:
    """A node whose name is not UTF-8."""
    return named("QQQQ").replace(b"QQQQ", b"\xff\xfe\x80Q")
