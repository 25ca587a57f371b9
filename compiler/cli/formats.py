"""Diagnostics for machines: JSON lines, SARIF 2.1.0 and GitHub's workflow commands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

import imcc

from .text import sanitize

_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_GITHUB_LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


class Format(StrEnum):
    """How diagnostics are written to standard error."""

    HUMAN = "human"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


@dataclass(frozen=True)
class Record:
    """One diagnostic. `level` is error, warning or note; notes have no code.

    `node`, `op_type` and `index` are the ONNX node, where the diagnostic is about one. `notes` say
    in what stage it arose. Control characters in texts are made visible.
    """

    code: str
    level: str
    message: str
    node: str = ""
    op_type: str = ""
    index: int | None = None
    reason: str = ""
    help: tuple[str, ...] = ()
    file: str = ""
    notes: tuple[str, ...] = ()

    def sanitized(self) -> Record:
        """The record without control characters, line ends in texts excepted."""
        texts = {k: sanitize(v) for k, v in asdict(self).items() if isinstance(v, str)}
        lists = {k: tuple(map(sanitize, getattr(self, k))) for k in ("help", "notes")}
        return Record(**{**asdict(self), **texts, **lists})

    @property
    def text(self) -> str:
        """Message, reason, help and notes, one below the other."""
        reason = (f"because: {self.reason}",) if self.reason else ()
        help_ = (f"help: {line}" for line in self.help)
        notes = (f"note: {line}" for line in self.notes)
        return "\n".join((self.message, *reason, *help_, *notes))


@dataclass(frozen=True)
class Rule:
    """What SARIF says of a code: title, explanation, exit code."""

    name: str
    title: str
    explanation: str
    exit_code: int


def to_json(record: Record) -> str:
    """One JSON object on one line."""
    plain = {"schema": "imcc.diagnostic/1", **asdict(record.sanitized())}
    return json.dumps(plain, sort_keys=True, ensure_ascii=True)


def to_github(record: Record) -> str:
    """A workflow command: the message as annotation of the file."""
    clean = record.sanitized()
    where = f" ({clean.op_type} node '{clean.node}')" if clean.op_type else ""
    message, *rest = clean.text.split("\n")
    properties = {"file": clean.file, "title": clean.code}
    chosen = ",".join(f"{k}={_property(v)}" for k, v in properties.items() if v)
    body = _data("\n".join([message + where, *rest]))
    return f"::{_GITHUB_LEVELS[clean.level]}{f' {chosen}' if chosen else ''}::{body}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def to_sarif(records: Sequence[Record], rules: Sequence[Rule], exit_code: int) -> str:
    """One SARIF 2.1.0 document with all codes as rules."""
    driver = {
        "name": "imcc",
        "version": imcc.__version__,
        "rules": [_sarif_rule(rule) for rule in rules],
    }
    indices = {rule.name: index for index, rule in enumerate(rules)}
    run = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": exit_code < 2, "exitCode": exit_code}],
        "columnKind": "unicodeCodePoints",
        "results": [_sarif_result(record.sanitized(), indices) for record in records],
    }
    document = {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, sort_keys=True, ensure_ascii=True, indent=1)


def _sarif_rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.explanation},
        "properties": {"exitCode": rule.exit_code},
    }


def _sarif_result(record: Record, indices: dict[str, int]) -> dict[str, Any]:
    result: dict[str, Any] = {"level": record.level, "message": {"text": record.text}}
    if record.code in indices:
        result |= {"ruleId": record.code, "ruleIndex": indices[record.code]}
    location: dict[str, Any] = {}
    if record.file:
        location["physicalLocation"] = {"artifactLocation": {"uri": quote(record.file)}}
    if record.node:
        name = {"name": record.node, "fullyQualifiedName": record.node, "kind": "object"}
        location["logicalLocations"] = [name]
    if location:
        result["locations"] = [location]
    known = {"opType": record.op_type, "nodeIndex": record.index}
    properties = {key: value for key, value in known.items() if value not in ("", None)}
    return {**result, "properties": properties} if properties else result
