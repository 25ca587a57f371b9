"""Recurrent layers over a sequence: RNN, GRU and LSTM, in one or both directions.

With x_t the input and h the state of the last step, W and R the weights, b the biases (input and
recurrent), f, g and k the activations of the layer:

    RNN     ``h = f(W x_t + R h + b)``
    GRU     ``z = f(Wz x_t + Rz h + bz)``, ``r = f(Wr x_t + Rr h + br)``,
            ``n = g(Wn x_t + Rn (r * h) + bn)``, ``h = (1 - z) * n + z * h``;
            linear before reset: ``n = g(Wn x_t + wbn + r * (Rn h + rbn))``
    LSTM    ``i = f(Wi x_t + Ri h + bi + pi * c)``, ``j`` (forget) likewise with pf,
            ``c = j * c + i * g(Wc x_t + Rc h + bc)``,
            ``o = f(Wo x_t + Ro h + bo + po * c)``, ``h = o * k(c)``

Operands: x, w ``[D, G*H, I]``, r ``[D, G*H, H]`` and what `given` names, for D directions, G
gates (orders zrn and iofc) and H units: bias ``[D, 2*G*H]``, lengths ``[N]``, state and cell, and
peepholes ``[D, 3*H]``. Layouts of x, y and the states: ``[T, N, I]``, ``[T, D, N, H]`` and
``[D, N, H]``, or with `batch_first` ``[N, T, I]``, ``[N, T, D, H]`` and ``[N, D, H]``.
Results: y and the last state (LSTM: and cell). Behind the length of its sample y is zero, and the
last state is that of the last valid step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, TypeVar

import numpy as np

from ..op import Array, Op, OpError, Stage, op
from ..types import DType, TensorType
from .checks import expect_count
from .real import expect_real

_T = TypeVar("_T")


class Direction(StrEnum):
    """In which order the steps are taken."""

    FORWARD = "forward"
    REVERSE = "reverse"
    BIDIRECTIONAL = "bidirectional"


class RecurrentOperand(StrEnum):
    """What may follow x, w and r, in this order."""

    BIAS = "bias"
    LENGTHS = "lengths"
    STATE = "state"
    CELL = "cell"
    PEEPHOLES = "peepholes"


class Nonlinearity(StrEnum):
    """Activation functions that ONNX names, of x with parameters a and b."""

    RELU = "relu"
    TANH = "tanh"
    SIGMOID = "sigmoid"
    AFFINE = "affine"
    LEAKY_RELU = "leaky-relu"
    THRESHOLDED_RELU = "thresholded-relu"
    SCALED_TANH = "scaled-tanh"
    HARD_SIGMOID = "hard-sigmoid"
    ELU = "elu"
    SOFTSIGN = "softsign"
    SOFTPLUS = "softplus"


_FUNCTIONS: dict[Nonlinearity, Callable[[Array, float, float], Array]] = {
    Nonlinearity.RELU: lambda x, a, b: np.maximum(x, 0),
    Nonlinearity.TANH: lambda x, a, b: np.tanh(x),
    Nonlinearity.SIGMOID: lambda x, a, b: 0.5 * (1 + np.tanh(0.5 * x)),
    Nonlinearity.AFFINE: lambda x, a, b: a * x + b,
    Nonlinearity.LEAKY_RELU: lambda x, a, b: np.where(x < 0, a * x, x),
    Nonlinearity.THRESHOLDED_RELU: lambda x, a, b: np.where(x > a, x, 0),
    Nonlinearity.SCALED_TANH: lambda x, a, b: a * np.tanh(b * x),
    Nonlinearity.HARD_SIGMOID: lambda x, a, b: np.clip(a * x + b, 0, 1),
    Nonlinearity.ELU: lambda x, a, b: np.where(x < 0, a * np.expm1(np.minimum(x, 0)), x),
    Nonlinearity.SOFTSIGN: lambda x, a, b: x / (1 + np.abs(x)),
    Nonlinearity.SOFTPLUS: lambda x, a, b: np.logaddexp(x, 0),
}


@dataclass(frozen=True)
class Activation:
    """An activation function with its parameters."""

    function: Nonlinearity
    alpha: float = 0.0
    beta: float = 0.0

    def __call__(self, x: Array) -> Array:
        """The function of every element, in the type of x."""
        return _FUNCTIONS[self.function](x, self.alpha, self.beta).astype(x.dtype, copy=False)


@dataclass(frozen=True)
class _Weights:
    """The constants of one direction, each with the direction axis gone."""

    w: Array
    r: Array
    input_bias: Array
    state_bias: Array
    peepholes: Array


@dataclass(frozen=True)
class Recurrent(Op, ABC):
    """What the three layers share. `activations` has those of one direction after the other."""

    hidden: int
    activations: tuple[Activation, ...]
    direction: Direction = Direction.FORWARD
    batch_first: bool = False
    clip: float = 0.0
    """Gates are clipped to ``-clip..clip`` before their activation; 0 means that they are not."""
    given: tuple[RecurrentOperand, ...] = ()

    gates: ClassVar[int]
    functions: ClassVar[int]
    has_cell: ClassVar[bool] = False

    @property
    def directions(self) -> int:
        """1, or 2 if bidirectional."""
        return 1 + (self.direction is Direction.BIDIRECTIONAL)

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Types of y, the last state and for the LSTM the last cell."""
        expect_count(operands, 3 + len(self.given))
        lengths = self._optional(operands, RecurrentOperand.LENGTHS)
        dtype = expect_real([type_ for type_ in operands if type_ is not lengths])
        x = operands[0]
        if x.rank != 3:
            raise OpError(f"operand 0 has shape {list(x.shape)}, needed are three axes")
        if lengths is not None and lengths.dtype is not DType.I32:
            raise OpError(f"lengths are {lengths.dtype}, needed is i32")
        if len(self.activations) != self.directions * self.functions:
            raise OpError(
                f"{len(self.activations)} activations, needed are "
                f"{self.directions * self.functions}"
            )
        steps, batch = (x.shape[1], x.shape[0]) if self.batch_first else x.shape[:2]
        self._expect_shapes(operands, batch)
        state = self._state_shape(batch)
        y = (
            (batch, steps, self.directions, self.hidden)
            if self.batch_first
            else (steps, self.directions, batch, self.hidden)
        )
        last = TensorType(dtype, state)
        return (TensorType(dtype, y), last, last) if self.has_cell else (TensorType(dtype, y), last)

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """With the steps on axis 0 the batch is another axis."""
        return "" if self.batch_first else "axis 0 is the batch, here it counts steps"

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Products with the inputs for all steps at once, then one step after the other."""
        x = inputs[0].swapaxes(0, 1) if self.batch_first else inputs[0]
        lengths = self._optional(inputs, RecurrentOperand.LENGTHS)
        count = np.full(x.shape[1], len(x)) if lengths is None else lengths.astype(np.int64)
        runs = [
            self._run(index, x, inputs, np.broadcast_to(count, x.shape[1]))
            for index in range(self.directions)
        ]
        y, *states = (np.stack(parts, axis=-3) for parts in zip(*runs, strict=True))
        if self.batch_first:
            y = y.transpose(2, 0, 1, 3)
            states = [state.swapaxes(0, 1) for state in states]
        results = (y, *states[: 1 + self.has_cell])
        return tuple(np.ascontiguousarray(result) for result in results)

    def _run(
        self, index: int, x: Array, inputs: Sequence[Array], lengths: Array
    ) -> tuple[Array, Array, Array]:
        """One direction: y ``[T, N, H]`` and the last state and cell ``[N, H]``."""
        backwards = self.direction is Direction.REVERSE or index == 1
        order = _order(len(x), lengths, backwards)
        weights = self._weights(index, inputs)
        state, cell = (
            self._initial(which, index, inputs, x)
            for which in (RecurrentOperand.STATE, RecurrentOperand.CELL)
        )
        projected = np.take_along_axis(x, order, axis=0) @ weights.w.T
        y = np.zeros((*x.shape[:2], self.hidden), x.dtype)
        for step in range(len(x)):
            valid = (step < lengths)[:, None]
            new_state, new_cell = self._step(index, projected[step], state, cell, weights)
            state = np.where(valid, new_state, state)
            cell = np.where(valid, new_cell, cell)
            y[step] = np.where(valid, new_state, 0)
        return np.take_along_axis(y, order, axis=0), state, cell

    @abstractmethod
    def _step(
        self, index: int, projected: Array, state: Array, cell: Array, weights: _Weights
    ) -> tuple[Array, Array]:
        """Next state and cell; `projected` is the product with the input, without bias."""

    def _activation(self, index: int, number: int, gate: Array) -> Array:
        clipped = np.clip(gate, -self.clip, self.clip) if self.clip else gate
        return self.activations[index * self.functions + number](clipped)

    def _weights(self, index: int, inputs: Sequence[Array]) -> _Weights:
        size, dtype = self.gates * self.hidden, inputs[0].dtype
        bias = self._optional(inputs, RecurrentOperand.BIAS)
        peepholes = self._optional(inputs, RecurrentOperand.PEEPHOLES)
        both = np.zeros(2 * size, dtype) if bias is None else bias[index]
        holes = np.zeros(3 * self.hidden, dtype) if peepholes is None else peepholes[index]
        return _Weights(inputs[1][index], inputs[2][index], both[:size], both[size:], holes)

    def _initial(
        self, which: RecurrentOperand, index: int, inputs: Sequence[Array], x: Array
    ) -> Array:
        given = self._optional(inputs, which)
        if given is None:
            return np.zeros((x.shape[1], self.hidden), x.dtype)
        state = given[:, index] if self.batch_first else given[index]
        return np.broadcast_to(state, (x.shape[1], self.hidden))

    def _optional(self, operands: Sequence[_T], which: RecurrentOperand) -> _T | None:
        return operands[3 + self.given.index(which)] if which in self.given else None

    def _state_shape(self, batch: int) -> tuple[int, ...]:
        outer = (batch, self.directions) if self.batch_first else (self.directions, batch)
        return (*outer, self.hidden)

    def _expect_shapes(self, operands: Sequence[TensorType], batch: int) -> None:
        rows, directions = self.gates * self.hidden, self.directions
        state = self._state_shape(batch)
        shapes = {
            RecurrentOperand.BIAS: (directions, 2 * rows),
            RecurrentOperand.LENGTHS: (batch,),
            RecurrentOperand.STATE: state,
            RecurrentOperand.CELL: state,
            RecurrentOperand.PEEPHOLES: (directions, 3 * self.hidden),
        }
        needed = {
            "weights": (directions, rows, operands[0].shape[2]),
            "recurrent weights": (directions, rows, self.hidden),
            **{str(which): shapes[which] for which in self.given},
        }
        for (what, shape), type_ in zip(needed.items(), operands[1:], strict=True):
            if type_.shape != shape:
                raise OpError(f"{what} have shape {list(type_.shape)}, needed is {list(shape)}")


@op("rnn", Stage.FLOAT)
class RNN(Recurrent):
    """The plain recurrent layer: one gate, one activation."""

    gates: ClassVar[int] = 1
    functions: ClassVar[int] = 1

    def _step(
        self, index: int, projected: Array, state: Array, cell: Array, weights: _Weights
    ) -> tuple[Array, Array]:
        bias = weights.input_bias + weights.state_bias
        return self._activation(index, 0, projected + state @ weights.r.T + bias), cell


@op("gru", Stage.FLOAT)
class GRU(Recurrent):
    """The gated recurrent unit: gates z (update), r (reset), n (new); activations f, g."""

    linear_before_reset: bool = False

    gates: ClassVar[int] = 3
    functions: ClassVar[int] = 2

    def _step(
        self, index: int, projected: Array, state: Array, cell: Array, weights: _Weights
    ) -> tuple[Array, Array]:
        split = 2 * self.hidden
        inner = projected + weights.input_bias
        gates = inner[:, :split] + state @ weights.r[:split].T + weights.state_bias[:split]
        z, r = np.split(self._activation(index, 0, gates), 2, axis=1)
        matrix, bias = weights.r[split:].T, weights.state_bias[split:]
        recurrent = (
            r * (state @ matrix + bias) if self.linear_before_reset else (r * state) @ matrix + bias
        )
        n = self._activation(index, 1, inner[:, split:] + recurrent)
        return (1 - z) * n + z * state, cell


@op("lstm", Stage.FLOAT)
class LSTM(Recurrent):
    """Long short-term memory: gates i, o, f and c; activations f, g, h; peepholes i, o, f.

    With `couple_forget` the forget gate is one minus the input gate.
    """

    couple_forget: bool = False

    gates: ClassVar[int] = 4
    functions: ClassVar[int] = 3
    has_cell: ClassVar[bool] = True

    def _step(
        self, index: int, projected: Array, state: Array, cell: Array, weights: _Weights
    ) -> tuple[Array, Array]:
        bias = weights.input_bias + weights.state_bias
        gates = projected + state @ weights.r.T + bias
        i, o, f, c = np.split(gates, 4, axis=1)
        hole_i, hole_o, hole_f = np.split(weights.peepholes, 3)
        i = self._activation(index, 0, i + hole_i * cell)
        f = 1 - i if self.couple_forget else self._activation(index, 0, f + hole_f * cell)
        cell = f * cell + i * self._activation(index, 1, c)
        o = self._activation(index, 0, o + hole_o * cell)
        return o * self.activations[index * self.functions + 2](cell), cell


def _order(steps: int, lengths: Array, backwards: bool) -> Array:
    """The step to take at each time, ``[T, N, 1]``: only valid steps are turned round."""
    time = np.arange(steps)[:, None]
    turned = np.where(time < lengths, lengths - 1 - time, time)
    order = turned if backwards else np.broadcast_to(time, turned.shape)
    return order[:, :, None]
