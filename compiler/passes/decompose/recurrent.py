"""Recurrent layers, unrolled over time.

The products of the weights with the inputs of all steps are one MatMul; each step then multiplies
the state by the recurrent weights, which are one constant for all steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ...ir import Array, Node, Op, Value
from ...ir.ops.activation import Elu, Threshold
from ...ir.ops.linear import MatMul
from ...ir.ops.math import Function, Math
from ...ir.ops.recurrent import (
    GRU,
    LSTM,
    RNN,
    Activation,
    Direction,
    Nonlinearity,
    Recurrent,
    RecurrentOperand,
)
from ...ir.ops.unary import Affine, HardSigmoid, LeakyRelu, Relu, Sigmoid, Tanh
from .registry import decomposes
from .steps import Steps, is_f32

LONGEST = 1024
"""Number of steps up to which a layer is unrolled: every step is a dozen operators."""

_CONSTANT = (RecurrentOperand.BIAS, RecurrentOperand.LENGTHS, RecurrentOperand.PEEPHOLES)
_Given = Mapping[RecurrentOperand, Value]


@decomposes(RNN, GRU, LSTM)
def recurrent(steps: Steps, node: Node) -> tuple[Value, ...] | None:
    """Weights, biases and lengths must be constant, and all sequences of full length."""
    assert isinstance(node.op, Recurrent)
    op, x = node.op, steps.operands[0]
    given = dict(zip(op.given, steps.operands[3:], strict=True))
    constants = (*steps.operands[1:3], *(given[name] for name in _CONSTANT if name in given))
    time = x.type.shape[int(op.batch_first)]
    if not is_f32(x) or any(steps.array(value) is None for value in constants):
        return None
    if not 1 <= time <= LONGEST or not _full_length(steps, given, time):
        return None
    runs = [_run(steps, op, index, given) for index in range(op.directions)]
    return tuple(_side_by_side(steps, op, parts) for parts in zip(*runs, strict=True))


def _full_length(steps: Steps, given: _Given, time: int) -> bool:
    lengths = given.get(RecurrentOperand.LENGTHS)
    return lengths is None or bool(np.all(steps.builder.array(lengths) == time))


def _side_by_side(steps: Steps, op: Recurrent, parts: tuple[Value, ...]) -> Value:
    """The results of all directions along their axis."""
    rank = parts[0].type.rank
    return steps.concat(parts, rank - 2 if op.batch_first else rank - 3)


@dataclass(frozen=True)
class _Cell:
    """One direction of a layer: its constants, without direction axis, and its functions."""

    steps: Steps
    op: Recurrent
    index: int
    weights: Array
    state_bias: Array
    peepholes: Array

    def product(self, state: Value, first: int, last: int, biased: bool) -> Value:
        """The state times the recurrent weights of the gates from `first` to before `last`."""
        rows = slice(first * self.op.hidden, last * self.op.hidden)
        what = f"{self.index}/recurrent{first}"
        weights = self._shared(f"{what}/weights", self.weights[rows].T)
        if not biased:
            return self.steps.add(MatMul(), state, weights)
        bias = self._shared(f"{what}/bias", self.state_bias[rows])
        return self.steps.add(MatMul(), state, weights, bias)

    def peephole(self, gate: Value, number: int, cell: Value | None) -> Value:
        """The gate plus the weighted cell, if there are such weights."""
        size = self.op.hidden
        row = self.peepholes[number * size : (number + 1) * size]
        if cell is None or not np.any(row):
            return gate
        weights = self._shared(f"{self.index}/peephole{number}", row)
        return self.steps.plus(gate, self.steps.times(cell, weights))

    def gates(self, values: Value, count: int) -> list[Value]:
        """Parts of as many elements as there are units."""
        size = self.op.hidden
        return [self.steps.slice(values, 1, i * size, (i + 1) * size) for i in range(count)]

    def activated(self, number: int, gate: Value) -> Value:
        """A gate, clipped and activated."""
        bound = self.op.clip
        return self.plain(number, self.steps.clip(gate, -bound, bound) if bound else gate)

    def plain(self, number: int, x: Value) -> Value:
        """An activation function of the layer, without clipping."""
        activation = self.op.activations[self.index * self.op.functions + number]
        for op in _function(activation):
            x = self.steps.add(op, x)
        return x

    def _shared(self, what: str, array: Array) -> Value:
        return self.steps.shared(np.ascontiguousarray(array, np.float32), what)


def _run(steps: Steps, op: Recurrent, index: int, given: _Given) -> tuple[Value, ...]:
    """One direction: y and the last states, each with a direction axis of extent 1."""
    cell, projected = _prepared(steps, op, index, given)
    time_axis = int(op.batch_first)
    time = projected.type.shape[time_axis]
    batch = projected.type.shape[1 - time_axis]
    state, memory = (
        _initial(steps, op, index, given.get(name), batch)
        for name in (RecurrentOperand.STATE, RecurrentOperand.CELL)
    )
    backwards = op.direction is Direction.REVERSE or index == 1
    outputs: dict[int, Value] = {}
    for place in reversed(range(time)) if backwards else range(time):
        row = steps.slice(projected, time_axis, place, place + 1)
        gates = steps.reshape(row, (batch, projected.type.shape[2]))
        state, memory = _STEPS[type(op)](cell, gates, state, memory)
        outputs[place] = state
    step = (batch, 1, 1, op.hidden) if op.batch_first else (1, 1, batch, op.hidden)
    parts = [steps.reshape(outputs[place], step) for place in range(time)]
    y = steps.concat(parts, time_axis)
    last = (batch, 1, op.hidden) if op.batch_first else (1, batch, op.hidden)
    states = (state, memory) if op.has_cell else (state,)
    return (y, *(steps.reshape(s, last) for s in states if s is not None))


def _prepared(steps: Steps, op: Recurrent, index: int, given: _Given) -> tuple[_Cell, Value]:
    """The constants of one direction, and the products with the inputs of all steps."""
    size, hidden = op.gates * op.hidden, op.hidden
    w, r = (steps.builder.array(value)[index] for value in steps.operands[1:3])
    bias, holes = (
        np.zeros(length, np.float32) if name not in given else _row(steps, given[name], index)
        for name, length in ((RecurrentOperand.BIAS, 2 * size), (_PEEPHOLES, 3 * hidden))
    )
    own = bias[:size].copy()
    # what stands inside the product with the reset gate cannot be added before
    outside = size if not (isinstance(op, GRU) and op.linear_before_reset) else 2 * hidden
    own[:outside] += bias[size:][:outside]
    weights = steps.constant(np.ascontiguousarray(w.T), f"{index}/weights")
    offset = steps.constant(own, f"{index}/bias")
    projected = steps.add(MatMul(), steps.operands[0], weights, offset)
    return _Cell(steps, op, index, r, bias[size:], holes), projected


_PEEPHOLES = RecurrentOperand.PEEPHOLES


def _row(steps: Steps, value: Value, index: int) -> Array:
    return np.asarray(steps.builder.array(value)[index])


def _initial(
    steps: Steps, op: Recurrent, index: int, given: Value | None, batch: int
) -> Value | None:
    """The state ``[N, H]`` before the first step; None where it is zero."""
    array = None if given is None else steps.array(given)
    if given is None or (array is not None and not np.any(array)):
        return None
    part = steps.slice(given, int(op.batch_first), index, index + 1)
    return steps.reshape(part, (batch, op.hidden))


_States = tuple[Value, Value | None]


def _rnn(cell: _Cell, gates: Value, state: Value | None, memory: Value | None) -> _States:
    if state is not None:
        gates = cell.steps.plus(gates, cell.product(state, 0, 1, False))
    return cell.activated(0, gates), None


def _gru(cell: _Cell, gates: Value, state: Value | None, memory: Value | None) -> _States:
    """``h = n + z * (h - n)``, which needs one product less than the formula of the layer."""
    assert isinstance(cell.op, GRU)
    steps, size = cell.steps, cell.op.hidden
    both = steps.slice(gates, 1, 0, 2 * size)
    inner = steps.slice(gates, 1, 2 * size, 3 * size)
    if state is not None:
        both = steps.plus(both, cell.product(state, 0, 2, False))
    z, r = cell.gates(cell.activated(0, both), 2)
    recurrent_part = _gru_candidate(cell, r, state)
    n = cell.activated(1, inner if recurrent_part is None else steps.plus(inner, recurrent_part))
    if state is None:
        return steps.times(steps.affine(z, -1.0, 1.0), n), None
    return steps.plus(n, steps.times(z, steps.minus(state, n))), None


def _gru_candidate(cell: _Cell, r: Value, state: Value | None) -> Value | None:
    """What the state adds to the new gate."""
    assert isinstance(cell.op, GRU)
    steps, bias = cell.steps, cell.state_bias[2 * cell.op.hidden :]
    if not cell.op.linear_before_reset:
        return None if state is None else cell.product(steps.times(r, state), 2, 3, False)
    if state is not None:
        return steps.times(r, cell.product(state, 2, 3, True))
    return steps.times(r, steps.shared(bias, f"{cell.index}/reset")) if np.any(bias) else None


def _lstm(cell: _Cell, gates: Value, state: Value | None, memory: Value | None) -> _States:
    assert isinstance(cell.op, LSTM)
    steps = cell.steps
    if state is not None:
        gates = steps.plus(gates, cell.product(state, 0, 4, False))
    i, o, f, c = _lstm_gates(cell, gates, memory)
    new = steps.times(i, cell.activated(1, c))
    if memory is not None:
        forget = steps.affine(i, -1.0, 1.0) if cell.op.couple_forget else f
        new = steps.plus(steps.times(forget, memory), new)
    if np.any(cell.peepholes):
        o = cell.activated(0, cell.peephole(o, 1, new))
    return steps.times(o, cell.plain(2, new)), new


def _lstm_gates(cell: _Cell, gates: Value, memory: Value | None) -> list[Value]:
    """Gates i, o, f and c; the first three activated at once, unless cells are added to them.

    With peepholes o is left to be activated, since it sees the new cell.
    """
    if not np.any(cell.peepholes):
        together = cell.steps.slice(gates, 1, 0, 3 * cell.op.hidden)
        last = cell.steps.slice(gates, 1, 3 * cell.op.hidden, 4 * cell.op.hidden)
        return [*cell.gates(cell.activated(0, together), 3), last]
    i, o, f, c = cell.gates(gates, 4)
    i, f = (cell.activated(0, cell.peephole(x, n, memory)) for x, n in ((i, 0), (f, 2)))
    return [i, o, f, c]


_STEPS = {RNN: _rnn, GRU: _gru, LSTM: _lstm}


_FUNCTIONS: dict[Nonlinearity, Callable[[float, float], tuple[Op, ...]]] = {
    Nonlinearity.RELU: lambda a, b: (Relu(),),
    Nonlinearity.TANH: lambda a, b: (Tanh(),),
    Nonlinearity.SIGMOID: lambda a, b: (Sigmoid(),),
    Nonlinearity.AFFINE: lambda a, b: (Affine(a, b),),
    Nonlinearity.LEAKY_RELU: lambda a, b: (LeakyRelu(a),),
    Nonlinearity.THRESHOLDED_RELU: lambda a, b: (Threshold(a),),
    Nonlinearity.SCALED_TANH: lambda a, b: (Affine(b, 0.0), Tanh(), Affine(a, 0.0)),
    Nonlinearity.HARD_SIGMOID: lambda a, b: (HardSigmoid(a, b),),
    Nonlinearity.ELU: lambda a, b: (Elu(a),),
    Nonlinearity.SOFTSIGN: lambda a, b: (Math(Function.SOFTSIGN),),
    Nonlinearity.SOFTPLUS: lambda a, b: (Math(Function.SOFTPLUS),),
}
"""Operators one after the other, of the parameters of the activation."""


def _function(activation: Activation) -> tuple[Op, ...]:
    return _FUNCTIONS[activation.function](activation.alpha, activation.beta)
