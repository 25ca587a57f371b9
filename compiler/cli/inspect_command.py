"""``imcc inspect``: what a file is, by its content."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from ..errors import InputError
from .options import debug_option, diagnostics_option, json_option
from .text import Json, Scalar, echo_json, facts, table

if TYPE_CHECKING:
    from imcc.isa import Program, Target

    from ..ir import Graph

_PEEK = 4096


@click.command("inspect")
@click.argument("file", metavar="FILE")
@json_option
@diagnostics_option
@debug_option
def command(file: str, as_json: bool) -> None:
    """Summarise FILE: a program, an ONNX model, a target, assembly or graph text."""
    kind, body = _summarise(Path(file))
    if as_json:
        echo_json("inspect", {"kind": kind, **body})
        return
    single = [(key, value) for key, value in body.items() if isinstance(value, Scalar)]
    click.echo(facts([("kind", kind), *single]))
    for key, value in body.items():
        if isinstance(value, list) and value:
            header = list(value[0])
            click.echo(f"\n{key}\n{table(header, [[row[h] for h in header] for row in value])}")


def _summarise(path: Path) -> tuple[str, dict[str, Json]]:
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: cannot be read: it is not a regular file")
    with path.open("rb") as file:
        head = file.read(_PEEK)
    text = head.lstrip()
    if head[8:9] == b"{":
        from imcc.isa import load_program

        return "program", _program(load_program(path))
    if path.suffix == ".imcasm" or b".imcc " in head:
        from .source import assemble_file

        return "assembly", _program(assemble_file(str(path)))
    if path.suffix == ".toml" or b"imcc.target/" in head:
        from imcc.isa import load_target

        return "target", _target(load_target(path))
    if path.suffix == ".mlir" or text.startswith((b"//", b'"builtin', b"builtin", b"module")):
        from ..ir import read_graph

        return "graph", _graph(read_graph(path))
    from ..frontend import import_for_compilation

    return "model", _graph(import_for_compilation(path, hosts={}).graph)


def _program(program: Program) -> dict[str, Json]:
    used = {(matrix.core, tile.array) for matrix in program.matrices for tile in matrix.tiles}
    counts = Counter(i.mnemonic for code in program.cores.values() for i in code)
    bindings = [("input", b) for b in program.inputs] + [("output", b) for b in program.outputs]
    return {
        "target": program.target.name,
        "cores": f"{len(program.cores)} of {program.target.chip.cores}",
        "arrays": f"{len(used)} of {program.target.chip.cores * program.target.core.arrays}",
        "matrices": len(program.matrices),
        "instructions": sum(counts.values()),
        "constant bytes": len(program.constants),
        "global bytes": program.global_size,
        "host partitions": [
            {
                "partition": f"p{number}",
                "nodes": ", ".join(host.nodes),
                "inputs": ", ".join(binding.name for binding in host.inputs),
                "outputs": ", ".join(binding.name for binding in host.outputs),
                "model bytes": len(host.model),
            }
            for number, host in enumerate(program.hosts)
        ],
        "notes": [{"note": key, "value": value[:72]} for key, value in program.notes],
        "bindings": [
            {
                "direction": direction,
                "name": b.name,
                "type": b.dtype.name.lower(),
                "element": b.element.name.lower(),
                "shape": str(list(b.shape)),
                "scale": b.scale,
                "zero point": b.zero_point,
            }
            for direction, b in bindings
        ],
        "instruction counts": [
            {"instruction": name, "count": count} for name, count in sorted(counts.items())
        ],
    }


def _target(target: Target) -> dict[str, Json]:
    values: dict[str, Scalar] = {
        f"{table}.{key}": value
        for table, entries in target.model_dump(mode="json", by_alias=True).items()
        if isinstance(entries, dict) and table != "sources"
        for key, value in entries.items()
    }
    return {
        "target": target.name,
        "description": target.description,
        "fingerprint": target.fingerprint,
        "values": [{"key": key, "value": value} for key, value in values.items()],
    }


def _graph(graph: Graph) -> dict[str, Json]:
    counts = Counter(node.op.name for node in graph.nodes)
    values = [("input", v.name, v) for v in graph.inputs]
    values += [
        ("output", name, v) for name, v in zip(graph.output_names, graph.outputs, strict=True)
    ]
    return {
        "name": graph.name,
        "operators": sum(counts.values()),
        "parameters": sum(array.size for array in graph.constants.values()),
        "tensors": [
            {
                "direction": direction,
                "name": name,
                "type": value.type.dtype.value,
                "shape": str(list(value.type.shape)),
            }
            for direction, name, value in values
        ],
        "operator counts": [{"operator": n, "count": c} for n, c in sorted(counts.items())],
    }
