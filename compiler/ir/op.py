"""Operators: a frozen dataclass each, whose fields are its attributes.

An operator says what types it yields (`infer`, which also checks its operands) and what it
computes (`evaluate`). Everything else that knows operators (frontend, export, mapping, backend)
registers one function an operator class in its own package.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Flag, auto
from typing import Any, ClassVar, TypeVar, dataclass_transform

import numpy as np
from numpy.typing import NDArray

from .sketch import is_sketch
from .types import TensorType

Array = NDArray[Any]


class Stage(Flag):
    """The levels of the IR at which an operator may appear."""

    FLOAT = auto()
    QUANTIZED = auto()
    TILED = auto()
    ANY = FLOAT | QUANTIZED | TILED


class Op:
    """An operator with its attributes."""

    name: ClassVar[str]
    stages: ClassVar[Stage]

    def infer(self, operands: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Types of the results; raises `OpError` where the operands do not fit."""
        raise NotImplementedError

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """Why samples would not stay apart if axis 0 is a batch; empty where they do."""
        return ""

    def evaluate(self, inputs: Sequence[Array], types: Sequence[TensorType]) -> tuple[Array, ...]:
        """Results for a batch: axis 0 of each non-constant input counts samples.

        `types` are those of the operands, with the batch axis 1.
        """
        raise NotImplementedError


class WholeOp(Op):
    """An operator to which axis 0 is an axis like all others: it is evaluated sample by sample.

    Most exist only in graphs without batch; others say where they leave axis 0 alone.
    """

    def batch_problem(self, operands: Sequence[TensorType]) -> str:
        """That it exists only without a batch axis."""
        return "axis 0 would be the batch, which this operator does not keep apart"


class OpError(Exception):
    """Operands or attributes that an operator cannot take; the text says what is allowed."""


OPS: dict[str, type[Op]] = {}

_T = TypeVar("_T", bound=type[Op])


@dataclass_transform(frozen_default=True)
def op(name: str, stages: Stage) -> Callable[[_T], _T]:
    """Make a class an operator named ``imcc.<name>`` in the text form."""

    def register(cls: _T) -> _T:
        made: Any = dataclass(frozen=True)(cls)
        made.name, made.stages = name, stages
        if name in OPS:
            raise TypeError(f"two operators are named {name!r}")
        OPS[name] = made
        return made  # type: ignore[no-any-return]

    return register


def freeze(array: Array) -> Array:
    """A read-only, contiguous view of an array, so that a frozen graph stays as it is.

    Sketches are read-only already, and are not written out.
    """
    if is_sketch(array):
        return array
    frozen = np.ascontiguousarray(array).reshape(np.shape(array))
    frozen.flags.writeable = False
    return frozen
