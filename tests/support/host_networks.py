"""Small networks with operators for the host in different surroundings, and their partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

_COUNT = 6
_F, _I64, _U32, _BOOL = (
    TensorProto.FLOAT,
    TensorProto.INT64,
    TensorProto.UINT32,
    TensorProto.BOOL,
)
Shape = Sequence[int | str] | None


@dataclass(frozen=True)
class HostNetwork:
    """A model with samples, and the nodes of each partition that it must get."""

    name: str
    model: ModelProto
    inputs: dict[str, np.ndarray]
    partitions: list[tuple[str, ...]]


def node(op_type: str, inputs: str, outputs: str, **attributes: Any) -> NodeProto:
    """A node named after its operator and its first result."""
    names = outputs.split()
    return helper.make_node(
        op_type, inputs.split(), names, name=f"{op_type}:{names[0]}", **attributes
    )


def model(
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, tuple[int, Shape]],
    outputs: Mapping[str, tuple[int, Shape]],
    constants: Mapping[str, np.ndarray],
    opset: int = 17,
) -> ModelProto:
    """A model with these types of inputs and outputs."""
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info(name, *type_) for name, type_ in inputs.items()],
        [helper.make_tensor_value_info(name, *type_) for name, type_ in outputs.items()],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def _reals(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def _divided() -> HostNetwork:
    """A product between two parts; what moves values between host nodes goes with them."""
    nodes = [
        node("MatMul", "x w", "a"),
        node("Hardmax", "a", "b"),
        node("MatMul", "b v", "c"),
        node("Hardmax", "c", "d"),
        node("Transpose", "d", "e", perm=[0, 2, 1]),
        node("Hardmax", "e", "y"),
    ]
    made = model(
        nodes,
        {"x": (_F, ["N", 5, 8])},
        {"y": (_F, ["N", 3, 5])},
        {"w": _reals(8, 8), "v": _reals(8, 3)},
    )
    partitions = [("Hardmax:b",), ("Hardmax:d", "Transpose:e", "Hardmax:y")]
    return HostNetwork("divided", made, {"x": _reals(_COUNT, 5, 8)}, partitions)


def _woven() -> HostNetwork:
    """A part before the machine, one behind it, and one that reads both."""
    nodes = [
        node("Hardmax", "x", "p"),
        node("MatMul", "z w", "a"),
        node("Add", "a p", "q"),
        node("Hardmax", "q", "r"),
        node("Mul", "r p", "s"),
        node("Hardmax", "s", "y"),
    ]
    made = model(
        nodes,
        {"x": (_F, ["N", 8]), "z": (_F, ["N", 8])},
        {"y": (_F, ["N", 8])},
        {"w": _reals(8, 8)},
    )
    inputs = {"x": _reals(_COUNT, 8), "z": _reals(_COUNT, 8) + 1}
    return HostNetwork("woven", made, inputs, [("Hardmax:p",), ("Hardmax:r",), ("Hardmax:y",)])


def _whole() -> HostNetwork:
    """Rows that are no samples, because an operator works across them."""
    nodes = [
        node("MatMul", "x w", "a"),
        node("Hardmax", "a", "b", axis=0),
        node("MatMul", "b v", "y"),
    ]
    made = model(
        nodes, {"x": (_F, [5, 8])}, {"y": (_F, [5, 3])}, {"w": _reals(8, 8), "v": _reals(8, 3)}
    )
    return HostNetwork("whole", made, {"x": _reals(_COUNT, 5, 8)}, [("Hardmax:b",)])


def _integers() -> HostNetwork:
    """Integers stay exact on the host until they are floats."""
    nodes = [
        node("BitShift", "x two", "s", direction="LEFT"),
        node("Cast", "s", "f", to=_F),
        node("MatMul", "f w", "y"),
    ]
    made = model(
        nodes,
        {"x": (_U32, ["N", 6])},
        {"y": (_F, ["N", 3])},
        {"two": np.array([2], np.uint32), "w": _reals(6, 3)},
    )
    numbers = np.random.default_rng(0).integers(0, 50, (_COUNT, 6)).astype(np.uint32)
    return HostNetwork("integers", made, {"x": numbers}, [("BitShift:s", "Cast:f")])


def _truths() -> HostNetwork:
    """A mask of the machine decides about a result of the host, and the host makes truth values."""
    nodes = [
        node("MatMul", "x w", "a"),
        node("Hardmax", "a", "h"),
        node("Cast", "h", "m", to=_BOOL),
        node("Where", "m a zero", "y"),
    ]
    made = model(
        nodes,
        {"x": (_F, ["N", 5, 8])},
        {"y": (_F, ["N", 5, 8]), "m": (_BOOL, ["N", 5, 8])},
        {"w": _reals(8, 8), "zero": np.zeros((), np.float32)},
    )
    return HostNetwork("truths", made, {"x": _reals(_COUNT, 5, 8)}, [("Hardmax:h",)])


def _condition() -> HostNetwork:
    """A graph inside a node reads what is computed outside."""
    branches = {
        "then_branch": helper.make_graph(
            [helper.make_node("Identity", ["a"], ["same"])],
            "then",
            [],
            [helper.make_tensor_value_info("same", _F, [1, 8])],
        ),
        "else_branch": helper.make_graph(
            [helper.make_node("Neg", ["a"], ["negative"])],
            "else",
            [],
            [helper.make_tensor_value_info("negative", _F, [1, 8])],
        ),
    }
    nodes = [
        node("MatMul", "x w", "a"),
        node("ReduceMax", "a", "largest", keepdims=0),
        node("Greater", "largest bound", "c"),
        node("If", "c", "y", **branches),
    ]
    made = model(
        nodes,
        {"x": (_F, [1, 8])},
        {"y": (_F, [1, 8])},
        {"w": _reals(8, 8), "bound": np.array(4, np.float32)},
    )
    return HostNetwork("condition", made, {"x": _reals(_COUNT, 8)}, [("If:y",)])


def _operator_set(opset: int) -> HostNetwork:
    """Operators as another operator set has them."""
    nodes = [node("MatMul", "x w", "a"), node("Hardmax", "a", "b"), node("TopK", "b k", "v i")]
    made = model(
        nodes,
        {"x": (_F, ["N", 8])},
        {"v": (_F, ["N", 2]), "i": (_I64, ["N", 2])},
        {"w": _reals(8, 8), "k": np.array([2])},
        opset,
    )
    partitions: list[tuple[str, ...]] = [("Hardmax:b", "TopK:v")]
    return HostNetwork(f"opset {opset}", made, {"x": _reals(_COUNT, 8)}, partitions)


def _repeated() -> HostNetwork:
    """One result under two names, which the machine reads as well."""
    nodes = [
        node("MatMul", "x w", "a"),
        node("Hardmax", "a", "b"),
        node("Identity", "b", "one"),
        node("Identity", "b", "two"),
        node("TopK", "a k", "v i"),
        node("Identity", "i", "j"),
        node("MatMul", "b w", "y"),
    ]
    types: dict[str, tuple[int, Shape]] = {n: (_F, ["N", 8]) for n in ("one", "two", "y")}
    types |= {name: (_I64, ["N", 2]) for name in ("i", "j")}
    constants = {"w": _reals(8, 8), "k": np.array([2])}
    made = model(nodes, {"x": (_F, ["N", 8])}, types, constants)
    return HostNetwork("repeated", made, {"x": _reals(_COUNT, 8)}, [("Hardmax:b", "TopK:v")])


NETWORKS = (
    _divided(),
    _woven(),
    _whole(),
    _integers(),
    _truths(),
    _condition(),
    _operator_set(13),
    _operator_set(20),
    _repeated(),
)
