"""QONNX models in standard operators, so that onnxruntime can run what the user has.

Only operators of old operator sets are used, since models of Brevitas have such. The formulas
are those of the reference, PyPI `qonnx` 1.0.0 (`custom_op/general`), in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import NodeProto, helper, numpy_helper

from ..errors import UnsupportedError
from ..frontend.ops.qonnx import DOMAINS
from ..ir import Array

_HALF_EVEN = ("ROUND", "HALF_EVEN")
_ROUND = {"CEIL": "Ceil", "FLOOR": "Floor"}
# Adding and subtracting it rounds float32 values below 2^22 half to even, in every operator set.
_MAGIC = np.float32(1.5 * 2**23)


def is_qonnx(model: onnx.ModelProto) -> bool:
    """Whether a model has nodes of QONNX."""
    return any(node.domain in DOMAINS for node in model.graph.node)


def plain_model(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with standard operators in place of those of QONNX.

    Raises `UnsupportedError` for bit widths that are computed and for roundings that ONNX lacks.
    """
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    del plain.graph.node[:]
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.domain in DOMAINS:
            plain.graph.node.extend(_Rewritten(node, constants).nodes())
        else:
            plain.graph.node.append(node)
    kept = [entry for entry in plain.opset_import if entry.domain not in DOMAINS]
    del plain.opset_import[:]
    plain.opset_import.extend(kept)
    return plain


@dataclass
class _Rewritten:
    """One node of QONNX as a chain of standard ones."""

    node: NodeProto
    constants: dict[str, Array]

    def nodes(self) -> Iterator[NodeProto]:
        """The chain; its last node has the output of the node."""
        chain = {"BipolarQuant": self._bipolar, "Trunc": self._trunc}
        yield from chain.get(self.node.op_type, self._quant)()

    def _bipolar(self) -> Iterator[NodeProto]:
        x, scale = self.node.input
        yield from self._sign(x)
        yield self._op("Mul", "sign", scale, to="")

    def _sign(self, x: str) -> Iterator[NodeProto]:
        yield self._constant("one", np.float32(1))
        yield self._constant("minus", np.float32(-1))
        yield self._constant("zero", np.float32(0))
        yield self._op("Less", x, self._name("zero"), to="below")
        names = [self._name("below"), self._name("minus"), self._name("one")]
        yield helper.make_node("Where", names, [self._name("sign")])

    def _quant(self) -> Iterator[NodeProto]:
        x, scale, zero, _ = self.node.input
        bits, signed = self._bits(3), self._integer("signed", 1)
        yield self._op("Div", x, scale, to="scaled")
        yield self._op("Add", "scaled", zero, to="shifted")
        if bits == 1 and signed:
            yield from self._sign("shifted")
            whole = "sign"
        else:
            yield from self._clip("shifted", "clipped", bits)
            yield from self._rounded("clipped", "whole", self._mode("ROUND"))
            whole = "whole"
        yield self._op("Sub", whole, zero, to="centred")
        yield self._op("Mul", "centred", scale, to="")

    def _trunc(self) -> Iterator[NodeProto]:
        x, scale, zero, *_ = self.node.input
        newer = len(self.node.input) > 5
        step = self.constants[self.node.input[4]] if newer else None
        divisor = (
            2.0 ** (self._bits(3) - self._bits(4))
            if step is None
            else float(2 ** np.round(np.log2(step / self.constants[scale])))
        )
        yield self._constant("divisor", np.float32(divisor))
        yield self._op("Div", x, scale, to="scaled")
        yield self._op("Add", "scaled", zero, to="shifted")
        yield from self._rounded("shifted", "code", "ROUND")
        yield self._op("Div", "code", self._name("divisor"), to="upper")
        if newer:
            yield from self._clip("upper", "upper/clipped", self._bits(5))
        upper = "upper/clipped" if newer else "upper"
        yield from self._rounded(upper, "whole", self._mode("FLOOR"))
        yield self._op("Div", zero, self._name("divisor"), to="zero")
        yield self._op("Sub", "whole", self._name("zero") if newer else zero, to="centred")
        yield self._op("Mul", "centred", self.node.input[4] if newer else scale, to="")

    def _clip(self, x: str, to: str, bits: int) -> Iterator[NodeProto]:
        narrow = self._integer("narrow", 0)
        if self._integer("signed", 1):
            low, high = -(1 << (bits - 1)) + narrow, (1 << (bits - 1)) - 1
        else:
            low, high = 0, (1 << bits) - 1 - narrow
        yield self._constant("low", np.float32(low))
        yield self._constant("high", np.float32(high))
        yield self._op("Max", x, self._name("low"), to=f"{to}/raised")
        yield self._op("Min", f"{to}/raised", self._name("high"), to=to)

    def _rounded(self, x: str, to: str, mode: str) -> Iterator[NodeProto]:
        if mode in _ROUND:
            yield helper.make_node(_ROUND[mode], [self._name(x)], [self._name(to)])
            return
        if mode not in _HALF_EVEN:
            raise UnsupportedError(f"{self.node.name}: ONNX has no rounding '{mode}'")
        yield self._constant(f"{to}/magic", _MAGIC)
        yield self._op("Add", x, self._name(f"{to}/magic"), to=f"{to}/large")
        yield self._op("Sub", f"{to}/large", self._name(f"{to}/magic"), to=to)

    def _op(self, op_type: str, a: str, b: str, *, to: str) -> NodeProto:
        """An operator on `a`, a step of the chain or an operand of the node, and `b`."""
        left = a if a in self.node.input else self._name(a)
        return helper.make_node(op_type, [left, b], [self._name(to)])

    def _name(self, step: str) -> str:
        output = self.node.output[0]
        return f"{output}/{step}" if step else output

    def _constant(self, name: str, value: ArrayLike) -> NodeProto:
        tensor = numpy_helper.from_array(np.asarray(value))
        return helper.make_node("Constant", [], [self._name(name)], value=tensor)

    def _bits(self, index: int) -> int:
        found = self.constants.get(self.node.input[index])
        if found is None:
            raise UnsupportedError(f"{self.node.name}: its bit width is not an initializer")
        return int(found.reshape(-1)[0])

    def _integer(self, name: str, default: int) -> int:
        found = (attribute.i for attribute in self.node.attribute if attribute.name == name)
        return next(found, default)

    def _mode(self, default: str) -> str:
        found = (a.s.decode() for a in self.node.attribute if a.name == "rounding_mode")
        return next(found, default).upper()
