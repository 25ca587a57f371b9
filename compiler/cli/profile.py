"""Time, energy and use of resources of a program as tables, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields

from imcc.runtime import LayerCost, Profile

from ..mapping.bound_notes import ScheduleBounds
from .bounds import bounds_json, ratio_text
from .text import Json, facts, sanitize, shorten, table

_BUSIEST_CORES = 5
_LONGEST_WAITS = 3


def profile_json(profile: Profile, bounds: ScheduleBounds | None) -> dict[str, Json]:
    """The profile as plain values, with the bounds of its times."""
    body: dict[str, Json] = asdict(profile)
    named = ("components", "leakage_mw", "area_mm2", "critical_path")
    cores: list[Json] = [{**asdict(core), "waits": dict(core.waits)} for core in profile.cores]
    return {
        **body,
        **{name: dict(getattr(profile, name)) for name in named},
        "cores": cores,
        "bounds": bounds_json(bounds),
        "macs": profile.macs,
        "tops_per_watt": profile.tops_per_watt,
    }


def layers_csv(profile: Profile) -> str:
    """A header and a line a layer, with all figures."""
    names = [field.name for field in fields(LayerCost)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for layer in profile.layers:
        values = [getattr(layer, name) for name in names]
        writer.writerow([sanitize(v) if isinstance(v, str) else v for v in values])
    return text.getvalue()


def render_profile(profile: Profile, bounds: ScheduleBounds | None) -> str:
    """Layers of the first input, resources and cores over all inputs, then the totals."""
    return "\n\n".join(
        [
            _layers(profile),
            _resources(profile),
            _cores(profile),
            facts([*_totals(profile), *_ratios(profile, bounds)]),
        ]
    )


def _layers(profile: Profile) -> str:
    header = ["layer", "cycles", "share", "first", "last", "network", "arrays", "energy nJ"]
    header += ["energy", "macs", "bottleneck"]
    rows = [
        (
            shorten(layer.name, 40),
            layer.cycles,
            _share(layer.cycles, profile.cycles),
            layer.first,
            layer.last,
            _share(layer.network_cycles, layer.cycles),
            f"{layer.array_utilization:.1%}",
            layer.energy_pj / 1e3,
            _share(layer.energy_pj, profile.energy_uj * 1e6),
            layer.macs,
            layer.bottleneck,
        )
        for layer in profile.layers
    ]
    return table(header, rows)


def _resources(profile: Profile) -> str:
    rows = [
        (use.name, use.count, use.busy_cycles, f"{use.utilization:.1%}", f"{use.peak:.1%}")
        for use in profile.resources
    ]
    return table(["resource", "number", "busy cycles", "used", "the busiest"], rows)


def _cores(profile: Profile) -> str:
    rows = [
        (
            f"core {core.core}",
            _share(core.active_cycles, profile.total_cycles),
            _shares(core.waits[:_LONGEST_WAITS], profile.total_cycles),
        )
        for core in profile.cores[:_BUSIEST_CORES]
    ]
    return table(["busiest cores", "active", "their instructions wait for"], rows)


def _totals(profile: Profile) -> list[tuple[str, str]]:
    pairs = [
        *_phases(profile.phases),
        *_lags(profile.lags),
        ("latency", f"{profile.latency_us:.2f} us ({profile.latency_cycles} cycles) for one input"),
        ("critical path", _shares(profile.critical_path, profile.latency_cycles)),
        (
            "interval",
            f"{profile.interval_us:.2f} us ({profile.interval_cycles} cycles) between "
            f"two of {profile.inputs} inputs in a row: {profile.inputs_per_second:.4g} a second",
        ),
        ("energy", f"{profile.energy_uj:.4g} uJ for one input ({_energy_parts(profile)})"),
        ("efficiency", f"{profile.tops_per_watt:.3g} TOPS/W"),
        ("writing cells", f"{profile.setup.cycles} cycles, {profile.setup.energy_pj / 1e6:.4g} uJ"),
    ]
    if profile.leakage_mw:
        pairs.append(("leakage", _leakage(profile)))
    if profile.area_mm2:
        whole = sum(area for _, area in profile.area_mm2)
        pairs.append(("area", f"{whole:.4g} mm2 ({_shares(profile.area_mm2, whole)})"))
    return pairs


def _phases(count: int) -> Iterator[tuple[str, str]]:
    if count > 1:
        yield (
            "phases",
            f"{count}: as many inputs are on their way, each passes one phase in an interval; "
            "layers begin and end within theirs",
        )


def _lags(count: int) -> Iterator[tuple[str, str]]:
    if count:
        yield "inputs", f"overlap: a core works on up to {count + 1} at a time"


def _ratios(profile: Profile, bounds: ScheduleBounds | None) -> list[tuple[str, str]]:
    """How far the times are from what no program is faster than."""
    if bounds is None:
        return []
    return [
        ("latency / bound", ratio_text(profile.latency_us, bounds.latency)),
        ("interval / bound", ratio_text(profile.interval_us, bounds.interval)),
    ]


def _leakage(profile: Profile) -> str:
    power = sum(milliwatts for _, milliwatts in profile.leakage_mw)
    return (
        f"{power:.4g} mW: {profile.leakage_uj:.4g} uJ in the latency, "
        f"{profile.interval_leakage_uj:.4g} uJ in the interval"
    )


def _energy_parts(profile: Profile) -> str:
    return _shares(profile.components, profile.energy_uj * 1e6)


def _shares(parts: Sequence[tuple[str, float]], whole: float) -> str:
    """The parts that are not zero, each with its share."""
    return ", ".join(f"{name} {_share(part, whole)}" for name, part in parts if part) or "-"


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "-"
