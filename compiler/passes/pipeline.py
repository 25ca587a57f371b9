"""Lists of passes: their text form, and running them with checks between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lark import Lark, Token, Tree, UnexpectedInput, UnexpectedToken

from ..errors import CompileError, HostNeededError, InputError, VerificationError
from ..ir import Graph, OpError, verify
from .base import Pass, PassContext
from .instruments import Instrument
from .options import make_pass
from .registry import find_pass


class PassError(CompileError):
    """A pass that failed by a defect of its own; the cause is chained."""


DEFECTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OpError,
    RuntimeError,
    TypeError,
    ValueError,
    VerificationError,
)
"""Exceptions that are the fault of a pass and not of its input."""


@dataclass(frozen=True)
class Pipeline:
    """Passes in order. With `verify_each` the graph is verified after each of them."""

    passes: tuple[Pass, ...]
    instruments: tuple[Instrument, ...] = ()
    verify_each: bool = True

    @classmethod
    def parse(cls, text: str, instruments: Iterable[Instrument] = ()) -> Pipeline:
        """Read ``fold-constants,quantize{weight-bits=4}``.

        Raises `InputError` for bad syntax (with the place), unknown passes and options.
        """
        tree = _parse(text)
        passes = tuple(_pass(node) for node in tree.children if isinstance(node, Tree))
        return cls(passes, tuple(instruments))

    def __str__(self) -> str:
        """The text that `parse` reads back as the same passes."""
        return ",".join(str(pass_) for pass_ in self.passes)

    def run(self, graph: Graph, context: PassContext | None = None) -> Graph:
        """Run all passes. The errors of a pass say which passes ran before it.

        A `CompileError` of a pass keeps its class; any other failure becomes a `PassError`.
        """
        context = context or PassContext()
        for instrument in self.instruments:
            instrument.start(self.passes)
        for index, pass_ in enumerate(self.passes):
            with self._blamed(index, graph):
                graph = self._step(pass_, graph, context)
        return graph

    def _step(self, pass_: Pass, graph: Graph, context: PassContext) -> Graph:
        pass_.requires(graph)
        for instrument in self.instruments:
            instrument.before(pass_, graph)
        result = pass_.run(graph, context)
        if self.verify_each:
            verify(result)
        pass_.ensures(result)
        for instrument in reversed(self.instruments):
            instrument.after(pass_, graph, result)
        return result

    @contextmanager
    def _blamed(self, index: int, graph: Graph) -> Iterator[None]:
        pass_ = self.passes[index]
        before = ", ".join(str(earlier) for earlier in self.passes[:index]) or "none"
        where = f"pass {pass_} (passes before it: {before})"
        try:
            yield
        except HostNeededError:
            raise  # no failure: the model is imported again, with nodes for the host
        except DEFECTS as error:
            self._failed(pass_, graph, error)
            raise PassError(f"{where} failed: {_described(error)}") from error
        except CompileError as error:
            self._failed(pass_, graph, error)
            error.add_note(f"in {where}")
            raise

    def _failed(self, pass_: Pass, graph: Graph, error: Exception) -> None:
        for instrument in self.instruments:
            instrument.failed(pass_, graph, error)


def _described(error: Exception) -> str:
    kind = "" if isinstance(error, (CompileError, OpError)) else f"{type(error).__name__}: "
    return f"{kind}{error}"


@cache
def _grammar() -> Lark:
    text = Path(__file__).with_name("pipeline.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", maybe_placeholders=True)


def _parse(text: str) -> Tree[Token]:
    try:
        return _grammar().parse(text)
    except UnexpectedInput as error:
        at_end = isinstance(error, UnexpectedToken) and error.token.type == "$END"
        column = len(text) if at_end else error.pos_in_stream or 0
        raise InputError(
            f"pipeline, column {column + 1}: cannot read this; "
            f"the form is name{{option=value option=1,2}},name\n"
            f"  {text}\n  {' ' * column}^"
        ) from error


def _pass(tree: Tree[Token]) -> Pass:
    name, *options = tree.children
    cls = find_pass(str(name))
    found: dict[str, list[str] | None] = {}
    for option in options:
        if not isinstance(option, Tree):
            continue
        key, *items = option.children
        if str(key) in found:
            raise InputError(f"pass '{name}': option '{key}' is given twice")
        found[str(key)] = [_item(item) for item in items if isinstance(item, Tree)] or None
    return make_pass(cls, found)


def _item(tree: Tree[Token]) -> str:
    (token,) = tree.children
    text = str(token)
    if not text.startswith('"'):
        return text
    return text[1:-1].replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
