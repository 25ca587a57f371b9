"""Shapes of the matrix products of well-known networks, as mapping studies count them.

A convolution is a matrix of ``channels * kernel`` rows (of all groups) with a window for each
pixel of its output. Weights are not needed: the shapes come from the topologies, or are written
here where the network that a study counts differs from PyTorch's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod

import onnx
from onnx import GraphProto, NodeProto, ValueInfoProto

from .topologies import FOLDER


@dataclass(frozen=True)
class ProductShape:
    """One product.

    `before` and `after` count the other products on the longest path to it and from it.
    """

    name: str
    rows: int
    outputs: int
    windows: int
    groups: int = 1
    before: int = 0
    after: int = 0


def products(topology: str, pixels: int | None = None) -> tuple[ProductShape, ...]:
    """The convolutions and linear layers of a network of tests/topologies, in its order.

    `pixels` gives its image another height and width.
    """
    model = onnx.load(FOLDER / f"{topology}.onnx")
    if pixels is not None:
        for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
            dim.dim_value = pixels
        del model.graph.value_info[:]
    model = onnx.shape_inference.infer_shapes(model)
    before = _depths(model.graph.node)
    after = _depths(_mirrored(node) for node in reversed(model.graph.node))
    return tuple(
        replace(_shape(node, model.graph), before=before[node.name], after=after[node.name])
        for node in model.graph.node
        if _is_product(node)
    )


def mobilenet_v2() -> tuple[ProductShape, ...]:
    """MobileNetV2, as PyTorch has it."""
    return products("mobilenet_v2")


def resnet50_v1() -> tuple[ProductShape, ...]:
    """ResNet-50 with the stride of a stage in its first 1 x 1 convolution, not in the 3 x 3."""
    strided = {f"layer{stage}.0.conv1.weight" for stage in (2, 3, 4)}
    return tuple(
        replace(shape, windows=shape.windows // 4) if shape.name in strided else shape
        for shape in products("resnet50")
    )


def inception_v3_224() -> tuple[ProductShape, ...]:
    """Inception-v3 on an image of 224 x 224 pixels, not of 299 x 299."""
    return products("inception_v3", 224)


def googlenet_5x5() -> tuple[ProductShape, ...]:
    """GoogLeNet as published: 5 x 5 convolutions where PyTorch has 3 x 3."""
    return tuple(
        replace(shape, rows=shape.rows // 9 * 25) if ".branch3.1." in shape.name else shape
        for shape in products("googlenet")
    )


def alexnet() -> tuple[ProductShape, ...]:
    """AlexNet of one tower: no padding in the first layer, 6 x 6 pixels before the classifier."""
    layers = [
        (3 * 11 * 11, 96, 54 * 54),
        (96 * 5 * 5, 256, 26 * 26),
        (256 * 3 * 3, 384, 12 * 12),
        (384 * 3 * 3, 384, 12 * 12),
        (384 * 3 * 3, 256, 12 * 12),
        (256 * 6 * 6, 4096, 1),
        (4096, 4096, 1),
        (4096, 1000, 1),
    ]
    return tuple(
        ProductShape(f"layer{index}", *shape, before=index, after=len(layers) - 1 - index)
        for index, shape in enumerate(layers)
    )


def shufflenet_v1() -> tuple[ProductShape, ...]:
    """ShuffleNet-v1 with 4 groups and half the channels (136, 272, 544), without its paths.

    The first unit of a stage halves the image and joins its input to its output.
    """
    shapes, channels, size = [ProductShape("stem", 3 * 9, 24, 112 * 112)], 24, 56
    for width, units in ((136, 4), (272, 8), (544, 4)):
        for unit in range(units):
            inner = width if unit else width - channels
            shapes.append(ProductShape("reduce", channels, inner, size**2, 4))
            size = size if unit else size // 2
            shapes.append(ProductShape("depthwise", 9 * inner, inner, size**2, inner))
            shapes.append(ProductShape("expand", inner, inner, size**2, 4))
            channels = width
    return (*shapes, ProductShape("classifier", channels, 1000, 1))


def _is_product(node: NodeProto) -> bool:
    return node.op_type in ("Conv", "Gemm")


def _shape(node: NodeProto, graph: GraphProto) -> ProductShape:
    weight = next(tuple(t.dims) for t in graph.initializer if t.name == node.input[1])
    if node.op_type == "Gemm":
        return ProductShape(node.input[1], weight[1], weight[0], 1)
    groups = next((a.i for a in node.attribute if a.name == "group"), 1)
    output = next(_dims(value) for value in graph.value_info if value.name == node.output[0])
    rows = groups * prod(weight[1:])
    return ProductShape(node.input[1], rows, weight[0], prod(output[2:]), groups)


def _dims(value: ValueInfoProto) -> tuple[int, ...]:
    return tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)


def _mirrored(node: NodeProto) -> NodeProto:
    return NodeProto(name=node.name, op_type=node.op_type, input=node.output, output=node.input)


def _depths(nodes: Iterable[NodeProto]) -> dict[str, int]:
    """Products on the longest path to each node, without itself, in topological order."""
    at: dict[str, int] = {}
    depths = {}
    for node in nodes:
        depths[node.name] = max((at.get(name, 0) for name in node.input), default=0)
        behind = depths[node.name] + _is_product(node)
        at.update({name: max(behind, at.get(name, 0)) for name in node.output})
    return depths
