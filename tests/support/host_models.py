"""Bundled networks with operators that only the host computes, at three places."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

MODELS = Path(__file__).parents[2] / "models"


def bundled(name: str) -> ModelProto:
    """A bundled network."""
    return onnx.load(MODELS / f"{name}.onnx")


def with_suffix(model: ModelProto) -> ModelProto:
    """The network with its best two classes, their scores, and the best class alone."""
    (output,) = [entry.name for entry in model.graph.output]
    _constant(model, "one", np.array([1], np.int64))
    _constant(model, "two", np.array([2], np.int64))
    nodes = [
        helper.make_node("TopK", [output, "two"], ["scores", "classes"], name="/top"),
        helper.make_node("TopK", [output, "one"], ["highest", "best"], name="/best"),
    ]
    types = {"scores": TensorProto.FLOAT, "classes": TensorProto.INT64, "best": TensorProto.INT64}
    del model.graph.output[:]
    for name, element in types.items():
        shape: list[str | int | None] = ["N", 1 if name == "best" else 2]
        model.graph.output.append(helper.make_tensor_value_info(name, element, shape))
    return _with_nodes(model, nodes)


def with_middle(model: ModelProto, tensor: str, *op_types: str) -> ModelProto:
    """The network with operators of one operand behind `tensor`, one after the other."""
    last = f"{tensor}/{len(op_types)}"
    for node in model.graph.node:
        node.input[:] = [last if name == tensor else name for name in node.input]
    names = [tensor, *(f"{tensor}/{index}" for index in range(1, len(op_types) + 1))]
    nodes = [
        helper.make_node(op_type, [names[i]], [names[i + 1]], name=f"/middle/{op_type}_{i}")
        for i, op_type in enumerate(op_types)
    ]
    return _with_nodes(model, nodes)


def with_prefix(model: ModelProto) -> ModelProto:
    """The network behind an affine sampling of its images."""
    (image,) = model.graph.input
    height, width = (dim.dim_value for dim in image.type.tensor_type.shape.dim[2:])
    rows, columns = np.meshgrid(
        np.linspace(-0.9, 0.9, height), np.linspace(-0.9, 0.9, width), indexing="ij"
    )
    image.type.tensor_type.shape.dim[0].dim_value = 1  # a grid belongs to one sample
    grid = np.stack([columns, rows], axis=-1)[np.newaxis].astype(np.float32)
    _constant(model, "grid", grid)
    for node in model.graph.node:
        node.input[:] = ["sampled" if name == image.name else name for name in node.input]
    sample = helper.make_node("GridSample", [image.name, "grid"], ["sampled"], name="/sample")
    return _with_nodes(model, [sample])


def _constant(model: ModelProto, name: str, array: np.ndarray) -> None:
    model.graph.initializer.append(numpy_helper.from_array(array, name))


def _with_nodes(model: ModelProto, nodes: Sequence[NodeProto]) -> ModelProto:
    """The model with more nodes; the importer brings them in order."""
    model.graph.node.extend(nodes)
    return model
