"""The intermediate representation: typed graphs with a verifier, an evaluator and a text form."""

from __future__ import annotations

from . import ops as ops
from .builder import GraphBuilder, Rule, rebuild
from .evaluate import evaluate, evaluate_all
from .files import read_graph, write_graph
from .graph import Graph, Node, Value
from .op import OPS, Array, Op, OpError, Stage, WholeOp, freeze, op
from .parser import parse_graph
from .printer import print_graph
from .types import DType, QuantParams, TensorType
from .verify import verify

__all__ = [
    "OPS",
    "Array",
    "DType",
    "Graph",
    "GraphBuilder",
    "Node",
    "Op",
    "OpError",
    "QuantParams",
    "Rule",
    "Stage",
    "TensorType",
    "Value",
    "WholeOp",
    "evaluate",
    "evaluate_all",
    "freeze",
    "op",
    "parse_graph",
    "print_graph",
    "read_graph",
    "rebuild",
    "verify",
    "write_graph",
]
