"""Small networks of the modules that larger ones repeat, as ONNX models."""

from __future__ import annotations

from onnx import ModelProto, NodeProto

from imcc.compiler.ir import Array

from .onnx_models import model, node, weights

SIZE = 12


class Modules:
    """A network while it is built: every convolution keeps the size of its map."""

    def __init__(self, channels: int = 3) -> None:
        self._nodes: list[NodeProto] = []
        self._weights: dict[str, Array] = {}
        self._channels = {"x": channels}

    def conv(self, source: str, name: str, kernel: int, outputs: int = 8) -> Modules:
        """A convolution of `source`, whose result has a name."""
        shape = (outputs, self._channels[source], kernel, kernel)
        self._weights[f"w_{name}"] = weights(*shape, seed=len(self._nodes))
        pads = [kernel // 2] * 4
        self._nodes.append(node("Conv", f"{source} w_{name}", name, pads=pads))
        self._channels[name] = outputs
        return self

    def add(self, one: str, other: str, name: str) -> Modules:
        """A sum."""
        self._nodes.append(node("Add", f"{one} {other}", name))
        self._channels[name] = self._channels[one]
        return self

    def concat(self, one: str, other: str, name: str) -> Modules:
        """The channels of two maps."""
        self._nodes.append(node("Concat", f"{one} {other}", name, axis=1))
        self._channels[name] = self._channels[one] + self._channels[other]
        return self

    def pool(self, source: str, name: str) -> Modules:
        """The maxima of windows that overlap."""
        more = {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1] * 4}
        self._nodes.append(node("MaxPool", source, name, **more))
        self._channels[name] = self._channels[source]
        return self

    def model(self, *outputs: str) -> ModelProto:
        """The model with these outputs."""
        shape = (1, self._channels["x"], SIZE, SIZE)
        return model(self._nodes, {"x": shape}, self._weights, outputs=" ".join(outputs))


def bottlenecks() -> ModelProto:
    """Two blocks with shortcuts, the first of them a convolution, and a pool at the end."""
    net = Modules().conv("x", "stem", 3)
    net.conv("stem", "a1", 1, 4).conv("a1", "a2", 3, 4).conv("a2", "a3", 1, 16)
    net.conv("stem", "short", 1, 16).add("a3", "short", "a")
    net.conv("a", "b1", 1, 4).conv("b1", "b2", 3, 4).conv("b2", "b3", 1, 16).add("b3", "a", "b")
    return net.conv("b", "c1", 1, 4).pool("c1", "y").model("y")


def fires() -> ModelProto:
    """Two concatenations; a convolution and a pool read the first."""
    net = Modules().conv("x", "s1", 1, 4).conv("s1", "l1", 1).conv("s1", "r1", 3)
    net.concat("l1", "r1", "c1").conv("c1", "s2", 1, 4).pool("c1", "p")
    net.conv("s2", "l2", 1).conv("p", "r2", 1).concat("l2", "r2", "c2")
    return net.conv("c2", "y", 3).model("y")
