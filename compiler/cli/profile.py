"""The profile of a program, for people and for tools."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from .text import Json, facts, shorten, table

if TYPE_CHECKING:
    from imcc.isa import Program
    from imcc.runtime.timing import Profile

_PJ_PER_NJ = 1000.0
_HEADER = ("layer", "cycles", "share %", "energy nJ", "energy %", "MACs", "conversions", "bytes")


def profile_body(program: Program) -> dict[str, Json]:
    """Cycles and energy as JSON, under the key ``profile``."""
    from imcc.runtime.timing import profile

    found = profile(program)
    derived = {
        "macs": found.macs,
        "conversions": found.conversions,
        "cycles": found.cycles,
        "tops_per_watt": found.tops_per_watt,
    }
    return {"profile": {**asdict(found), "components": dict(found.components), **derived}}


def render_profile(program: Program) -> str:
    """Cycles and energy as tables: by layer, by component of the chip, and in all."""
    from imcc.runtime.timing import profile

    found = profile(program)
    return f"{_layers(found)}\n\n{_components(found)}\n\n{_totals(found)}"


def _layers(found: Profile) -> str:
    energy = sum(layer.energy_pj for layer in found.layers)
    rows = [
        (
            shorten(layer.name),
            layer.cycles,
            _percent(layer.cycles, found.cycles),
            layer.energy_pj / _PJ_PER_NJ,
            _percent(layer.energy_pj, energy),
            layer.macs,
            layer.conversions,
            layer.bytes_moved,
        )
        for layer in found.layers
    ]
    return table(_HEADER, rows)


def _components(found: Profile) -> str:
    energy = sum(value for _, value in found.components)
    rows = [
        (name, value / _PJ_PER_NJ, _percent(value, energy))
        for name, value in found.components
        if value
    ]
    return table(["component", "energy nJ", "energy %"], rows)


def _totals(found: Profile) -> str:
    setup = found.setup
    return facts(
        [
            ("target", found.target),
            ("latency", f"{found.latency_cycles:,} cycles, {found.latency_us:.4g} us"),
            ("interval", f"{found.interval_cycles:,} cycles, {found.interval_us:.4g} us"),
            ("energy", f"{found.energy_uj:.4g} uJ an input"),
            ("MACs", f"{found.macs:,}"),
            ("efficiency", f"{found.tops_per_watt:.4g} TOPS/W"),
            (
                "setup",
                f"{setup.cells:,} cells, {setup.cycles:,} cycles, "
                f"{setup.energy_pj / _PJ_PER_NJ:.4g} nJ, once",
            ),
        ]
    )


def _percent(part: float, whole: float) -> float:
    return 100 * part / whole if whole else 0.0
