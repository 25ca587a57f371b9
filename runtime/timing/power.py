"""What a chip draws and takes up all the time, by component."""

from __future__ import annotations

from imcc.isa.target import Target

Parts = tuple[tuple[str, float], ...]
"""A figure of each component of the chip, by name."""


def leakage_mw(target: Target, cores: int) -> Parts:
    """Leakage in mW while `cores` cores are on, with all that is in them; the others are off."""
    leakage = target.leakage
    if leakage is None:
        return ()
    arrays = cores * target.core.arrays
    return (
        ("arrays", arrays * leakage.array_mw),
        ("converters", arrays * target.adc.per_array * leakage.adc_mw),
        ("local memory", cores * leakage.local_memory_mw),
        ("vector unit", cores * leakage.vector_unit_mw),
        ("network", cores * leakage.router_mw),
        ("global memory", leakage.global_memory_mw),
    )


def area_mm2(target: Target) -> Parts:
    """Area in mm2 of the whole chip."""
    area = target.area
    if area is None:
        return ()
    cores = target.chip.cores
    arrays = cores * target.core.arrays
    return (
        ("arrays", arrays * area.array_mm2),
        ("converters", arrays * target.adc.per_array * area.adc_mm2),
        ("local memory", cores * area.local_memory_mm2),
        ("vector unit", cores * area.vector_unit_mm2),
        ("network", cores * area.router_mm2),
        ("global memory", area.global_memory_mm2),
    )
