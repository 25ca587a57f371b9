"""Targets as the command line names them: a name or file, and single values changed."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

import rich_click as click

from imcc.isa import Target, load_target


def load_chip(name: str, changes: Sequence[str] = ()) -> Target:
    """Load a target and change values in it: ``core.arrays=64``.

    A changed target is checked as a whole again, and says where the value comes from.
    """
    target = load_target(name)
    if not changes:
        return target
    tables: dict[str, Any] = target.tables()
    everything: dict[str, Any] = target.model_dump(mode="json", by_alias=True)
    for change in changes:
        key, value = _read(change)
        table, _, entry = key.partition(".")
        if not isinstance(everything.get(table), dict) or entry not in everything[table]:
            known = [f"{t}.{k}" for t, v in everything.items() if isinstance(v, dict) for k in v]
            raise _usage(f"the target has no '{key}'; it has {', '.join(known[:-1])}")
        tables[table][entry] = value
        tables["sources"][key] = "set on the command line"
    return Target.from_tables(tables, f"{name} with {', '.join(changes)}")


def _read(change: str) -> tuple[str, object]:
    key, separator, text = change.partition("=")
    if not separator:
        raise _usage(f"'{change}' is not KEY=VALUE, such as core.arrays=64")
    try:
        return key.strip(), tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), text.strip()


def _usage(message: str) -> click.BadParameter:
    return click.BadParameter(message, param_hint="--set")
