"""Cycles and energy of a program as a table and as JSON."""

from __future__ import annotations

from dataclasses import asdict

from imcc.runtime import Profile

from .text import Json, facts, shorten, table


def profile_json(profile: Profile) -> dict[str, Json]:
    """The profile as plain values."""
    body: dict[str, Json] = asdict(profile)
    return {**body, "components": dict(profile.components), "macs": profile.macs}


def render_profile(profile: Profile) -> str:
    """A row a layer, then the totals for one input."""
    rows = [
        (
            shorten(layer.name),
            layer.cycles,
            _share(layer.cycles, profile.cycles),
            layer.energy_pj / 1e3,
            layer.macs,
            layer.conversions,
            layer.bytes_moved,
        )
        for layer in profile.layers
    ]
    header = ["layer", "cycles", "share", "energy nJ", "macs", "conversions", "bytes moved"]
    parts = ", ".join(
        f"{name} {_share(pj, profile.energy_uj * 1e6)}" for name, pj in _used(profile)
    )
    totals = (
        ("latency", f"{profile.latency_us:.2f} us ({profile.latency_cycles} cycles) for one input"),
        ("interval", f"{profile.interval_us:.2f} us: what the busiest core works for one input"),
        ("energy", f"{profile.energy_uj:.4g} uJ for one input ({parts})"),
        ("efficiency", f"{profile.tops_per_watt:.3g} TOPS/W"),
        ("writing cells", f"{profile.setup.cycles} cycles, {profile.setup.energy_pj / 1e6:.4g} uJ"),
    )
    return f"{table(header, rows)}\n\n{facts(totals)}"


def _used(profile: Profile) -> list[tuple[str, float]]:
    return [(name, picojoules) for name, picojoules in profile.components if picojoules]


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "-"
