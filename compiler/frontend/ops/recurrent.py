"""RNN, GRU and LSTM."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.graph import Value
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
from ..conversion import Conversion, Rejection
from ..registry import Form, converts
from .rules import chosen, emit_results, floats, strings

_DIRECTIONS = {str(direction): direction for direction in Direction}
_FUNCTIONS = {
    "relu": Nonlinearity.RELU,
    "tanh": Nonlinearity.TANH,
    "sigmoid": Nonlinearity.SIGMOID,
    "affine": Nonlinearity.AFFINE,
    "leakyrelu": Nonlinearity.LEAKY_RELU,
    "thresholdedrelu": Nonlinearity.THRESHOLDED_RELU,
    "scaledtanh": Nonlinearity.SCALED_TANH,
    "hardsigmoid": Nonlinearity.HARD_SIGMOID,
    "elu": Nonlinearity.ELU,
    "softsign": Nonlinearity.SOFTSIGN,
    "softplus": Nonlinearity.SOFTPLUS,
}
# Parameters that each function takes in turn from activation_alpha and activation_beta, and
# their defaults.
_ALPHA = {
    Nonlinearity.AFFINE: 1.0,
    Nonlinearity.LEAKY_RELU: 0.01,
    Nonlinearity.THRESHOLDED_RELU: 1.0,
    Nonlinearity.SCALED_TANH: 1.0,
    Nonlinearity.HARD_SIGMOID: 0.2,
    Nonlinearity.ELU: 1.0,
}
_BETA = {
    Nonlinearity.AFFINE: 0.0,
    Nonlinearity.SCALED_TANH: 1.0,
    Nonlinearity.HARD_SIGMOID: 0.5,
}
_OPTIONAL = (
    (3, RecurrentOperand.BIAS),
    (4, RecurrentOperand.LENGTHS),
    (5, RecurrentOperand.STATE),
    (6, RecurrentOperand.CELL),
    (7, RecurrentOperand.PEEPHOLES),
)


@converts("RNN", form=Form.WHOLE)
def rnn(conversion: Conversion) -> tuple[Value, ...]:
    """The plain recurrent layer."""
    parts = _Parts(conversion, ("Tanh",))
    return parts.emit(RNN(*parts.fields))


@converts("GRU", form=Form.WHOLE)
def gru(conversion: Conversion) -> tuple[Value, ...]:
    """The gated recurrent unit."""
    parts = _Parts(conversion, ("Sigmoid", "Tanh"))
    return parts.emit(
        GRU(*parts.fields, linear_before_reset=bool(conversion.integer("linear_before_reset", 0)))
    )


@converts("LSTM", form=Form.WHOLE)
def lstm(conversion: Conversion) -> tuple[Value, ...]:
    """Long short-term memory."""
    parts = _Parts(conversion, ("Sigmoid", "Tanh", "Tanh"))
    return parts.emit(
        LSTM(*parts.fields, couple_forget=bool(conversion.integer("input_forget", 0)))
    )


class _Parts:
    """Operands and attributes that the three layers share."""

    def __init__(self, conversion: Conversion, defaults: Sequence[str]) -> None:
        self._conversion = conversion
        direction = chosen(conversion, "direction", "forward", _DIRECTIONS)
        directions = 1 + (direction is Direction.BIDIRECTIONAL)
        given = [(index, name) for index, name in _OPTIONAL if conversion.has(index)]
        self.operands = [conversion.value(index) for index in (0, 1, 2, *(i for i, _ in given))]
        recurrent = self.operands[2].type.shape
        self.fields = (
            conversion.integer("hidden_size", recurrent[-1] if recurrent else 0),
            _activations(conversion, tuple(defaults) * directions),
            direction,
            bool(conversion.integer("layout", 0)),
            conversion.real("clip", 0.0),
            tuple(name for _, name in given),
        )

    def emit(self, op: Recurrent) -> tuple[Value, ...]:
        return emit_results(self._conversion, op, self.operands, 2 + op.has_cell)


def _activations(conversion: Conversion, defaults: tuple[str, ...]) -> tuple[Activation, ...]:
    names = strings(conversion, "activations") or defaults
    alphas = iter(floats(conversion, "activation_alpha"))
    betas = iter(floats(conversion, "activation_beta"))
    found = []
    for name in names:
        function = _FUNCTIONS.get(name.lower())
        if function is None:
            known = ", ".join(_FUNCTIONS)
            raise conversion.reject(f"with activation '{name}'", f"allowed are {known}")
        alpha = next(alphas, _ALPHA[function]) if function in _ALPHA else 0.0
        beta = next(betas, _BETA[function]) if function in _BETA else 0.0
        found.append(Activation(function, alpha, beta))
    if len(found) != len(defaults):
        text = f"{conversion.node.op_type} has {len(found)} activations"
        raise Rejection("IMC0210", text, f"needed are {len(defaults)}")
    return tuple(found)
