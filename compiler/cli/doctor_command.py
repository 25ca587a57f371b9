"""``imcc doctor``: versions, limits and what keeps imcc from working well."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict

import rich_click as click
from click.exceptions import Exit

from .options import debug_option, diagnostics_option, json_option, limit_option
from .text import echo_json, facts


@click.command("doctor")
@json_option
@limit_option
@diagnostics_option
@debug_option
def command(as_json: bool) -> None:
    """Print versions and limits, and check what imcc depends on; exit code 1 for a problem."""
    from ..limits import limits, spelled
    from .versions import versions

    found = {
        "versions": dict(versions()),
        "limits": {spelled(name): value for name, value in asdict(limits()).items()},
        "checks": {name: problem() or "good" for name, problem in _CHECKS.items()},
    }
    if as_json:
        echo_json("doctor", found)
    else:
        click.echo("\n\n".join(f"{t}\n{facts([*pairs.items()])}" for t, pairs in found.items()))
    if any(answer != "good" for answer in found["checks"].values()):
        raise Exit(1)


def _protobuf() -> str:
    """The pure Python parser of protocol buffers is slow and recursive (CVE-2025-4565)."""
    from google.protobuf.internal import api_implementation  # type: ignore[import-untyped]

    kind = api_implementation.Type()
    return "" if kind != "python" else "protobuf runs in pure Python: install a wheel with upb"


def _onnxruntime() -> str:
    """Verification and calibration need it."""
    try:
        import onnxruntime as ort
    except ImportError as error:
        return f"onnxruntime cannot be imported: {error}"
    there = "CPUExecutionProvider" in ort.get_available_providers()
    return "" if there else "onnxruntime has no CPUExecutionProvider"


def _threads() -> str:
    """More threads than processors make NumPy slow."""
    asked = os.environ.get("OPENBLAS_NUM_THREADS", "1")
    have = len(os.sched_getaffinity(0))
    many = asked.isdecimal() and int(asked) > have
    return f"OPENBLAS_NUM_THREADS is {asked}, and {have} processors can be used" if many else ""


def _targets() -> str:
    """Every bundled target can be loaded."""
    from imcc.isa import builtin_targets, load_target

    return "; ".join(_problems(load_target, builtin_targets()))


def _problems(load: Callable[[str], object], names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        try:
            load(name)
        except ValueError as error:
            yield f"{name}: {error}"


_CHECKS = {
    "protobuf": _protobuf,
    "onnxruntime": _onnxruntime,
    "threads": _threads,
    "targets": _targets,
}
