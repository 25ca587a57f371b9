"""Turns what pydantic and the cross checks find in a target into one readable message."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeGuard, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .toml_lines import KeyPath, TomlLines

MAX_PROBLEMS = 50


@dataclass(frozen=True)
class Problem:
    """One thing wrong at a key path; `at_key` points at the key instead of its value."""

    path: KeyPath
    message: str
    at_key: bool = False


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give a hint such as ``; did you mean 'rows'?``, or nothing where no known word is close."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def from_pydantic(model: type[BaseModel], error: ValidationError) -> list[Problem]:
    """One problem for each error that pydantic collected."""
    return [_problem(model, detail) for detail in error.errors(include_url=False)]


def render(name: str, problems: list[Problem], toml: TomlLines | None) -> str:
    """All problems in one text, in the order of the file where there is one."""
    items = sorted({(_position(problem, toml), problem.message): problem for problem in problems})
    by_item = {(_position(problem, toml), problem.message): problem for problem in problems}
    shown = [_render_one(name, by_item[item], toml) for item in items[:MAX_PROBLEMS]]
    if len(items) > MAX_PROBLEMS:
        shown.append(f"... and {len(items) - MAX_PROBLEMS} more")
    count = "1 problem" if len(items) == 1 else f"{len(items)} problems"
    return "\n".join([f"{name}: {count}", *shown])


def _problem(model: type[BaseModel], detail: ErrorDetails) -> Problem:
    path = tuple(str(part) for part in detail["loc"])
    table = f"[{'.'.join(path[:-1])}]" if len(path) > 1 else "the top level"
    if detail["type"] == "extra_forbidden":
        hint = did_you_mean(path[-1], _keys(model, path[:-1]))
        return Problem(path, f"unknown key '{path[-1]}' in {table}{hint}", at_key=True)
    if detail["type"] == "missing":
        return Problem(path, f"'{path[-1]}' is missing from {table}", at_key=True)
    wanted = re.sub("^(Input|String) should", "it should", detail["msg"])
    return Problem(path, f"{'.'.join(path)} is {_short(detail['input'])}; {wanted}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _keys(model: type[BaseModel], path: KeyPath) -> list[str]:
    for part in path:
        inner = model.model_fields[part].annotation
        tables = [t for t in (inner, *get_args(inner)) if _is_table(t)]
        if not tables:
            return []
        (model,) = tables
    return [field.alias or name for name, field in model.model_fields.items()]


def _is_table(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _position(problem: Problem, toml: TomlLines | None) -> tuple[int, int]:
    place = toml.find(problem.path) if toml else None
    if place is None:
        return 0, 0
    exact = toml is not None and problem.path in toml.places
    return place.line, place.key_column if problem.at_key or not exact else place.value_column


def _render_one(name: str, problem: Problem, toml: TomlLines | None) -> str:
    place = toml.find(problem.path) if toml else None
    if toml is None or place is None:
        return f"{name}: {problem.message}"
    line, column = _position(problem, toml)
    width = place.key_width if column == place.key_column else place.value_width
    return f"{name}:{line}:{column}: {problem.message}\n{toml.excerpt(line, column, width)}"
