"""Passes by name: those of imcc, and those that installed packages add.

Both are entry points, so that a command loads only the passes that it runs. Another package
adds its own with ``[project.entry-points."imcc.passes"] my-pass = "package.module:MyPass"``.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from imcc.isa.problems import did_you_mean

from ..errors import InputError
from .base import Pass

GROUP = "imcc.passes"

_PLACES = {
    "adopt-quantization": "passes.adopt_quantization:AdoptQuantization",
    "recognize": "passes.recognize:Recognize",
    "decompose": "passes.decompose:Decompose",
    "add-batch-axis": "passes.add_batch_axis:AddBatchAxis",
    "fold-constants": "passes.fold_constants:FoldConstants",
    "fold-batch-norm": "passes.fold_batch_norm:FoldBatchNorm",
    "canonicalize": "passes.canonicalize:Canonicalize",
    "lower-batch-norm": "passes.lower_batch_norm:LowerBatchNorm",
    "fuse-elementwise": "passes.fuse_elementwise:FuseElementwise",
    "partition-host": "passes.partition_host:PartitionHost",
    "quantize": "passes.quantize:Quantize",
    "tile": "passes.tile:Tile",
}
_BUILTIN = {
    name: EntryPoint(name, f"imcc.compiler.{place}", GROUP) for name, place in _PLACES.items()
}


def find_pass(name: str) -> type[Pass]:
    """The class of a pass; raises `InputError` with the known names."""
    if name in _BUILTIN:
        return _load(_BUILTIN[name])
    installed = entry_points(group=GROUP)
    if name in installed.names:
        return _load(installed[name])
    known = sorted({*_BUILTIN, *installed.names})
    hint = did_you_mean(name, known)
    raise InputError(f"no pass is named '{name}'{hint} (passes: {', '.join(known)})")


def builtin_passes() -> tuple[type[Pass], ...]:
    """All passes of imcc, in the order in which a compilation may use them."""
    return tuple(_load(entry) for entry in _BUILTIN.values())


def _load(entry: EntryPoint) -> type[Pass]:
    loaded = entry.load()
    if not (isinstance(loaded, type) and issubclass(loaded, Pass)):
        raise InputError(f"entry point '{entry.name}' ({entry.value}) is not a Pass class")
    if loaded.name != entry.name:
        raise InputError(f"entry point '{entry.name}' holds the pass '{loaded.name}'")
    return loaded
